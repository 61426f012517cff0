"""What dashboards, other programs and the curious find."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
import re
from typing import Any

import numpy as np
import optuna
import pytest

from optuna_gamma.staged import load_staged_study
from optuna_gamma.staged import Stage
from optuna_gamma.staged import StagedSchedule
from optuna_gamma.staged import StagedStudy


Create = Callable[..., StagedStudy]
Objective = Callable[[optuna.Trial, Stage], float]


def test_the_schedule_is_readable_while_the_run_goes_on(
    create: Create, tmp_path: Path, objective: Objective
) -> None:
    lengths = []

    def watched(trial: optuna.Trial, stage: Stage) -> float:
        reader = load_staged_study(study_name="run", directory=tmp_path / "run")
        lengths.append((len(reader.schedule), stage.number))
        if stage.number > 0:
            text = (tmp_path / "run" / "schedule.json").read_text()
            assert StagedSchedule.from_json(text) == reader.schedule
            assert reader.load_best() == stage.load()
        return objective(trial, stage)

    create().optimize(watched, 3, 2)
    assert all(n == number for n, number in lengths)


def test_attributes_are_small_and_the_internal_ones_have_a_prefix(
    create: Create, objective: Objective
) -> None:
    staged = create(fingerprint={"long": "x" * 10_000})
    staged.optimize(objective, 2, 2, enqueue=[{"x": 0.5}])
    for study in staged.studies:
        for trial in study.trials:
            assert set(trial.user_attrs) == {"twice"}
            internal = set(trial.system_attrs) - {"fixed_params"}
            assert all(key.startswith("gamma:") for key in internal)
            assert all(len(json.dumps(v)) < 2045 for v in trial.system_attrs.values())


def test_a_parent_is_recorded_with_each_trial(create: Create, objective: Objective) -> None:
    staged = create(keep="all")
    staged.optimize(objective, 2, 2)
    for trial in staged.studies[1].trials:
        parent = trial.system_attrs["gamma:trial"]["parent"]
        assert (parent["stage"], parent["trial"]) == (0, staged.schedule[0].trial_number)
        assert parent["sha256"] in staged.schedule[0].checkpoint


def test_progress_bar(
    create: Create, capfd: pytest.CaptureFixture[str], objective: Objective
) -> None:
    optuna.logging.set_verbosity(optuna.logging.INFO)
    staged = create()
    staged.optimize(objective, 1, 2, show_progress_bar=True)
    staged.optimize(objective, 2, 2, show_progress_bar=True)
    error = capfd.readouterr().err
    assert "4/4" in error
    assert "Stage 2/2, best trial:" in error


def test_a_progress_bar_counts_what_was_there_as_there(
    create: Create, capfd: pytest.CaptureFixture[str], objective: Objective
) -> None:
    """Else its rate would be that of trials which another call has run."""

    def stopping(trial: optuna.Trial, stage: Stage) -> float:
        if trial.number == 1:
            trial.study.stop()
        return objective(trial, stage)

    create().optimize(stopping, 1, 4)
    create().optimize(objective, 1, 4, show_progress_bar=True)
    assert re.findall(r"(\d)/4", capfd.readouterr().err)[0] == "2"


def test_importing_needs_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys, numpy as np, optuna_gamma.staged\n"
        "from optuna_gamma.staged.tree import encode\n"
        "encode({'w': np.ones(2)})\n"
        "assert not {'torch', 'sklearn', 'plotly', 'pandas'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_weights_of_numpy_go_from_stage_to_stage_bit_for_bit(create: Create) -> None:
    rng = np.random.default_rng(0)
    saved: list[np.ndarray[Any, Any]] = []

    def train(trial: optuna.Trial, stage: Stage) -> float:
        state = stage.load()
        if state is not None:
            assert any(np.array_equal(state["w"], w) for w in saved)
        saved.append(rng.normal(size=(3, 4)))
        stage.save(trial, {"w": saved[-1]})
        return trial.suggest_float("x", 0, 1)

    staged = create()
    staged.optimize(train, 3, 2)
    assert staged.load_best()["w"].dtype == np.float64
