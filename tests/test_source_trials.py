"""Source trials: knowledge of a related study."""

from __future__ import annotations

from dataclasses import replace
import json
import logging
import math
import pickle
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
import pytest

from optuna_gamma import GammaBOSampler
from optuna_gamma.bo import outliers
from optuna_gamma.bo.process import GammaPrior
from optuna_gamma.bo.process import Process
from optuna_gamma.bo.transfer import Target
from optuna_gamma.fits import THETA_KEY
from optuna_gamma.history import observe
from optuna_gamma.source import SourceTrials
from optuna_gamma.space import Space
from optuna_gamma.surrogate import surrogate


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


class Bowl:
    """A bowl over two rates, whose lowest point can be elsewhere, and its values on any scale."""

    def __init__(self, centre: float = 0.3, scale: float = 1.0, level: float = 0.0) -> None:
        self.centre, self.scale, self.level = centre, scale, level

    def __call__(self, trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        return self.level + self.scale * self.distance(x, y)

    def distance(self, x: float, y: float) -> float:
        return (x - self.centre) ** 2 + 0.5 * (y - 0.8) ** 2

    def best(self, study: optuna.Study) -> float:
        return min(self.distance(**trial.params) for trial in study.trials)


def trials_of(objective: Any, n: int = 25, seed: int = 0) -> list[FrozenTrial]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    study.optimize(objective, n_trials=n)
    return study.trials


def run(objective: Any, n: int, source: list[FrozenTrial] | None, seed: int = 0) -> optuna.Study:
    sampler = GammaBOSampler(seed=seed, source_trials=source)
    study = optuna.create_study(study_name="s", sampler=sampler)
    study.optimize(objective, n_trials=n)
    return study


@pytest.mark.parametrize("target", [Bowl(), Bowl(scale=30, level=100), Bowl(scale=0.05, level=-3)])
def test_related_trials_help_from_the_first_trial_on(target: Bowl) -> None:
    source = trials_of(Bowl(0.33))
    for seed in range(3):
        assert target.best(run(target, 1, source, seed)) < 0.02
        assert target.best(run(target, 8, source, seed)) < 0.003


def test_trials_that_were_written_down_tell_as_much_as_a_study() -> None:
    source = trials_of(Bowl(0.33))
    written = [
        optuna.create_trial(params=t.params, distributions=t.distributions, value=t.value)
        for t in source
    ]
    runs = [[t.params for t in run(Bowl(), 6, trials).trials] for trials in (source, written)]
    assert runs[0] == runs[1]


def test_misleading_trials_are_not_believed_for_long() -> None:
    source = trials_of(lambda trial: -Bowl()(trial))
    found = [Bowl().best(run(Bowl(), 12, source, seed)) for seed in range(5)]
    assert np.median(found) < 1e-3


def test_trials_that_mislead_are_left_out_and_others_are_kept() -> None:
    def has_source(study: optuna.Study) -> list[bool]:
        fits = [json.loads(t.system_attrs[THETA_KEY]) for t in study.trials[8:]]
        return [fit.get("source", False) for fit in fits]

    def jagged(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        return math.sin(40 * x) + math.sin(40 * y)

    misled, helped = [], []
    for seed in range(5):
        misled += has_source(run(Bowl(), 14, trials_of(jagged), seed))
        helped += has_source(run(Bowl(), 14, trials_of(Bowl(0.33)), seed))
    assert np.mean(misled) < 0.2
    assert np.mean(helped) > 0.8


def test_what_was_left_out_can_come_back() -> None:
    source = SourceTrials(trials_of(Bowl(), 30))
    space = source.space()
    seen = source.observe(space, StudyDirection.MINIMIZE)
    assert seen is not None
    arguments = space.cube, seen[np.arange(10)], seen
    last = None
    for has_source in (True, False):
        process, fitted = surrogate(*arguments, last, GammaPrior(), None)
        assert isinstance(process, Target)
        assert fitted.has_source
        alone = surrogate(*arguments[:2], None, None, GammaPrior(), None)[1]
        assert not alone.has_source
        last = replace(alone, n=6) if has_source else None
    # Between fits the model is that of the last one.
    process, fitted = surrogate(*arguments, alone, GammaPrior(), None)
    assert isinstance(process, Process)
    assert fitted is alone


def test_many_values_beside_source_trials_are_judged_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outliers, "MAX_FITTED", 30)
    source = SourceTrials(trials_of(Bowl(), 40))
    space = source.space()
    known = source.observe(space, StudyDirection.MINIMIZE)
    assert known is not None
    seen = known[np.arange(30)]
    seen.values[11] -= 3.0
    fitted = surrogate(space.cube, seen, known, None, GammaPrior(), None)[1]
    assert fitted.distrusted.tolist() == [11]


def test_the_second_trial_is_the_middle() -> None:
    study = run(Bowl(), 3, trials_of(Bowl()))
    assert study.trials[0].params != {"x": 0.5, "y": 0.5}
    assert study.trials[1].params == {"x": 0.5, "y": 0.5}


def test_the_middle_is_no_reason_to_warn(caplog: pytest.LogCaptureFixture) -> None:
    def grows(trial: optuna.Trial) -> float:
        return Bowl()(trial) + (trial.suggest_float("z", 0, 1) if trial.number > 2 else 0.0)

    source = trials_of(Bowl())
    for n_startup_trials in (0, 1, 4):
        sampler = GammaBOSampler(seed=0, source_trials=source, n_startup_trials=n_startup_trials)
        study = optuna.create_study(sampler=sampler)
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="optuna.optuna_gamma.sampler"):
            study.optimize(grows, n_trials=3)
            assert not caplog.records
            study.optimize(grows, n_trials=2)
        # As a start-up trial it is no reason either, and then it is modelled.
        assert [("`z`" in r.getMessage()) for r in caplog.records] == [True] * len(caplog.records)
        assert bool(caplog.records) is (n_startup_trials < 4)


