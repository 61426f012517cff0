"""Seconds until something can be done: imports beside Optuna's own, and the command line's help.

Each is a process of its own, and all take turns, so that what else the machine does falls on all
alike. The first round is thrown away: it compiles what is imported, as pip does when it installs,
and brings the files into the system's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
from pathlib import Path
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.record import Preset
from benchmarks.record import Record


REPEATS = {Preset.smoke: 3, Preset.cpu: 31, Preset.paper: 101}

COMMANDS = ("train", "worker", "status", "export", "report", "replay", "dashboard", "clean")

OPTUNA = "import optuna"
"""What the others are compared with."""

_HELP = "import sys; from optuna_gamma.cli import main; sys.argv[1:] = {}; main()"

CODES = {
    "python": "pass",
    OPTUNA: OPTUNA,
    "import optuna_gamma": "import optuna_gamma",
    "from optuna_gamma import GammaBOSampler": "from optuna_gamma import GammaBOSampler",
    **{
        " ".join(("optuna-gamma", *words)): _HELP.format(list(words))
        for words in [("--help",), *((command, "--help") for command in COMMANDS)]
    },
}
"""What is timed, and how it is started."""


def run(preset: Preset, out: Path) -> None:
    """Time all and report medians."""
    repeats = REPEATS[preset]
    with tempfile.TemporaryDirectory() as compiled:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        rounds = [
            {name: measure(code, environment) for name, code in CODES.items()}
            for _ in range(1 + repeats)
        ]
    record = Record(
        name=f"startup-{preset.value}",
        title="Time to start",
        rows=[_row(name, rounds[1:]) for name in CODES],
        seeds=(),
        packages=("typer", "rich"),
        notes=f"Medians over {repeats} processes each, in turn. Ratio: median of those within a "
        f"round, to `{OPTUNA}`. Processor: its time alone, which does not count waiting for "
        "other processes.",
    )
    record.save(out)


def measure(code: str, environment: dict[str, str]) -> tuple[float, float]:
    """Run Python from its start to its end; return seconds by the clock and of the processor."""
    before, start = _processor_seconds(), time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL, check=True
    )
    return time.perf_counter() - start, _processor_seconds() - before


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _row(name: str, rounds: Sequence[dict[str, tuple[float, float]]]) -> dict[str, Any]:
    clock, processor = zip(*(each[name] for each in rounds), strict=True)
    return {
        "what": name,
        "ms": round(1e3 * statistics.median(clock)),
        "processor ms": round(1e3 * statistics.median(processor)),
        "ratio": round(statistics.median(each[name][0] / each[OPTUNA][0] for each in rounds), 2),
    }
