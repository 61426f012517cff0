"""``optuna-gamma train`` once more, and after it was interrupted."""

from __future__ import annotations

from collections.abc import Callable
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
from typing import Any

import pytest
from safetensors.torch import load_file
from typer.testing import Result

from optuna_gamma import load_staged_study


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _trials(out: Path) -> list[list[tuple[Any, ...]]]:
    staged = load_staged_study(study_name="digits", directory=out)
    return [
        [(t.number, t.state, t.params, t.values, t.user_attrs) for t in study.trials]
        for study in staged.studies
    ]


def _python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        check=False,
    )


def test_same_command_shows_a_finished_run_again(
    finished: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch, trained: Callable[..., Result]
) -> None:
    out, first = finished
    monkeypatch.delattr("optuna_gamma.vision.task.train_epoch")
    before = _contents(out)
    again = trained(out)
    assert again.stdout == first.stdout
    assert "finished" in again.stderr
    assert _contents(out) == before


def test_more_stages_extend_the_run(
    tmp_path: Path, finished: tuple[Path, Result], trained: Callable[..., Result]
) -> None:
    two = _read(finished[0] / "schedule.json")["stages"]
    out = tmp_path / "run"
    trained(out, "--stages", "1")
    assert _read(out / "schedule.json")["stages"] == two[:1]
    result = trained(out)
    assert "trials left: 3" in result.stderr
    assert _read(out / "schedule.json")["stages"] == two
    assert _read(out / "metrics.json")["stages"] == _read(finished[0] / "metrics.json")["stages"]


@pytest.mark.parametrize("epoch", [3, 8])
def test_killed_run_resumes_as_if_undisturbed(
    tmp_path: Path,
    finished: tuple[Path, Result],
    epoch: int,
    trained: Callable[..., Result],
    small: list[str],
) -> None:
    """``kill -9`` when an epoch has been trained: of 12, two a trial, six a stage."""
    out = tmp_path / "run"
    script = f"""
import os, signal
from optuna_gamma.cli import main
from optuna_gamma.vision import task
train_epoch, calls = task.train_epoch, []
def killed(*arguments):
    calls.append(train_epoch(*arguments))
    if len(calls) == {epoch}:
        os.kill(os.getpid(), signal.SIGKILL)
    return calls[-1]
task.train_epoch = killed
main()
"""
    done = _python(script, "train", *small, "--out", str(out))
    assert done.returncode == -signal.SIGKILL, done.stderr
    before = [trials for stage in _trials(out) for trials in stage]
    result = trained(out)
    assert f"trials left: {6 - (epoch - 1) // 2}" in result.stderr
    assert _trials(out) == _trials(finished[0])
    finished_before = [t for t in before if t[1].is_finished()]
    assert len(finished_before) == (epoch - 1) // 2
    name = "schedule.json"
    assert (out / name).read_bytes() == (finished[0] / name).read_bytes()
    there, here = _read(finished[0] / "metrics.json"), _read(out / "metrics.json")
    for key in ("stages", "final", "epochs_spent"):
        assert there[key] == here[key]
    assert load_file(out / "best.safetensors").keys()
    for key, weights in load_file(finished[0] / "best.safetensors").items():
        assert weights.equal(load_file(out / "best.safetensors")[key])


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    times: int,
    train: Callable[..., Result],
    trained: Callable[..., Result],
) -> None:
    from optuna_gamma.vision import task

    train_epoch, out = task.train_epoch, tmp_path / "run"

    def interrupted(*arguments: Any) -> float:
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
        monkeypatch.setattr("optuna_gamma.vision.task.train_epoch", train_epoch)
        return train_epoch(*arguments)

    monkeypatch.setattr("optuna_gamma.vision.task.train_epoch", interrupted)
    result = train(out)
    assert result.exit_code == 130
    finished = [state.is_finished() for _, state, *_ in _trials(out)[0]]
    assert finished == [times == 1]
    how = "Stopped with 0 of 2 stages and 1 trial finished." if times == 1 else "Stopped at once."
    assert result.stderr.splitlines()[-1] == f"{how} The same command resumes the run."
    monkeypatch.setattr("optuna_gamma.vision.task.train_epoch", train_epoch)
    trained(out)
