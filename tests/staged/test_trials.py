"""Failed, pruned, infinite and broken trials."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
import math
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import create_trial
from optuna.trial import TrialState
import pytest

from optuna_gamma.staged import CheckpointError
from optuna_gamma.staged import Stage
from optuna_gamma.staged import StagedStudy
from optuna_gamma.staged.trial import epochs_of


Create = Callable[..., StagedStudy]
Objective = Callable[[optuna.Trial, Stage], float]


def test_nan_caught_exceptions_and_pruning_count_and_are_not_promoted(
    create: Create, objective: Objective
) -> None:
    def fragile(trial: optuna.Trial, stage: Stage) -> float:
        value = objective(trial, stage)
        if trial.number == 0:
            if stage.number == 1:
                trial.set_user_attr("failure", "the loss was 1e9")
            return float("nan")
        if trial.number == 1:
            raise FloatingPointError("diverged")
        if trial.number == 2:
            trial.report(1e9, 0)
            raise optuna.TrialPruned
        return value

    staged = create()
    staged.optimize(fragile, 2, 4, catch=FloatingPointError)
    for study, record in zip(staged.studies, staged.schedule, strict=True):
        states = [trial.state for trial in study.trials]
        assert states == [TrialState.FAIL, TrialState.FAIL, TrialState.PRUNED, TrialState.COMPLETE]
        failures = [trial.user_attrs.get("failure") for trial in study.trials]
        assert failures[1] == "FloatingPointError: diverged"
        why = "the loss was 1e9" if record.number == 1 else "The objective returned NaN."
        assert failures[0] == why
        assert record.trial_number == 3


@pytest.mark.parametrize(
    ("said", "epochs"),
    [(3, 3.0), (0.5, 0.5), (None, 0.0), (True, 0.0), (-1, 0.0), (math.inf, 0.0), ("3", 0.0)],
)
def test_what_is_no_number_of_epochs_counts_as_none(said: Any, epochs: float) -> None:
    assert epochs_of(create_trial(value=0.0, user_attrs={"epochs": said})) == epochs
    assert epochs_of(create_trial(value=0.0)) == 0.0


def test_infinite_values_are_promoted(create: Create, objective: Objective) -> None:
    def infinite(trial: optuna.Trial, stage: Stage) -> float:
        value = objective(trial, stage)
        return float("inf") if trial.number == 1 else value

    staged = create()
    staged.optimize(infinite, 1, 3)
    assert staged.schedule[0].trial_number == 1
    assert create().schedule == staged.schedule


def test_all_trials_of_a_stage_fail(create: Create, tmp_path: Path, objective: Objective) -> None:
    broken = True

    def fragile(trial: optuna.Trial, stage: Stage) -> float:
        if stage.number == 1 and broken:
            raise ZeroDivisionError("lr too large")
        return objective(trial, stage)

    staged = create()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no trial to promote") as caught:
            staged.optimize(fragile, 3, 2, catch=(ZeroDivisionError,))
        assert "ZeroDivisionError: lr too large" in str(caught.value)
        assert "`n_trials` above 2" in str(caught.value)
        assert len(staged.load_best()["path"]) == 1
    broken = False
    staged.optimize(fragile, 3, 3, catch=(ZeroDivisionError,))
    assert [len(study.trials) for study in staged.studies] == [2, 3, 3]
    assert len(staged.schedule) == 3


def test_other_exceptions_stop_the_run_and_the_trial_runs_again(
    create: Create, objective: Objective
) -> None:
    broken = True

    def fragile(trial: optuna.Trial, stage: Stage) -> float:
        value = objective(trial, stage)
        if broken and (stage.number, trial.number) == (1, 1):
            raise KeyError("typo")
        return value

    staged = create()
    for _ in range(7):  # more often than a trial may lose its worker
        with pytest.raises(KeyError, match="typo"):
            staged.optimize(fragile, 2, 3, catch=(ValueError,))
    interrupted = staged.studies[1].trials[1]
    assert interrupted.state == TrialState.RUNNING
    broken = False
    create().optimize(fragile, 2, 3)
    again = staged.studies[1].trials[1]
    assert again.state == TrialState.COMPLETE
    assert again.params == interrupted.params
    assert len(staged.studies[1].trials) == 3


def test_an_objective_that_does_not_save(create: Create) -> None:
    calls = []

    def forgetful(trial: optuna.Trial, stage: Stage) -> float:
        calls.append(trial.number)
        return trial.suggest_float("x", 0, 1)

    with pytest.raises(RuntimeError, match=r"stage\.save\(trial, \{"):
        create().optimize(forgetful, 2, 3, catch=(Exception,))
    assert calls == [0]


@pytest.mark.parametrize("value", [None, "a", [1.0, 2.0]])
def test_an_objective_that_returns_no_number(
    create: Create, value: Any, objective: Objective
) -> None:
    def wrong(trial: optuna.Trial, stage: Stage) -> Any:
        objective(trial, stage)
        return value

    with pytest.raises(TypeError, match="must return one number"):
        create().optimize(wrong, 1, 1)


def test_what_cannot_be_saved_ends_the_run_even_if_it_is_caught(create: Create) -> None:
    def careless(trial: optuna.Trial, stage: Stage) -> float:
        with suppress(TypeError):
            stage.save(trial, {"model": {"hook": print}})
        return 1.0

    with pytest.raises(TypeError, match=r"state\['model'\]\['hook'\]"):
        create().optimize(careless, 1, 1, catch=(Exception,))

    def careful(trial: optuna.Trial, stage: Stage) -> float:
        with pytest.raises(TypeError):
            stage.save(trial, {"model": {"hook": print}})
        stage.save(trial, {"model": {}})
        return 1.0

    create().optimize(careful, 1, 1)

    def confused(trial: optuna.Trial, stage: Stage) -> float:
        stage.save({"model": 1}, trial)  # type: ignore[arg-type]
        return 1.0

    with pytest.raises(ValueError, match="must be given the trial"):
        create().optimize(confused, 2, 1, catch=(Exception,))


def test_a_damaged_parent_ends_the_run_and_is_named(
    create: Create, tmp_path: Path, objective: Objective
) -> None:
    staged = create()
    staged.optimize(objective, 1, 2)
    path = tmp_path / "run" / staged.schedule[0].checkpoint
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])

    def swallowing(trial: optuna.Trial, stage: Stage) -> float:
        with suppress(Exception):  # and train from scratch
            stage.load()
        return objective(trial, stage)

    for function in (objective, swallowing):
        with pytest.raises(CheckpointError, match="damaged") as caught:
            create().optimize(function, 2, 2, catch=(Exception,))
        assert str(path) in str(caught.value)
    with pytest.raises(CheckpointError, match="damaged"):
        staged.load_best()
    path.write_bytes(whole)
    create().optimize(objective, 2, 2)
    assert len(staged.schedule) == 2


@pytest.mark.parametrize(
    "pruner",
    [
        lambda: optuna.pruners.MedianPruner(n_startup_trials=1),
        lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1),
        lambda: optuna.pruners.HyperbandPruner(min_resource=1, max_resource=4),
        lambda: optuna.pruners.ThresholdPruner(upper=0.6),
    ],
    ids=["median", "successive-halving", "hyperband", "threshold"],
)
def test_any_pruner_decides_as_if_nothing_had_happened(
    create: Create,
    tmp_path: Path,
    pruner: Callable[[], optuna.pruners.BasePruner],
    recwarn: pytest.WarningsRecorder,
) -> None:
    """A trial is taken over after each of its reports."""
    interruptions: set[tuple[int, int]] = set()

    def reporting(trial: optuna.Trial, stage: Stage) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        stage.save(trial, {})
        for step in range(1, 5):
            trial.report(x * (1 - 0.2 * step), step)
            if (trial.number, step) in interruptions:
                interruptions.remove((trial.number, step))
                raise KeyboardInterrupt
            if trial.should_prune():
                raise optuna.TrialPruned
        return x

    def states(name: str) -> list[Any]:
        staged = create(directory=tmp_path / name, pruner=pruner(), seed=3)
        while len(staged.schedule) < 1:
            with suppress(KeyboardInterrupt):
                staged.optimize(reporting, 1, 8)
        return [(t.state, t.params, t.intermediate_values) for t in staged.studies[0].trials]

    undisturbed = states("undisturbed")
    interruptions.update((number, step) for number in range(8) for step in range(1, 5))
    assert states("interrupted") == undisturbed
    assert not [w for w in recwarn if "already reported" in str(w.message)]


def test_reports_and_pruners(create: Create, objective: Objective) -> None:
    def reporting(trial: optuna.Trial, stage: Stage) -> float:
        value = objective(trial, stage)
        for step in range(3):
            trial.report(value - 10.0 * trial.number, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value - 10.0 * trial.number

    staged = create(pruner=optuna.pruners.MedianPruner(n_startup_trials=2))
    staged.optimize(reporting, 1, 5)
    states = [trial.state for trial in staged.studies[0].trials]
    assert states == [TrialState.COMPLETE] * 2 + [TrialState.PRUNED] * 3
