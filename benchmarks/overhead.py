"""Milliseconds per proposal, against GPSampler in the same process.

Both samplers are asked, in turn, for the next trials of the same history: n completed trials of
random points, in memory, and some that are running. What is timed is what a user waits for: ask
and all suggestions. The first proposal fits the hyper-parameters from nothing and is reported by
itself; then come :data:`PROPOSALS` more, of which GammaBOSampler fits some anew.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
import math
import multiprocessing
from pathlib import Path
import statistics
import time
from typing import Any
import warnings

import matplotlib.pyplot as plt
import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import GPSampler

from benchmarks.record import Preset
from benchmarks.record import Record
from optuna_gamma import GammaBOSampler


SIZES = {
    Preset.smoke: ((2, 10), (10, 30, 100), (0,), 2),
    Preset.cpu: ((2, 10, 30), (10, 30, 100, 400, 1000, 2000), (0, 8), 9),
    Preset.paper: ((2, 10, 30), (10, 30, 100, 200, 400, 1000, 2000), (0, 8), 9),
}
"""Dimensions, numbers of completed trials, numbers of running ones, and repeats."""

PROPOSALS = 5
"""How many are timed after the first."""

MANY = 400
"""From so many trials on there is one repeat only, with no trial running."""

TOO_MANY = 1000
"""After more trials GPSampler, which takes minutes, is not asked."""

SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "GammaBOSampler": lambda seed: GammaBOSampler(seed=seed),
    "GPSampler": lambda seed: GPSampler(seed=seed),
}


def run(preset: Preset, out: Path) -> None:
    """Measure all sizes and report medians."""
    warnings.simplefilter("ignore")
    dims, sizes, numbers_running, repeats = SIZES[preset]
    rows: list[dict[str, Any]] = []
    measure(dims[0], sizes[0], 0, 1)  # warms caches and imports
    for d, n, n_running in product(dims, sizes, numbers_running):
        if n >= MANY and n_running:
            continue
        times = measure(d, n, n_running, repeats if n < MANY else 1)
        rows.append({"dimension": d, "trials": n, "running": n_running} | _row(times))
    memory = peak_megabytes(dims[-1], sizes[-1])
    record = Record(
        name=f"overhead-{preset.value}",
        title="Time per proposal, median",
        rows=rows,
        seeds=range(repeats),
        packages=("torch", "greenlet"),
        notes=f"ratio: of the medians. A process that imports Optuna and GammaBOSampler and "
        f"proposes after {sizes[-1]} trials of {dims[-1]} parameters holds {memory:.0f} MB.",
    )
    record.save(out, _picture(rows))


def _row(times: dict[str, list[tuple[float, float]]]) -> dict[str, float | None]:
    """Return medians in milliseconds and their ratio; what was not measured is missing."""
    row: dict[str, float | None] = {}
    for j, label in enumerate(("", "first ")):
        for name in SAMPLERS:
            seconds = [pair[j] for pair in times.get(name, [])]
            row[f"{label}{name} ms"] = (
                round(1e3 * statistics.median(seconds), 2) if seconds else None
            )
    ours, theirs = (row[f"{name} ms"] for name in SAMPLERS)
    row["ratio"] = round(ours / theirs, 3) if ours and theirs else None
    return row


def peak_megabytes(d: int, n: int) -> float:
    """Measure the most memory that a process of its own holds that proposes after n trials."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_propose_once, d, n).result()


def _propose_once(d: int, n: int) -> float:
    _ask(_history(GammaBOSampler(seed=0), d, n, seed=0), d)
    # Not `getrusage`: a child begins with its parent's peak.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def objective(x: Sequence[float]) -> float:
    """Evaluate a bowl with a wave in it whose coordinates matter less and less."""
    weights = np.geomspace(1, 0.01, len(x))
    return float(weights @ (np.array(x) - 0.3) ** 2) + math.sin(5 * x[0])


def measure(d: int, n: int, n_running: int, repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Time proposals after n trials in d dimensions.

    Returns:
        By sampler, for each repeat and proposal: its seconds, and those of the first one.
    """
    names = [name for name in SAMPLERS if n <= TOO_MANY or name == "GammaBOSampler"]
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for repeat in range(repeats):
        for name in names:
            study = _history(SAMPLERS[name](repeat), d, n - 1, seed=repeat)
            for _ in range(n_running):
                _ask(study, d)
            seconds = []
            for _ in range(1 + PROPOSALS):
                start = time.perf_counter()
                trial = _ask(study, d)
                seconds.append(time.perf_counter() - start)
                study.tell(trial, objective(list(trial.params.values())))
            times[name] += [(value, seconds[0]) for value in seconds[1:]]
    return times


def _history(sampler: BaseSampler, d: int, n: int, seed: int) -> optuna.Study:
    study = optuna.create_study(sampler=sampler)
    for x in np.random.default_rng(seed).random((n, d)).tolist():
        study.add_trial(
            optuna.create_trial(
                params={f"x{j}": value for j, value in enumerate(x)},
                distributions={f"x{j}": FloatDistribution(0, 1) for j in range(d)},
                value=objective(x),
            )
        )
    return study


def _ask(study: optuna.Study, d: int) -> optuna.Trial:
    trial = study.ask()
    for j in range(d):
        trial.suggest_float(f"x{j}", 0, 1)
    return trial


def _picture(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plt.subplots(figsize=(6, 4))
    for d in sorted({row["dimension"] for row in rows}):
        for name, style in zip(SAMPLERS, ("o-", "s--"), strict=True):
            chosen = [
                row
                for row in rows
                if row["dimension"] == d and not row["running"] and row[f"{name} ms"]
            ]
            axes.loglog(
                [row["trials"] for row in chosen],
                [row[f"{name} ms"] for row in chosen],
                style,
                label=f"{name}, {d} parameters",
            )
    axes.set(xlabel="completed trials", ylabel="ms per proposal")
    axes.grid(which="both", alpha=0.3)
    axes.legend(fontsize="small")
    return figure
