"""Parameters that others give: enqueued ones, and those of ``PartialFixedSampler``."""

from __future__ import annotations

from collections.abc import Callable
import json
import math
from statistics import median
import warnings

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import PartialFixedSampler
import pytest

from optuna_gamma import GammaBOSampler
from optuna_gamma.fits import THETA_KEY
from optuna_gamma.pending import PROPOSAL_KEY


BEST = {"a": 2.0, "b": -3.0}


def objective(trial: optuna.Trial) -> float:
    kind = trial.suggest_categorical("kind", ["a", "b"])
    return (trial.suggest_float("x", -5, 5) - BEST[kind]) ** 2 + (20 if kind == "b" else 0)


def two(trial: optuna.Trial) -> tuple[float, float]:
    return objective(trial), trial.params["x"]


def fixed(kind: str) -> PartialFixedSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return PartialFixedSampler({"kind": kind}, GammaBOSampler(seed=0))


def run(n_trials: int = 15) -> optuna.Study:
    study = optuna.create_study(sampler=GammaBOSampler(seed=0))
    study.optimize(objective, n_trials=n_trials)
    return study


@pytest.mark.parametrize("kind", ["a", "b"])
def test_what_is_enqueued_decides_the_rest(kind: str) -> None:
    study = run()
    for _ in range(6):
        study.enqueue_trial({"kind": kind})
    study.optimize(objective, n_trials=6)
    asked = study.trials[15:]
    assert {trial.params["kind"] for trial in asked} == {kind}
    # The best of the other kind is far better or far worse: neither hides what can be improved.
    assert min(abs(trial.params["x"] - BEST[kind]) for trial in asked) < 0.2


@pytest.mark.parametrize("kind", ["a", "b"])
def test_what_is_fixed_decides_the_rest(kind: str) -> None:
    study = run()
    study.sampler = fixed(kind)
    study.optimize(objective, n_trials=6)
    asked = study.trials[15:]
    assert {trial.params["kind"] for trial in asked} == {kind}
    assert min(abs(trial.params["x"] - BEST[kind]) for trial in asked) < 0.2


def constrained(trial: optuna.Trial) -> float:
    value = objective(trial)
    trial.set_constraint("x", trial.params["x"] - 4)
    return value


def fronts(trial: optuna.Trial) -> tuple[float, float]:
    """That of kind b has x from -3 to -2.5, and is dominated by that of kind a."""
    value = objective(trial)
    shift = 0.0 if trial.params["kind"] == "a" else 20.0
    return value, (trial.params["x"] - BEST[trial.params["kind"]] - 0.5) ** 2 + shift


@pytest.mark.parametrize("objective", [constrained, fronts])
def test_what_is_out_of_reach_is_not_to_be_improved_on(
    objective: Callable[[optuna.Trial], float | tuple[float, float]],
) -> None:
    nearest = []
    for seed in range(5):
        study = optuna.create_study(
            directions=["minimize"] * (2 if objective is fronts else 1),
            sampler=GammaBOSampler(seed=seed),
        )
        study.optimize(objective, n_trials=15)
        study.sampler = fixed("b")
        study.optimize(objective, n_trials=6)
        nearest.append(min(abs(trial.params["x"] + 2.75) for trial in study.trials[15:]))
    assert median(nearest) < 0.3


def test_what_is_fixed_from_the_beginning() -> None:
    study = optuna.create_study(sampler=fixed("b"))
    study.optimize(objective, n_trials=15)
    assert study.best_value < 20.1


def valley(trial: optuna.Trial) -> float:
    x, y = trial.suggest_float("x", -5, 5), trial.suggest_float("y", -5, 5)
    return (x - y) ** 2 + 0.1 * (y - 3) ** 2


def test_what_is_given_does_not_change_what_is_believed() -> None:
    fits = set()
    for given in ({}, {"x": 1.0}, {"y": -3.0}):
        study = optuna.create_study(sampler=GammaBOSampler(seed=0))
        study.optimize(valley, n_trials=10)
        study.enqueue_trial(given)
        study.optimize(valley, n_trials=1)
        fits.add(study.trials[-1].system_attrs[THETA_KEY])
    assert len(fits) == 1


