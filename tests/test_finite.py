"""Finite spaces: every point is visited before one is repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
import logging
import math
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import TrialState
import pytest

from optuna_gamma import GammaBOSampler


Space = dict[str, BaseDistribution]

SPACES: dict[str, tuple[Space, int]] = {
    "2 x 2 x 2 x 2": ({name: CategoricalDistribution([None, True]) for name in "abcd"}, 16),
    "4 x 4": ({name: IntDistribution(-1, 2) for name in "ab"}, 16),
    "16": ({"a": CategoricalDistribution([str(i) for i in range(16)])}, 16),
    "log": ({"a": IntDistribution(1, 23, log=True)}, 23),
    "mixed": (
        {
            "a": CategoricalDistribution(["x", 1.5]),
            "b": FloatDistribution(0.0, 0.3, step=0.1),
            "c": IntDistribution(10, 12, step=2),
            "single": IntDistribution(3, 3),
        },
        16,
    ),
}


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def _value(trial: optuna.trial.FrozenTrial) -> float:
    return sum(
        d.to_internal_repr(trial.params[name]) * (-1.3) ** i
        for i, (name, d) in enumerate(sorted(trial.distributions.items()))
    )


def _objective(space: Space) -> Callable[[optuna.Trial], float]:
    def objective(trial: optuna.Trial) -> float:
        for name, distribution in space.items():
            trial._suggest(name, distribution)
        return _value(trial._cached_frozen_trial)

    return objective


def _points(study: optuna.Study) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(t.params[name] for name in sorted(t.params)) for t in study.trials)


@pytest.mark.parametrize("n_startup_trials", [0, 4, 16, 30])
@pytest.mark.parametrize("name", SPACES)
def test_all_points_are_visited_in_as_many_trials(name: str, n_startup_trials: int) -> None:
    space, size = SPACES[name]
    for seed in range(3):
        sampler = GammaBOSampler(seed=seed, n_startup_trials=n_startup_trials)
        study = optuna.create_study(sampler=sampler)
        study.optimize(_objective(space), n_trials=size)
        assert len(_points(study)) == size


@pytest.mark.parametrize("deterministic_objective", [None, True])
@pytest.mark.parametrize("acquisition", ["gamma", "gaussian", "conjugate"])
def test_with_failures_and_enqueued_trials(
    acquisition: Any, deterministic_objective: bool | None
) -> None:
    space, size = SPACES["4 x 4"]

    def objective(trial: optuna.Trial) -> float:
        value = _objective(space)(trial)
        if trial.number == 3:
            raise optuna.TrialPruned
        return math.nan if trial.number % 5 == 1 else value

    for seed in range(3):
        sampler = GammaBOSampler(
            seed=seed, acquisition=acquisition, deterministic_objective=deterministic_objective
        )
        study = optuna.create_study(sampler=sampler)
        for point in ({"a": 2, "b": 2}, {"a": 0}, {"b": -1}):
            study.enqueue_trial(point)
        study.optimize(objective, n_trials=size)
        assert len(_points(study)) == size


def test_with_source_trials() -> None:
    for space, size in SPACES.values():
        source = optuna.create_study(sampler=GammaBOSampler(seed=0))
        source.optimize(_objective(space), n_trials=8)
        for seed in range(2):
            sampler = GammaBOSampler(seed=seed, source_trials=source.trials)
            study = optuna.create_study(sampler=sampler)
            study.optimize(_objective(space), n_trials=size)
            assert len(_points(study)) == size


def test_trials_that_run_at_the_same_time() -> None:
    """Each of four workers asks for its next trial while those of the others are running."""
    space, size = SPACES["4 x 4"]
    for seed in range(4):
        study = optuna.create_study(sampler=GammaBOSampler(seed=seed))
        running: list[optuna.Trial] = []
        for _ in range(size):
            trial = study.ask()
            for name, distribution in space.items():
                trial._suggest(name, distribution)
            running.append(trial)
            if len(running) == 4:
                done = running.pop(0)
                study.tell(done, _value(done._cached_frozen_trial))
        assert len(_points(study)) == size


def test_points_out_of_a_range_that_changed_are_none_of_its_points() -> None:
    study = optuna.create_study(sampler=GammaBOSampler(seed=0, n_startup_trials=1))
    for state in (TrialState.FAIL, TrialState.RUNNING):
        wide = {"a": IntDistribution(0, 9)}
        study.add_trial(optuna.create_trial(state=state, params={"a": 9}, distributions=wide))
    study.optimize(lambda t: -t.suggest_int("a", 0, 3), n_trials=4)
    assert {t.params["a"] for t in study.trials[2:]} == {0, 1, 2, 3}


def test_a_large_space_is_visited_to_its_last_point() -> None:
    space: Space = {"a": IntDistribution(0, 59), "b": IntDistribution(0, 49)}
    study = optuna.create_study(sampler=GammaBOSampler(seed=0))
    left = [(7, 3), (33, 48), (59, 0)]
    study.add_trials(
        optuna.create_trial(params={"a": a, "b": b}, distributions=space, value=a + b)
        for a in range(60)
        for b in range(50)
        if (a, b) not in left
    )
    asked = [tuple(study.ask(space).params.values()) for _ in left]
    assert sorted(asked) == left


def test_an_exhausted_space_is_said_to_be_so_once(caplog: pytest.LogCaptureFixture) -> None:
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(study_name="s", storage=storage)
    for n_trials, messages in ((4, 0), (1, 1), (3, 1)):
        sampler = GammaBOSampler(seed=0)  # a new worker
        study = optuna.load_study(study_name="s", storage=storage, sampler=sampler)
        with caplog.at_level(logging.WARNING, logger="optuna.optuna_gamma.sampler"):
            study.optimize(lambda t: t.suggest_int("a", 0, 3), n_trials=n_trials)
        assert len([r for r in caplog.records if "search space" in r.getMessage()]) == messages


def test_when_repeats_are_allowed_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    study = optuna.create_study(sampler=GammaBOSampler(seed=0, deterministic_objective=False))
    with caplog.at_level(logging.WARNING, logger="optuna.optuna_gamma.sampler"):
        study.optimize(lambda t: t.suggest_int("a", 0, 3), n_trials=8)
    assert not caplog.records


def test_an_exhausted_space_is_searched_on_where_it_is_good() -> None:
    def noisy(trial: optuna.Trial) -> float:
        a, b = trial.suggest_int("a", 0, 3), trial.suggest_int("b", 0, 3)
        return float(a + b + 0.3 * math.sin(100.0 * trial.number))

    for seed in range(3):
        study = optuna.create_study(sampler=GammaBOSampler(seed=seed))
        study.optimize(noisy, n_trials=40)
        again = [t.params["a"] + t.params["b"] for t in study.trials[16:]]
        assert sum(total <= 1 for total in again) > len(again) // 2


def test_in_an_exhausted_space_running_points_are_the_last_choice() -> None:
    space: Space = {"a": IntDistribution(0, 3)}
    study = optuna.create_study(sampler=GammaBOSampler(seed=0))
    study.add_trials(
        optuna.create_trial(params={"a": a}, distributions=space, value=a) for a in range(4)
    )
    assert {study.ask(space).params["a"] for _ in range(4)} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("kind", "best"),
    [
        (IntDistribution(1, 5000, log=True), 7),
        (IntDistribution(1, 10**6, log=True), 1),
        (IntDistribution(1, 5000), 2),
        (FloatDistribution(0, 1, step=1e-4), 0.3),
    ],
)
@pytest.mark.parametrize("others", [{}, {"b": IntDistribution(1, 3)}])
def test_points_are_not_repeated_where_values_are_too_many_for_a_grid(
    kind: BaseDistribution, best: float, others: Space
) -> None:
    study = optuna.create_study(sampler=GammaBOSampler(seed=0))
    points = set()
    for _ in range(25):
        trial = study.ask({"a": kind, **others})
        points.add(tuple(trial.params.values()))
        study.tell(trial, abs(math.log(trial.params["a"] + 0.01) - math.log(best + 0.01)))
    assert len(points) == 25


def test_spaces_larger_than_any_double_are_searched() -> None:
    study = optuna.create_study(sampler=GammaBOSampler(seed=0))
    space: Space = {f"p{i:04}": CategoricalDistribution([False, True]) for i in range(1030)}
    for _ in range(5):
        trial = study.ask(space)
        study.tell(trial, float(sum(trial.params.values())))
