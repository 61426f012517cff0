"""Spaces whose parameters depend on the values of others."""

from __future__ import annotations

from collections.abc import Callable
import logging
import math
from typing import Any
import warnings

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.samplers import PartialFixedSampler
from optuna.samplers import RandomSampler
from optuna.trial import TrialState
import pytest

from optuna_gamma import GammaBOSampler
from optuna_gamma.conditional import conditional_cube
from optuna_gamma.conditional import merge
from optuna_gamma.conditional import Union
from optuna_gamma.space import Space


UNIT = FloatDistribution(0, 1)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def branches(trial: optuna.Trial) -> float:
    """Model b with its own valley is best, by 0.2."""
    model = trial.suggest_categorical("model", ["a", "b", "c"])
    if model == "a":
        return 0.2 + (trial.suggest_float("rate", 0, 1) - 0.9) ** 2
    if model == "b":
        depth = trial.suggest_int("depth", 1, 3)
        widths = [trial.suggest_int(f"width_{k}", 1, 64, log=True) for k in range(depth)]
        return 0.1 * abs(depth - 2) + sum((math.log(w) - 2) ** 2 for w in widths) / depth
    return 0.3 + (math.log10(trial.suggest_float("C", 1e-4, 1e4, log=True)) - 1) ** 2


def trial(number: int, state: TrialState, **space: BaseDistribution) -> Any:
    return optuna.trial.FrozenTrial(
        number=number,
        state=state,
        value=0.0 if state == TrialState.COMPLETE else None,
        datetime_start=None,
        datetime_complete=None,
        params=dict.fromkeys(space, 0.5),
        distributions=space,
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        trial_id=number,
    )


def run(objective: Any, n: int, seed: int = 0, **options: Any) -> optuna.Study:
    study = optuna.create_study(study_name="s", sampler=GammaBOSampler(seed=seed, **options))
    study.optimize(objective, n_trials=n)
    return study


def test_it_finds_the_optimum_in_the_best_branch() -> None:
    ours, random = [], []
    for seed in range(3):
        ours.append(run(branches, 40, seed).best_value)
        study = optuna.create_study(sampler=RandomSampler(seed=seed))
        study.optimize(branches, n_trials=40)
        random.append(study.best_value)
    assert np.median(ours) < 0.05
    assert np.median(ours) < np.median(random)


def test_parameters_are_proposed_together_once_it_is_known_when_there_are_which(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, str]] = []
    independent = GammaBOSampler.sample_independent

    def spy(self: Any, study: Any, trial: Any, name: str, kind: BaseDistribution) -> Any:
        asked.append((trial.number, name))
        return independent(self, study, trial, name, kind)

    monkeypatch.setattr(GammaBOSampler, "sample_independent", spy)
    run(branches, 30)
    late = [name for number, name in asked if number > 15]
    assert len(late) == len(set(late))  # at most what a parameter's first trial asks for


def test_what_is_asked_for_and_was_not_proposed_is_modelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def whimsical(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        y = trial.suggest_float("y", 0, 1) if trial.number % 2 else 0.4
        return (x - 0.2) ** 2 + (y - 0.8) ** 2

    with caplog.at_level(logging.WARNING, logger="optuna.optuna_gamma.sampler"):
        study = run(whimsical, 26)
    assert not caplog.records
    late = [t.params["y"] for t in study.trials[14:] if "y" in t.params]
    assert np.median(np.abs(np.array(late) - 0.8)) < 0.15


def test_a_parameter_that_no_trial_has_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        return x if trial.number < 6 else x + trial.suggest_float("extra", 0, 1)

    for silent in (False, True):
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="optuna.optuna_gamma.sampler"):
            run(objective, 9, warn_independent_sampling=not silent)
        messages = [record.getMessage() for record in caplog.records]
        assert len(messages) == (0 if silent else 1)
        assert silent or "`extra` in Trial#6" in messages[0]


def test_points_of_a_finite_space_are_not_repeated() -> None:
    def objective(trial: optuna.Trial) -> float:
        if trial.suggest_categorical("model", ["a", "b"]) == "a":
            return float(trial.suggest_int("n", 0, 3))
        return 5.0 + trial.suggest_int("m", 0, 4) * trial.suggest_int("k", 0, 1)

    study = run(objective, 18)
    tried = [tuple(sorted(t.params.items())) for t in study.trials]
    assert len(set(tried)) >= 13  # of 4 + 10; start-up trials may repeat
    assert len(set(tried[4:])) >= len(tried[4:]) - 4


def test_branches_that_fail_are_left() -> None:
    def objective(trial: optuna.Trial) -> float:
        if trial.suggest_categorical("model", ["a", "b"]) == "a":
            trial.suggest_float("u", 0, 1)
            return math.nan
        return (trial.suggest_float("v", 0, 1) - 0.3) ** 2

    for seed in range(3):
        study = run(objective, 20, seed)
        failed = [t for t in study.trials if t.state == TrialState.FAIL]
        assert len(failed) <= 8
        assert study.best_value < 1e-3