def test_what_failed_there_is_avoided_here() -> None:
    def diverges(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        return math.nan if x > 0.6 else x

    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0)
    )
    study.optimize(diverges, n_trials=16)
    sampler = GammaBOSampler(seed=0, source_trials=study.trials)
    target = optuna.create_study(direction="maximize", sampler=sampler)
    target.optimize(diverges, n_trials=6)
    failed = [trial for trial in target.trials if trial.state == TrialState.FAIL]
    assert len(failed) <= 2
    assert target.best_value > 0.55


UNUSABLE: dict[str, dict[str, BaseDistribution]] = {
    "other range": {"x": FloatDistribution(3, 30), "y": FloatDistribution(0, 1)},
    "other name": {"z": FloatDistribution(0, 1)},
    "one lacks": {"y": FloatDistribution(0, 1)},
    "other kind": {"x": CategoricalDistribution(["a", "b"]), "y": FloatDistribution(0, 1)},
}


def random_trials(
    space: dict[str, BaseDistribution], state: TrialState = TrialState.COMPLETE
) -> list[FrozenTrial]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(10):
        trial = study.ask(space)
        study.tell(trial, -100.0 if state == TrialState.COMPLETE else None, state)
    return study.trials


@pytest.mark.parametrize("n_startup_trials", [1, 4])
def test_of_no_use_they_are_as_none(n_startup_trials: int) -> None:
    inside = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
    sources = [random_trials(space) for space in UNUSABLE.values()]
    sources.append(random_trials(inside, TrialState.FAIL))
    runs = []
    for source in ([], *sources):
        sampler = GammaBOSampler(seed=0, source_trials=source, n_startup_trials=n_startup_trials)
        study = optuna.create_study(study_name="s", sampler=sampler)
        study.optimize(Bowl(), n_trials=10)
        runs.append([trial.params for trial in study.trials])
    assert runs[0][0] == {"x": 0.5, "y": 0.5}
    assert all(run == runs[0] for run in runs)


def test_trials_of_a_space_of_other_ranges_choices_or_scales_are_used() -> None:
    def wider(trial: optuna.Trial) -> float:
        trial.suggest_categorical("c", ["a", "b"])
        return Bowl().distance(trial.suggest_float("x", 0, 2), trial.suggest_float("y", 0, 1))

    def target(trial: optuna.Trial) -> float:
        c = trial.suggest_categorical("c", ["b", "c", "a"])
        return Bowl()(trial) + (c == "c")

    def logarithmic(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0.01, 1, log=True), trial.suggest_float("y", 0.01, 1)
        return Bowl().distance(x, y)

    for objective, source in ((target, wider), (Bowl(), wider), (Bowl(), logarithmic)):
        study = run(objective, 3, trials_of(source, 40))
        assert study.trials[0].params["x"] != 0.5
        assert study.trials[1].params["x"] == 0.5
        assert Bowl().distance(study.best_params["x"], study.best_params["y"]) < 0.04


