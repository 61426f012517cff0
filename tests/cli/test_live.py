"""What a terminal shows while a run goes on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
import io
import os
from pathlib import Path
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from rich.console import Console
from rich.console import RenderableType

from optuna_gamma.cli.live import _Table
from optuna_gamma.cli.options import TrainOptions
from optuna_gamma.cli.progress import stages_table
from optuna_gamma.staged import create_staged_study
from optuna_gamma.staged import Stage


pty = pytest.importorskip("pty", reason="terminals of our own are there on POSIX systems only")


def on_a_terminal(*arguments: str) -> str:
    """Run ``optuna-gamma`` with a terminal for its messages; return what that was sent."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from optuna_gamma.cli import main; main()", *arguments]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=env)
    os.close(theirs)
    sent = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        sent += part
    os.close(ours)
    assert process.wait() == 0, sent.decode()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", sent.decode())


@pytest.mark.parametrize("quiet", [False, True])
def test_a_run_on_a_terminal(small: list[str], tmp_path: Path, quiet: bool) -> None:
    arguments = ["train", *small, "--out", str(tmp_path / "run"), "--threads", "1"]
    said = on_a_terminal(*arguments, *(["--quiet"] if quiet else []))
    assert ("Epochs in total" in said) != quiet
    if quiet:
        assert said == ""


def objective(trial: optuna.Trial, stage: Stage) -> float:
    x = trial.suggest_float("x", 0.0, 1.0)
    for step in range(2):
        trial.report(x, step)
    stage.save(trial, {})
    return x


def shown(table: RenderableType) -> str:
    console = Console(width=100, file=io.StringIO())
    console.print(table)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_a_trial_that_runs_alone_shows_its_epochs(tmp_path: Path) -> None:
    options = SimpleNamespace(stages=2, trials=3, epochs_per_stage=(4, 1))
    staged = create_staged_study(study_name="mine", directory=tmp_path)
    tables = []

    def looking(trial: optuna.Trial, stage: Stage) -> float:
        value = objective(trial, stage)
        status = staged.status()
        tables.append(shown(stages_table(status, 2, options)))  # type: ignore[arg-type]
        return value

    staged.optimize(looking, n_stages=2, n_trials=3)
    assert [re.findall(r"(\d/2) +(\d/3) .*1 running, (2 of \d) epochs", t) for t in tables] == [
        [(f"{stage}/2", f"{trial}/3", f"2 of {epochs}")]
        for stage, epochs in ((1, 4), (2, 1))
        for trial in range(3)
    ]
    few = shown(stages_table(staged.status(), 2, None, n_shown=1))
    assert "1/2" not in few
    assert "2/2" in few


def test_a_trial_taken_over_shows_the_epochs_of_its_new_worker(tmp_path: Path) -> None:
    options = SimpleNamespace(stages=1, trials=1, epochs_per_stage=4)
    staged = create_staged_study(study_name="mine", directory=tmp_path)
    seen: list[str] = []
    dies_after = iter([3, 2, None])

    def dying(trial: optuna.Trial, stage: Stage) -> float:
        last = next(dies_after)
        for step in range(5):
            table = shown(stages_table(staged.status(), 1, options))  # type: ignore[arg-type]
            seen.extend(re.findall(r"1 running, (\d) of 4 epochs", table))
            if step == last:
                raise KeyboardInterrupt
            if step < 4:
                trial.report(0.0, step)
        stage.save(trial, {})
        return trial.suggest_float("x", 0.0, 1.0)

    for _ in range(3):
        with suppress(KeyboardInterrupt):
            staged.optimize(dying, n_stages=1, n_trials=1)
    assert "".join(seen) == "0123" + "012" + "01234"


def test_a_table_is_read_apart_from_the_worker(tmp_path: Path, finished: tuple[Path, Any]) -> None:
    out, _ = finished
    options = TrainOptions.read(out)
    for height in (3, 40):  # even a terminal of three lines shows the last stage
        table = shown(_Table(options, Console(height=height)).read())
        assert "2/2" in table
        assert ("1/2" in table) == (height == 40)
    with pytest.raises(ValueError, match="holds no run"):
        _Table(replace(options, out=tmp_path), Console()).read()
