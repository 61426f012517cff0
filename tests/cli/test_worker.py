"""``optuna-gamma worker`` and ``replay``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from optuna_gamma.cli.app import app
from optuna_gamma.staged import load_staged_study


pytest.importorskip("torch")

SMALL = (
    *("train", "--dataset", "digits", "--n-train", "100", "--n-valid", "60"),
    *("--batch-size", "20", "--epochs-per-stage", "1", "--stages", "2", "--trials", "2"),
    *("--lr-min", "0.01", "--lr-max", "0.1", "--threads", "1"),
)


def finished(out: Path, *options: str) -> Path:
    result = CliRunner().invoke(app, [*SMALL, "--out", str(out), *options])
    assert result.exit_code == 0, result.output
    return out


def test_a_worker_goes_on_where_the_run_was_left(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    out = finished(tmp_path / "run", "--storage", url, "--stages", "1")
    text = (out / "config.toml").read_text()
    (out / "config.toml").write_text(text.replace("stages = 1", "stages = 2"))
    result = CliRunner().invoke(app, ["worker", "--out", str(out), "--storage", url, "-q"])
    assert result.exit_code == 0, result.output
    staged = load_staged_study(study_name="digits", storage=url, directory=out)
    assert len(staged.schedule) == 2
    assert [len(study.trials) for study in staged.studies] == [2, 2]


def test_a_worker_asks_for_the_password_that_was_not_written_down(tmp_path: Path) -> None:
    out = finished(tmp_path / "run")
    (out / "config.toml").write_text(
        (out / "config.toml").read_text() + 'storage = "postgresql://me:***@host/db"\n'
    )
    result = CliRunner().invoke(app, ["worker", "--out", str(out)])
    assert result.exit_code == 2
    assert "Give the whole URL with --storage" in result.stderr


@pytest.mark.parametrize("command", ["worker", "replay"])
def test_a_folder_without_a_run_is_named(tmp_path: Path, command: str) -> None:
    result = CliRunner().invoke(app, [command, "--out", str(tmp_path / "absent")])
    assert result.exit_code == 2
    assert "config.toml" in result.stderr
    assert not (tmp_path / "absent").exists()


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
    assert rows["mean"][2] == "±"
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before

    damaged = (out / "schedule.json").read_bytes().replace(b"0", b"1", 1)
    (out / "schedule.json").write_bytes(damaged)
    result = CliRunner().invoke(app, ["replay", "--out", str(out)])
    assert result.exit_code == 2
    assert "schedule.json" in result.stderr