def test_ranges_that_change_are_modelled() -> None:
    def dynamic(trial: optuna.Trial) -> float:
        high = trial.suggest_int("high", 2, 10)
        x = trial.suggest_float("x", 0, high)
        return (x - 6) ** 2 + 0.1 * high

    assert np.median([run(dynamic, 30, seed).best_value for seed in range(3)]) < 0.9

    wider = run(lambda trial: (trial.suggest_float("x", 0, 1) - 3) ** 2, 6)
    wider.optimize(lambda trial: (trial.suggest_float("x", 0, 10) - 3) ** 2, n_trials=10)
    assert abs(wider.best_params["x"] - 3) < 0.05
    narrower = run(lambda trial: (trial.suggest_float("x", 0, 10) - 3) ** 2, 8)
    narrower.optimize(lambda trial: (trial.suggest_float("x", 4, 5) - 3) ** 2, n_trials=5)
    assert all(4 <= t.params["x"] <= 5 for t in narrower.trials[8:])
    assert min(t.params["x"] for t in narrower.trials[8:]) < 4.05


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_ranges_that_change_beyond_what_floats_tell_apart(step: int, seed: int) -> None:
    # Together they have values that are one and the same as coordinates of a unit cube.
    kinds = [
        IntDistribution(0, step, step=step),
        IntDistribution(-(2**53 // step) * step, -step, step=step),
    ]

    def objective(trial: optuna.Trial) -> float:
        kind = kinds[trial.number % 2]
        x = trial.suggest_float("x", 0, 1)
        return x - float(trial.suggest_int("n", kind.low, kind.high, step=kind.step))

    for trial in run(objective, 20, seed).trials:
        assert trial.distributions["n"]._contains(trial.params["n"])


def test_enqueued_values_decide_what_is_proposed() -> None:
    study = run(branches, 20)
    for model in "abc":
        study.enqueue_trial({"model": model})
    study.enqueue_trial({"model": "b", "depth": 3})
    study.optimize(branches, n_trials=4)
    asked = [{"rate"}, {"C"}, {"depth", "width_0", "width_1", "width_2"}]
    for trial, names in zip([study.trials[k] for k in (20, 22, 23)], asked, strict=True):
        assert trial.params.keys() == {"model", *names}


def test_fixed_parameters() -> None:
    gaps = []
    for seed in range(5):
        study = run(branches, 20, seed)
        study.sampler = PartialFixedSampler({"model": "a"}, study.sampler)
        study.optimize(branches, n_trials=6)
        assert all(t.params.keys() == {"model", "rate"} for t in study.trials[20:])
        gaps.append(min(abs(t.params["rate"] - 0.9) for t in study.trials[20:]))
    assert np.median(gaps) < 0.05


def test_proposals_depend_on_the_storage_alone() -> None:
    undisturbed = run(branches, 16)
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(study_name="s", storage=storage)
    for _ in range(16):
        study = optuna.load_study(study_name="s", storage=storage, sampler=GammaBOSampler(seed=0))
        study.optimize(branches, n_trials=1)
    assert [t.params for t in study.trials] == [t.params for t in undisturbed.trials]


def test_source_trials_with_conditional_parameters() -> None:
    source = optuna.create_study(sampler=RandomSampler(seed=1))
    source.optimize(branches, n_trials=60)
    first = [run(branches, 2, seed, source_trials=source.trials).trials[0] for seed in range(3)]
    assert np.median([trial.value for trial in first]) < 0.4
    assert run(branches, 15, source_trials=source.trials).best_value < 0.2


def test_running_trials_are_avoided() -> None:
    study = run(branches, 20)
    asked = []
    for _ in range(5):
        trial = study.ask()
        branches(trial)
        asked.append(tuple(sorted(trial.params.items())))
    assert len(set(asked)) == 5


values = st.floats(allow_nan=False) | st.sampled_from([math.nan, 0.0])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), values), max_size=10))
@settings(deadline=None, max_examples=40)
def test_any_history_is_survived(rows: list[tuple[int, int, float]]) -> None:
    kinds: list[dict[str, BaseDistribution]] = [
        {"m": CategoricalDistribution(["a", "b"]), "x": FloatDistribution(0, 1)},
        {"x": FloatDistribution(0, 2), "n": IntDistribution(1, 9)},
        {},
    ]
    study = optuna.create_study(sampler=GammaBOSampler(seed=0, n_startup_trials=0))
    for kind, code, value in rows:
        space = kinds[kind]
        state = (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)[code % 3]
        if math.isnan(value):
            state = TrialState.FAIL
        trial = optuna.create_trial(
            state=state,
            value=value if state == TrialState.COMPLETE else None,
            params={name: {"m": "a", "x": 0.5, "n": 3}[name] for name in space},
            distributions=space,
        )
        study.add_trial(trial)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for space in kinds[:2]:
            params = study.ask(space).params
            assert all(k._contains(k.to_internal_repr(params[n])) for n, k in space.items())


DISTRIBUTIONS: Callable[[], st.SearchStrategy[IntDistribution]] = lambda: st.builds(  # noqa: E731
    lambda low, n, step: IntDistribution(low, low + n * step, step=step),
    st.integers(-20, 20),
    st.integers(0, 6),
    st.integers(1, 4),
)