def test_what_is_fixed_may_be_asked_for_last() -> None:
    study = optuna.create_study(sampler=GammaBOSampler(seed=0))
    study.optimize(valley, n_trials=15)
    with pytest.warns(ExperimentalWarning):
        study.sampler = PartialFixedSampler({"y": -3.0}, study.sampler)
    study.optimize(valley, n_trials=6)
    assert min(abs(trial.params["x"] + 3.0) for trial in study.trials[15:]) < 0.2


@pytest.mark.parametrize("n_startup_trials", [4, 99])
def test_a_row_of_a_finite_space_is_visited_whole(n_startup_trials: int) -> None:
    def cells(trial: optuna.Trial) -> float:
        return sum(trial.suggest_int(name, 0, 2) for name in "bca") + 0.0

    study = optuna.create_study(sampler=GammaBOSampler(seed=0, n_startup_trials=n_startup_trials))
    study.optimize(cells, n_trials=6)
    n_before = sum(trial.params["a"] == 1 for trial in study.trials)
    with pytest.warns(ExperimentalWarning):
        study.sampler = PartialFixedSampler({"a": 1}, study.sampler)
    study.optimize(cells, n_trials=9 - n_before)
    row = [tuple(trial.params.values()) for trial in study.trials if trial.params["a"] == 1]
    assert len(set(row)) == len(row) == 9


@pytest.mark.parametrize("n_source_trials", [0, 6])
def test_start_up_trials_share_what_they_are_given(n_source_trials: int) -> None:
    source = run(n_source_trials).trials
    study = optuna.create_study(sampler=GammaBOSampler(seed=0, source_trials=source))
    study.optimize(objective, n_trials=1)
    study.enqueue_trial({"x": 4.5})
    study.ask().suggest_categorical("kind", ["a", "b"])
    assert study.trials[-1].system_attrs[PROPOSAL_KEY]["x"] == 4.5


def test_several_objectives() -> None:
    study = optuna.create_study(directions=["minimize"] * 2, sampler=GammaBOSampler(seed=0))
    study.optimize(two, n_trials=8)
    study.enqueue_trial({"kind": "b"})
    study.optimize(two, n_trials=1)
    study.sampler = fixed("b")
    study.optimize(two, n_trials=2)
    assert [trial.params["kind"] for trial in study.trials[8:]] == ["b"] * 3


def test_a_finite_space_is_not_exhausted_because_a_row_of_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def cells(trial: optuna.Trial) -> float:
        return trial.suggest_int("i", 0, 3) + trial.suggest_int("j", 0, 3)

    optuna.logging.set_verbosity(optuna.logging.INFO)
    optuna.logging.enable_propagation()
    study = optuna.create_study(sampler=GammaBOSampler(seed=0))
    for _ in range(9):
        study.enqueue_trial({"i": 1})
    study.optimize(cells, n_trials=9)
    optuna.logging.disable_propagation()
    assert "finished with value" in caplog.text
    assert {trial.params["j"] for trial in study.trials} == {0, 1, 2, 3}
    assert "All points" not in caplog.text


def test_fits_belong_to_the_same_parameters_whatever_is_held_fixed() -> None:
    """Only `a` matters, so its length-scale is the shortest in every fit."""

    def rough(trial: optuna.Trial) -> float:
        x = {name: trial.suggest_float(name, 0, 1) for name in "abc"}
        return math.sin(20.0 * x["a"])

    plain = GammaBOSampler(seed=0)
    study = optuna.create_study(sampler=plain)
    study.optimize(rough, n_trials=40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.sampler = PartialFixedSampler({"a": 0.5}, plain)
    study.optimize(rough, n_trials=4)
    study.sampler = plain
    study.optimize(rough, n_trials=4)
    for trial in study.trials[40:]:
        theta = json.loads(trial.system_attrs[THETA_KEY])["theta"]
        assert np.argmin(theta[:3]) == 0
