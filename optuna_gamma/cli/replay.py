"""What ``optuna-gamma replay`` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import json
import math
from pathlib import Path
import statistics
import sys
from typing import Any
from typing import TypeVar

from rich import box
from rich.console import Console
from rich.table import Table
from scipy import stats

from optuna_gamma.cli.errors import DONE
from optuna_gamma.cli.errors import exit_code
from optuna_gamma.cli.errors import FAILED
from optuna_gamma.cli.errors import say
from optuna_gamma.cli.files import METRICS
from optuna_gamma.cli.files import METRICS_FILE
from optuna_gamma.cli.files import METRICS_SCHEMA_VERSION
from optuna_gamma.cli.options import TrainOptions
from optuna_gamma.cli.plain import plain
from optuna_gamma.cli.progress import counted
from optuna_gamma.cli.task import create_task
from optuna_gamma.staged import StagedSchedule
from optuna_gamma.staged.identity import as_json
from optuna_gamma.staged.identity import fingerprint_differences
from optuna_gamma.staged.run import SCHEDULE_FILE
from optuna_gamma.staged.sealed import unseal
from optuna_gamma.vision import VisionTask


_T = TypeVar("_T")


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
    try:
        schedule = _read(out / SCHEDULE_FILE, StagedSchedule.from_json)
        metrics = _read(out / METRICS_FILE, lambda text: unseal(text, METRICS_SCHEMA_VERSION))
    except FileNotFoundError as error:
        raise ValueError(
            f"The run in {out} is not finished: there is no {error.filename}. {_finish(out)}"
        ) from error
    if len(metrics["stages"]) != len(schedule):
        raise ValueError(
            f"The run in {out} was extended and is not finished: {METRICS_FILE} is of "
            f"{counted(len(metrics['stages']), 'stage')}, {SCHEDULE_FILE} of {len(schedule)}. "
            f"{_finish(out)}"
        )
    own = metrics["final"]["test"]
    task = create_task(
        replace(options, data=data or options.data, device=device or options.device)
    )
    _check_same(metrics["fingerprint"], task, out)

    # The run's own seed is the one that the schedule was chosen with.
    seeds = range(options.seed + 1, options.seed + 1 + n_seeds)
    rows: dict[int, dict[str, float] | None] = {}
    console = Console(stderr=True, highlight=False, quiet=quiet or not sys.stderr.isatty())
    for seed in seeds:
        with console.status(f"Training with seed {seed}, {len(rows) + 1} of {n_seeds}"):
            try:
                state = schedule.replay(task, seed=seed).state
                rows[seed] = task.evaluate(state, "test").scalars
            except RuntimeError as error:  # it diverged; the other seeds may not
                say(error, FAILED)
                rows[seed] = None
    if as_json:
        content = {
            "seeds": [{"seed": seed, "test": row} for seed, row in rows.items()],
            "run": {"seed": options.seed, "test": {name: own[name] for name in METRICS}},
        }
        print(json.dumps(plain(content), indent=2))
    else:
        console = Console(highlight=False, markup=False, emoji=False)
        console.print(_table(rows, own, quiet))
    return DONE if any(rows.values()) else FAILED


def _check_same(fingerprint: dict[str, Any], task: VisionTask, out: Path) -> None:
    if differences := fingerprint_differences(fingerprint, as_json(task.fingerprint)):
        raise ValueError(
            f"The images or the network are not those of the run in {out}: "
            f"{'; '.join(differences)}."
        )


def _finish(out: Path) -> str:
    return f"`optuna-gamma worker {out}` finishes it."


def _table(rows: dict[int, dict[str, float] | None], own: dict[str, float], quiet: bool) -> Table:
    done = [row for row in rows.values() if row is not None]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("\nSeed", justify="right")
    for name in METRICS:
        table.add_column(f"Test\n{name}", justify="right", no_wrap=True)
    if not quiet:
        for seed, row in rows.items():
            table.add_row(
                str(seed), *(_digits(None if row is None else row[name]) for name in METRICS)
            )
    of_all = [[row[name] for row in done] for name in METRICS]
    if done:
        table.add_row("mean", *(_digits(statistics.fmean(values)) for values in of_all))
    notes = []
    if len(done) > 1:
        table.add_row("±", *(_digits(_margin(values)) for values in of_all))
        notes.append("±: 95 % confidence interval of the mean (Student's t)")
    table.add_row("the run", *(_digits(own[name]) for name in METRICS))
    if len(done) < len(rows):
        notes.append(f"{len(rows) - len(done)} of {counted(len(rows), 'seed')} came to nothing")
    table.caption = "\n".join(notes)
    return table


def _digits(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.4f}"


def _read(path: Path, parse: Callable[[bytes], _T]) -> _T:
    try:
        return parse(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _margin(values: list[float]) -> float:
    """Return half the width of the 95 % confidence interval of the mean."""
    if not all(map(math.isfinite, values)):
        return math.inf
    error = statistics.stdev(values) / math.sqrt(len(values))
    return float(stats.t.ppf(0.975, len(values) - 1)) * error
