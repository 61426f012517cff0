"""``optuna-gamma worker`` and ``replay``."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path
import signal
import statistics
from typing import Any

import numpy as np
import optuna
import pytest
from typer.testing import CliRunner

from optuna_gamma.cli.app import app
from optuna_gamma.cli.options import TrainOptions
from optuna_gamma.staged import create_staged_study
from optuna_gamma.staged import load_staged_study
from optuna_gamma.staged import StagedSchedule
from optuna_gamma.staged.replay import Replay


pytest.importorskip("torch")

from optuna_gamma.cli import train
from optuna_gamma.cli.results import write_options
from optuna_gamma.cli.task import create_task
from optuna_gamma.vision import ClassificationMetrics
from optuna_gamma.vision import VisionTask


SMALL = (
    *("train", "--dataset", "digits", "--n-train", "100", "--n-valid", "60"),
    *("--batch-size", "20", "--epochs-per-stage", "1", "--stages", "2", "--trials", "2"),
    *("--lr-min", "0.01", "--lr-max", "0.1", "--threads", "1"),
)


def finished(out: Path, *options: str) -> Path:
    result = CliRunner().invoke(app, [*SMALL, "--out", str(out), *options])
    assert result.exit_code == 0, result.output
    return out


def test_a_worker_goes_on_where_the_run_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from optuna_gamma.vision import task

    url = f"sqlite:///{tmp_path}/study.db"
    out = tmp_path / "run"
    train_epoch = task.train_epoch

    def interrupted(*arguments: Any) -> float:
        signal.raise_signal(signal.SIGINT)
        return train_epoch(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(task, "train_epoch", interrupted)
        result = CliRunner().invoke(app, [*SMALL, "--out", str(out), "--storage", url])
    assert result.exit_code == 130, result.output
    options = (out / "config.toml").read_bytes()
    here = ["--threads", "1", "--data", str(tmp_path), "--device", "cpu", "-q"]
    result = CliRunner().invoke(app, ["worker", "--out", str(out), "--storage", url, *here])
    assert result.exit_code == 0, result.output
    assert (out / "config.toml").read_bytes() == options  # what is this machine's is not the run's
    staged = load_staged_study(study_name="digits", storage=url, directory=out)
    assert [len(study.trials) for study in staged.studies] == [2, 2]


@pytest.mark.parametrize("query", ["", "?password=hunter2&application_name=x"])
def test_a_worker_asks_for_the_password_that_was_not_written_down(
    tmp_path: Path, query: str
) -> None:
    out = finished(tmp_path / "run")
    options = TrainOptions.read(out)
    user = "" if query else "me:hunter2@"
    task = create_task(options)
    write_options(task, replace(options, storage=f"postgresql+psycopg://{user}host/db{query}"))
    assert "hunter2" not in (out / "config.toml").read_text()
    for command in (["worker", str(out)], ["train", "--config", str(out / "config.toml")]):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 2
        assert "Give the whole URL with --storage" in result.stderr
        assert "***" in result.stderr


@pytest.mark.parametrize(("variable", "expected"), [("3", []), (None, [2])])
def test_a_worker_has_the_threads_of_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None, expected: list[int]
) -> None:
    out = finished(tmp_path / "run", "--stages", "1", "--threads", "2")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)  # PyTorch reads it when it is imported
    asked: list[int] = []
    monkeypatch.setattr("torch.set_num_threads", asked.append)
    assert CliRunner().invoke(app, ["worker", str(out)]).exit_code == 0
    assert asked == expected


def test_a_call_that_ends_late_takes_back_no_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = train._Follower.measure_promoted

    def extended_meanwhile(follower: train._Follower) -> None:
        measure(follower)
        if follower._options.stages == 1 and len(follower._staged.schedule) == 1:
            finished(tmp_path / "run")

    monkeypatch.setattr(train._Follower, "measure_promoted", extended_meanwhile)
    out = finished(tmp_path / "run", "--stages", "1")
    assert TrainOptions.read(out).stages == 2
    assert CliRunner().invoke(app, ["worker", str(out)]).exit_code == 0


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("config.toml", "worker"),
        ("config.toml", "replay"),
        ("metrics.json", "replay"),
        ("schedule.json", "replay"),
    ],
)
def test_a_flipped_bit_and_a_missing_byte_are_refused_by_name(
    tmp_path: Path, name: str, command: str
) -> None:
    out = finished(tmp_path / "run", "--stages", "1", "--trials", "1")
    path = out / name
    whole = path.read_bytes()
    middle = whole.index(b"0")
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for damaged in (flipped, whole[:-1], whole[: whole.index(b"\n") + 1], b""):
        path.write_bytes(damaged)
        result = CliRunner().invoke(app, [command, "--out", str(out)])
        assert result.exit_code == 2, result.output
        assert str(path) in result.stderr
        assert path.read_bytes() == damaged


@pytest.mark.parametrize("command", ["worker", "replay"])
def test_a_folder_without_a_run_is_named(tmp_path: Path, command: str) -> None:
    result = CliRunner().invoke(app, [command, "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert f"There is no {tmp_path / 'config.toml'}: give the folder of a run" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_replay_shows_mean_and_interval_beside_the_run(tmp_path: Path) -> None:
    out = finished(tmp_path / "run")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    result = CliRunner().invoke(app, ["replay", "--out", str(out), "--seeds", "3"])
    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: line.split() for line in result.output.splitlines() if line.split()}
    own = json.loads((out / "metrics.json").read_text())["final"]["test"]
    assert rows["the"][2] == f"{own['accuracy']:.4f}"
    accuracies = [float(rows[str(seed)][1]) for seed in (1, 2, 3)]
    assert float(rows["mean"][1]) == pytest.approx(sum(accuracies) / 3, abs=1e-4)
    half_width = statistics.stdev(accuracies) / 3**0.5 * 4.302653  # Student's t, 2 degrees
    assert float(rows["±"][1]) == pytest.approx(half_width, abs=2e-4)
    as_json = CliRunner().invoke(app, ["replay", str(out), "--seeds", "2", "--json"])
    content = json.loads(as_json.stdout)
    assert content["run"]["seed"] == 0
    assert content["run"]["test"]["accuracy"] == own["accuracy"]
    assert [row["seed"] for row in content["seeds"]] == [1, 2]
    assert [round(row["test"]["accuracy"], 4) for row in content["seeds"]] == accuracies[:2]
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_worker_begins_no_second_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    out = finished(tmp_path / "run", "--storage", "sqlite:///study.db", "--stages", "1")
    assert TrainOptions.read(out).storage == f"sqlite:///{tmp_path}/here/study.db"
    monkeypatch.chdir(tmp_path / "there")
    joined = CliRunner().invoke(app, ["worker", str(out)])
    assert joined.exit_code == 0, joined.output
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    mistyped = CliRunner().invoke(app, ["worker", str(out), "--storage", "sqlite:///studi.db"])
    assert mistyped.exit_code == 2, mistyped.output
    assert "There is no database studi.db" in mistyped.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    other = f"sqlite:///{tmp_path}/other.db"
    optuna.create_study(storage=other)
    begun = CliRunner().invoke(app, ["worker", str(out), "--storage", other])
    assert begun.exit_code == 2, begun.output
    assert "The storage holds no staged study 'digits', but none at all: give" in begun.stderr
    assert len(optuna.get_all_study_summaries(other)) == 1


@pytest.mark.parametrize("command", ["worker", "replay"])
def test_only_its_own_program_trains_a_run_that_was_made_in_python(
    tmp_path: Path, command: str
) -> None:
    create_staged_study(study_name="mine", directory=tmp_path).optimize(
        lambda trial, stage: stage.save(trial, {}) or trial.suggest_float("x", 0, 1), 1, 1
    )
    result = CliRunner().invoke(app, [command, str(tmp_path)])
    assert result.exit_code == 2
    assert "a program of your own made it" in result.stderr


def test_replay_trains_on_no_other_images(tmp_path: Path) -> None:
    path = tmp_path / "cells.npz"

    def write(seed: int) -> None:
        x = np.random.default_rng(seed).random((160, 8, 8), dtype=np.float32)
        y = np.arange(160) % 3
        np.savez(path, x_train=x, y_train=y, x_test=x[:20], y_test=y[:20])

    write(0)
    out = finished(tmp_path / "run", "--stages", "1", "--dataset", f"npz:{path}")
    write(1)
    result = CliRunner().invoke(app, ["replay", str(out), "--seeds", "1"])
    assert result.exit_code == 2, result.output
    assert "not those of the run" in result.stderr


def test_replay_compares_no_runs_of_different_lengths(tmp_path: Path) -> None:
    out = finished(tmp_path / "run", "--stages", "1")
    shorter = (out / "metrics.json").read_bytes()
    finished(out)
    (out / "metrics.json").write_bytes(shorter)
    for said in ("metrics.json is of 1 stage, schedule.json of 2", "there is no"):
        result = CliRunner().invoke(app, ["replay", str(out), "--seeds", "1"])
        assert result.exit_code == 2, result.output
        assert said in result.stderr
        assert f"`optuna-gamma worker {out}` finishes it" in result.stderr
        (out / "metrics.json").unlink(missing_ok=True)
    assert CliRunner().invoke(app, ["worker", str(out)]).exit_code == 0
    assert CliRunner().invoke(app, ["replay", str(out), "--seeds", "1"]).exit_code == 0


def test_replay_shows_seeds_that_came_to_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = finished(tmp_path / "run", "--stages", "1")
    of_schedule, evaluate, n_seeds = StagedSchedule.replay, VisionTask.evaluate, 3

    def replay(self: StagedSchedule, objective: VisionTask, *, seed: int) -> Replay:
        if seed == 2:
            raise RuntimeError("Stage 0 of the schedule came to nothing")
        return of_schedule(self, objective, seed=seed)

    def infinite(*arguments: Any) -> ClassificationMetrics:
        return replace(evaluate(*arguments), loss=float("inf"))

    monkeypatch.setattr(StagedSchedule, "replay", replay)
    monkeypatch.setattr(VisionTask, "evaluate", infinite)
    result = CliRunner().invoke(app, ["replay", str(out), "--seeds", str(n_seeds)])
    assert result.exit_code == 0, result.output
    assert "came to nothing" in result.stderr
    table = result.stdout.partition("the run")[0]
    rows = {line.split()[0]: line.split() for line in table.splitlines() if line.split()}
    assert rows["2"][1:] == ["–"] * 5
    assert rows["1"][2] == rows["mean"][2] == rows["±"][2] == "–"
    assert float(rows["mean"][1]) > 0
    assert "1 of 3 seeds came to nothing" in result.stdout
    as_json = CliRunner().invoke(app, ["replay", str(out), "--seeds", str(n_seeds), "--json"])
    tests = [row["test"] for row in json.loads(as_json.stdout)["seeds"]]
    assert tests[1] is None
    assert tests[0]["loss"] is None
    assert tests[0]["accuracy"] > 0
