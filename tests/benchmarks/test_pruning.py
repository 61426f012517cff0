from __future__ import annotations

import json
import math
from pathlib import Path

import optuna
from optuna.trial import TrialState
import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.pruning.jobs import Job
from benchmarks.pruning.jobs import Outcome
from benchmarks.pruning.methods import SAMPLERS
from benchmarks.pruning.plan import Plan
from benchmarks.pruning.report import differences
from benchmarks.pruning.report import epochs_ratio
from benchmarks.pruning.task import EPOCHS
from benchmarks.pruning.task import SPACE
from benchmarks.pruning.task import Task
from benchmarks.samplers.setting import Setting


TASK = Task("digits", "loss", 100)

PARAMS = {"rate": 0.05, "momentum": 0.5, "weight_decay": 1e-4, "width": 16, "batch_size": 32}


def test_a_training_depends_on_parameters_and_seed_alone() -> None:
    first, again = ([r.valid for r in TASK.train(PARAMS, 1)] for _ in range(2))
    assert first == again
    assert len(first) == EPOCHS
    assert first[-1] < 0.7 * first[0]
    assert first != [report.valid for report in TASK.train(PARAMS, 2)]


def test_a_diverged_training_ends_with_nan() -> None:
    reports = [report.valid for report in TASK.train({**PARAMS, "rate": 1e30}, 0)]
    assert len(reports) < EPOCHS
    assert math.isnan(reports[-1])


def test_parts_of_the_data_share_nothing() -> None:
    train, valid, test = Task("digits", "error", 400).split(0)
    rows = [row.tobytes() for part in (train, valid, test) for row in part[0]]
    assert [len(part[1]) for part in (train, valid, test)] == [400, 400, 800]
    assert len(set(rows)) == len(rows) == 4 * 400


def test_epochs_are_compared_at_the_worse_of_two_final_values() -> None:
    ours = Outcome(((27, 3.0, 0.1), (60, 1.0, 0.1)), 5, 2)
    other = Outcome(((30, 2.5, 0.1), (120, 2.0, 0.1)), 5, 2)
    assert epochs_ratio(ours, other) == pytest.approx(60 / 120)
    assert epochs_ratio(other, ours) == pytest.approx(120 / 60)
    assert ours.value(26) == math.inf
    assert ours.value(59) == 3.0


def test_the_other_way_to_compare_is_what_one_needs_for_the_end_of_the_other() -> None:
    ours, other = Outcome(((27, 3.0, 0.1), (60, 1.0, 0.1)), 5, 2), Outcome(((30, 2.0, 0.1),), 5, 2)
    task, plan = TASK, Plan((TASK,), range(1), 100, ("HyperbandPruner",))
    outcomes = {
        Job(task, "gamma", "HyperbandPruner", 0, 100): ours,
        Job(task, "gp", "HyperbandPruner", 0, 100): other,
    }
    (row,) = differences(plan, outcomes)
    assert (row["ours to their last"], row["they to our last"]) == ("60", "> 100")
    assert (row["epochs"], row["value"]) == (2.0, "1 better, 0 worse")


def test_no_run_counts_what_lies_beyond_its_epochs() -> None:
    outcome = Job(TASK, "random", "MedianPruner", 0, 2 * EPOCHS + 5).run()
    assert outcome.trials == 3
    assert outcome.steps[-1][0] <= 2 * EPOCHS


def test_ablations_differ_only_once_a_trial_was_pruned() -> None:
    proposals = {}
    for name in ("gamma", "gamma, as failed", "gamma, ignored"):
        study = optuna.create_study(sampler=SAMPLERS[name].make(Setting(SPACE, 0, 10)))
        for value in (3.0, 1.0, 2.0, 4.0):
            trial = study.ask(SPACE)
            trial.report(value + 1.0, 1)
            study.tell(trial, value)
        without = study.ask(SPACE)
        without.report(4.5, 1)
        study.tell(without, state=TrialState.PRUNED)
        proposals[name] = (
            tuple(without.params.values()),
            tuple(study.ask(SPACE).params.values()),
        )
    assert len({first for first, _ in proposals.values()}) == 1
    assert len({second for _, second in proposals.values()}) == 3


def test_the_command_goes_on_where_it_ended(tmp_path: Path) -> None:
    command = ["pruning", "--preset", "smoke", "--jobs", "1", "--out", str(tmp_path)]
    assert CliRunner().invoke(app, command).exit_code == 0
    files = sorted((tmp_path / "pruning").glob("*.jsonl"))
    before = [path.read_text() for path in files]
    report = json.loads((tmp_path / "pruning-final-smoke.json").read_text())
    assert {row["sampler"] for row in report["rows"]} == set(SAMPLERS)

    files[0].write_text('{"torn')
    assert CliRunner().invoke(app, command).exit_code == 0
    assert [path.read_text() for path in files] == before
    again = json.loads((tmp_path / "pruning-final-smoke.json").read_text())
    assert again["rows"] == report["rows"]