@given(DISTRIBUTIONS(), DISTRIBUTIONS(), DISTRIBUTIONS())
def test_merged_ranges_hold_all_values_in_whatever_order(
    a: IntDistribution, b: IntDistribution, c: IntDistribution
) -> None:
    def both(x: BaseDistribution, y: BaseDistribution) -> BaseDistribution:
        merged = merge(x, y)
        assert merged is not None
        return merged

    merged = both(both(a, b), c)
    assert merged == both(a, both(c, b))
    for kind in (a, b, c):
        assert all(merged._contains(v) for v in range(kind.low, kind.high + 1, kind.step))


def test_ranges_that_do_not_fit() -> None:
    assert merge(FloatDistribution(0, 1), IntDistribution(0, 1)) is None
    assert merge(FloatDistribution(1, 2, log=True), FloatDistribution(1, 2)) is None
    assert merge(CategoricalDistribution("ab"), CategoricalDistribution("ba")) is None
    step = merge(FloatDistribution(0, 1, step=0.5), FloatDistribution(0.5, 2, step=0.5))
    assert step == FloatDistribution(0, 2, step=0.5)
    shifted = merge(FloatDistribution(0, 1, step=0.5), FloatDistribution(0.25, 2.25, step=0.5))
    assert shifted == FloatDistribution(0, 2.25)


def test_a_trial_that_broke_off_says_what_there_is_but_not_what_there_is_not() -> None:
    x, y = UNIT, FloatDistribution(0, 2)
    union = Union()
    common = {"x": x, "y": y}
    union.add(trial(0, TrialState.COMPLETE, x=x, y=y))
    union.add(trial(1, TrialState.FAIL, x=x))
    assert union.search_space(common) == common
    assert union.optional(["x", "y"]) == set()
    union.add(trial(2, TrialState.FAIL, x=x, z=x))
    assert union.search_space(common) == {"x": x, "y": y, "z": x}
    assert union.optional(["x", "y", "z"]) == {"y", "z"}


def test_a_parameter_that_the_objective_does_without_is_given_up() -> None:
    def both(trial: optuna.Trial) -> float:
        return only_x(trial) + trial.suggest_float("y", 0, 1)

    def only_x(trial: optuna.Trial) -> float:
        return abs(trial.suggest_float("x", 0, 1) - 0.7)

    study = run(both, 6)
    assert suggested(study).keys() == {"x", "y"}
    study.optimize(only_x, n_trials=2)
    assert suggested(study).keys() == {"x", "y"}
    study.optimize(only_x, n_trials=10)
    assert suggested(study).keys() == {"x"}
    assert min(trial.value or 0.0 for trial in study.trials[6:]) < 0.02
    study.optimize(both, n_trials=1)
    assert suggested(study).keys() == {"x", "y"}


def suggested(study: optuna.Study) -> dict[str, Any]:
    """Return what the next trial would be proposed."""
    view = study.sampler.view(study)
    assert view is not None
    params: dict[str, Any] = view.next_params
    return params


def test_other_branches_and_broken_off_trials_decline_nothing() -> None:
    union, names = Union(), {"x", "y"}
    for number in range(1, 9, 2):
        union.add(trial(number, TrialState.COMPLETE, x=UNIT, z=UNIT), names)
        union.add(trial(number + 1, TrialState.FAIL, x=UNIT), names)
    union.add(trial(0, TrialState.COMPLETE, x=UNIT, y=UNIT), names)
    assert union.search_space({"x": UNIT}).keys() == {"x", "y", "z"}


@given(st.permutations(range(6)))
def test_in_whatever_order_trials_are_seen_the_same_parameters_are_given_up(
    order: list[int],
) -> None:
    for last, left in ((2, {"x"}), (3, {"x", "y"})):
        union = Union()
        for number in order:
            had = {"x": UNIT, "y": UNIT} if number <= last else {"x": UNIT}
            union.add(trial(number, TrialState.COMPLETE, **had), {"x", "y"})
        assert union.search_space({"x": UNIT}).keys() == left


def test_given_values_are_kept() -> None:
    space = Space(
        {"m": CategoricalDistribution("ab"), "x": FloatDistribution(0, 2)}, frozenset({"x"})
    )
    X = space.encode([{"m": "a", "x": 1.0}, {"m": "b"}])
    np.testing.assert_array_equal(X, [[0.0, 0.5], [1.0, np.nan]])
    assert space.decode(X[1]) == {"m": "b"}
    is_complete = np.ones(2, dtype=np.bool_)
    cube = conditional_cube(space, X, is_complete, {"m": ["b"]}, ["m"])
    points = cube.activate(cube.from_unit(np.random.default_rng(0).random((5, 2))))
    np.testing.assert_array_equal(points, [[1.0, np.nan]] * 5)
    asked = conditional_cube(space, X, is_complete, {"m": ["b"]}, ["m", "x"])
    assert not np.isnan(asked.activate(asked.from_unit(np.full((1, 2), 0.3)))).any()
