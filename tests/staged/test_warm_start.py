"""A stage's sampler starts from the trials of the stage before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from optuna_gamma import GammaBOSampler
from optuna_gamma.staged import Stage
from optuna_gamma.staged import StagedStudy


Create = Callable[..., StagedStudy]


def bowl(trial: optuna.Trial, stage: Stage) -> float:
    stage.load()
    x = trial.suggest_float("x", 0.0, 1.0)
    stage.save(trial, {"x": x})
    return 5.0 * stage.number - (x - 0.83) ** 2


def firsts(staged: StagedStudy) -> list[float]:
    return [study.trials[0].params["x"] for study in staged.studies]


def params(staged: StagedStudy) -> list[dict[str, float]]:
    return [trial.params for study in staged.studies for trial in study.trials]


@pytest.mark.parametrize("sampler", [None, GammaBOSampler(seed=1), lambda _: GammaBOSampler()])
def test_the_first_trial_of_a_stage_is_near_the_best_of_the_one_before(
    create: Create, sampler: object
) -> None:
    staged = create(warm_start=True, sampler=sampler)
    staged.optimize(bowl, n_stages=3, n_trials=8)
    assert firsts(staged)[1:] == pytest.approx([0.83, 0.83], abs=0.05)


def test_by_default_a_stage_starts_afresh(create: Create) -> None:
    staged = create(sampler=None)
    staged.optimize(bowl, n_stages=3, n_trials=8)
    assert firsts(staged) == [0.5, 0.5, 0.5]


def test_other_samplers_start_afresh(create: Create, tmp_path: Path) -> None:
    runs = []
    for warm_start in (False, True):
        staged = create(
            study_name=f"run-{warm_start}",
            directory=tmp_path / f"{warm_start}",
            warm_start=warm_start,
            sampler=lambda seed: optuna.samplers.TPESampler(seed=seed),
        )
        staged.optimize(bowl, n_stages=2, n_trials=4)
        runs.append(params(staged))
    assert runs[0] == runs[1]


def test_a_run_that_stops_and_goes_on_proposes_the_same(create: Create, tmp_path: Path) -> None:
    whole = create(warm_start=True, sampler=None)
    whole.optimize(bowl, n_stages=3, n_trials=6)

    def stopping(trial: optuna.Trial, stage: Stage) -> float:
        value = bowl(trial, stage)
        if trial.number % 4 == 2:
            trial.study.stop()
        return value

    for _ in range(12):
        parts = create(warm_start=True, sampler=None, directory=tmp_path / "parts")
        parts.optimize(stopping, n_stages=3, n_trials=6)
    assert params(parts) == params(whole)


def test_a_sampler_that_cannot_start_from_trials_is_refused_before_anything_runs(
    create: Create,
) -> None:
    staged = create(warm_start=True, sampler=GammaBOSampler(acquisition="conjugate"))
    with pytest.raises(ValueError, match='`source_trials` need `acquisition` "gamma"'):
        staged.optimize(bowl, n_stages=2, n_trials=2)
    assert [study.trials for study in staged.studies] == [[]]