def test_proposals_are_a_function_of_seed_and_trials() -> None:
    source = trials_of(Bowl(0.4))
    sampler = GammaBOSampler(seed=3, source_trials=source)
    copies = [sampler, pickle.loads(pickle.dumps(sampler)), GammaBOSampler(seed=3)]
    copies[-1] = copies[-1].with_source_trials(source)
    runs = []
    for copy in copies:
        study = optuna.create_study(study_name="s", sampler=copy)
        study.optimize(Bowl(), n_trials=8)
        runs.append([trial.params for trial in study.trials])
    assert runs[0] == runs[1] == runs[2]


def test_source_trials_are_encoded_once_for_a_space(monkeypatch: pytest.MonkeyPatch) -> None:
    spaces = []

    def counted(trials: list[FrozenTrial], space: Space, direction: StudyDirection) -> Any:
        spaces.append(list(space.distributions))
        return observe(trials, space, direction)

    monkeypatch.setattr("optuna_gamma.source.observe", counted)

    def objective(trial: optuna.Trial) -> float:
        return Bowl()(trial) if trial.number < 5 else trial.suggest_float("x", 0, 1)

    run(objective, 10, trials_of(Bowl()))
    # Again when y need not be there any more, and when it is given up.
    assert spaces == [["x", "y"], ["x", "y"], ["x"]]


def test_what_is_kept_of_source_trials_changes_nothing() -> None:
    space = Space({"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)})
    narrow = Space({"x": FloatDistribution(0, 0.5)})
    trials = trials_of(Bowl(), 130)
    kept = SourceTrials(trials)
    for direction in (StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE):
        for asked in (space, narrow, narrow, space):
            fresh = SourceTrials(trials).observe(asked, direction)
            for source in (kept, pickle.loads(pickle.dumps(kept))):
                seen = source.observe(asked, direction)
                for field in ("X", "values", "numbers", "is_complete"):
                    np.testing.assert_array_equal(getattr(seen, field), getattr(fresh, field))


def test_parallel_trials_differ_from_the_first_on() -> None:
    study = optuna.create_study(sampler=GammaBOSampler(seed=0, source_trials=trials_of(Bowl())))
    space = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
    points = [tuple(study.ask(space).params.values()) for _ in range(4)]
    assert len(set(points)) == 4


def test_many_source_trials_and_values_of_any_size() -> None:
    def wild(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.suggest_float("y", 0, 1)
        return [x, 1e300, -1e300, math.inf, 1e-300][trial.number % 5]

    study = run(wild, 12, trials_of(wild, n=300))
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"source_trials": ["trial"]}, TypeError, "`study.trials`, but one is 'trial'"),
        ({"source_trials": optuna.create_study()}, TypeError, "`study.trials`, but got <.*Study"),
        ({"source_trials": 3}, TypeError, "`study.trials`, but got 3"),
        ({"source_trials": False}, TypeError, "`study.trials`, but got False"),
        (
            {"source_trials": [optuna.create_trial(values=[1.0, 2.0])]},
            ValueError,
            "has 2",
        ),
        (
            {"source_trials": [optuna.create_trial(value=1.0)], "acquisition": "conjugate"},
            ValueError,
            "conjugate",
        ),
    ],
)
def test_bad_source_trials_are_refused(
    arguments: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        GammaBOSampler(**arguments)


def test_bad_source_trials_are_refused_later_too() -> None:
    with pytest.raises(TypeError, match="Study"):
        GammaBOSampler().with_source_trials(optuna.create_study())  # type: ignore[arg-type]


def test_constraints_are_searched_while_all_trials_fail() -> None:
    earlier = optuna.create_study(sampler=GammaBOSampler(seed=0))
    earlier.optimize(lambda t: t.suggest_float("x", -5, 5) ** 2, n_trials=6)

    def failing(trial: optuna.Trial) -> float:
        trial.suggest_float("x", -5, 5)
        trial.set_constraint("c", 1.0)
        raise OSError

    study = optuna.create_study(sampler=GammaBOSampler(seed=0, source_trials=earlier.trials))
    study.optimize(failing, n_trials=4, catch=OSError)
    assert len({trial.params["x"] for trial in study.trials}) == 4
