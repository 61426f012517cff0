"""What a terminal shows while a run goes on."""

from __future__ import annotations

import os
from pathlib import Path
import re
import subprocess
import sys

import pytest


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
def test_the_stages_as_they_go(small: list[str], tmp_path: Path, quiet: bool) -> None:
    said = on_a_terminal(
        *("train", *small, "--out", str(tmp_path / "run"), "--n-train", "400"),
        *("--epochs-per-stage", "20", "--threads", "1", *(["--quiet"] if quiet else [])),
    )
    if quiet:
        assert said == ""
        return
    assert "Epochs in total" in said
    assert re.search(r"1/2 +\d/3 .* 1 running, \d+ of 20 epochs", said)
    assert re.search(r"digits: \d of 2 stages finished, 1 trial running, about .* left", said)
