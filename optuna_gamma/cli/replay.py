"""What ``optuna-gamma replay`` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import json
import math
from pathlib import Path
import statistics
import sys
from typing import TypeVar

from rich import box
from rich.console import Console
from rich.table import Table
from scipy import stats

from optuna_gamma.cli.errors import DONE
from optuna_gamma.cli.errors import exit_code
from optuna_gamma.cli.files import METRICS_FILE
from optuna_gamma.cli.files import METRICS_SCHEMA_VERSION
from optuna_gamma.cli.options import TrainOptions
from optuna_gamma.cli.train import create_task
from optuna_gamma.staged import StagedSchedule
from optuna_gamma.staged.run import SCHEDULE_FILE
from optuna_gamma.staged.sealed import unseal


_T = TypeVar("_T")

_METRICS = ("accuracy", "loss", "sensitivity", "specificity", "mcc")


def run(
    out: Path, n_seeds: int, data: Path | None, device: str | None, quiet: bool, as_json: bool
) -> int:
    """Train from scratch with the schedule of the run in a folder, once a seed.

    Returns:
        The exit code.
    """
    return exit_code(lambda: _run(out, n_seeds, data, device, quiet, as_json))


def _run(
    out: Path, n_seeds: int, data: Path | None, device: str | None, quiet: bool, as_json: bool
) -> int:
    options = TrainOptions.read(out)
    schedule = _read(out / SCHEDULE_FILE, StagedSchedule.from_json)
    metrics = _read(out / METRICS_FILE, lambda text: unseal(text, METRICS_SCHEMA_VERSION))
    own = metrics["final"]["test"]
    task = create_task(
        replace(options, data=data or options.data, device=device or options.device)
    )

    # The run's own seed is the one that the schedule was chosen with.
    seeds = range(options.seed + 1, options.seed + 1 + n_seeds)
    rows: dict[int, dict[str, float]] = {}
    console = Console(stderr=True, highlight=False, quiet=quiet or not sys.stderr.isatty())
    for seed in seeds:
        with console.status(f"Training with seed {seed}, {len(rows) + 1} of {n_seeds}"):
            state = schedule.replay(task, seed=seed).state
            rows[seed] = task.evaluate(state, "test").scalars
    if as_json:
        content = {
            "seeds": [{"seed": seed, "test": row} for seed, row in rows.items()],
            "run": {"seed": options.seed, "test": {name: own[name] for name in _METRICS}},
        }
        print(json.dumps(content, indent=2))
    else:
        Console(highlight=False).print(_table(rows, own, quiet))
    return DONE


def _table(rows: dict[int, dict[str, float]], own: dict[str, float], quiet: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("\nSeed", justify="right")
    for name in _METRICS:
        table.add_column(f"Test\n{name}", justify="right", no_wrap=True)
    if not quiet:
        for seed, row in rows.items():
            table.add_row(str(seed), *(f"{row[name]:.4f}" for name in _METRICS))
    of_all = [[row[name] for row in rows.values()] for name in _METRICS]
    table.add_row("mean", *(f"{statistics.fmean(values):.4f}" for values in of_all))
    if len(rows) > 1:
        table.add_row("±", *(f"{_margin(values):.4f}" for values in of_all))
    table.add_row("the run", *(f"{own[name]:.4f}" for name in _METRICS))
    if len(rows) > 1:
        table.caption = "±: 95 % confidence interval of the mean (Student's t)"
    return table


def _read(path: Path, parse: Callable[[bytes], _T]) -> _T:
    try:
        return parse(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _margin(values: list[float]) -> float:
    """Return half the width of the 95 % confidence interval of the mean."""
    error = statistics.stdev(values) / math.sqrt(len(values))
    return float(stats.t.ppf(0.975, len(values) - 1)) * error
