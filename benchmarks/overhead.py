"""Milliseconds per proposal, against GPSampler in the same process.

Both samplers are asked, in turn, for the next trial of the same history: n completed trials of
random points, in memory. What is timed is what a user waits for: ask and all suggestions.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import math
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
    Preset.smoke: ((2, 10), (10, 30, 100), 5),
    Preset.cpu: ((2, 10, 30), (10, 30, 100, 200, 400), 9),
    Preset.paper: ((2, 10, 30), (10, 30, 100, 200, 400, 1000, 2000), 9),
}
"""Dimensions, numbers of completed trials, and repeats."""

SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "GammaBOSampler": lambda seed: GammaBOSampler(seed=seed),
    "GPSampler": lambda seed: GPSampler(seed=seed),
}


def run(preset: Preset, out: Path) -> None:
    """Measure all sizes and report medians."""
    warnings.simplefilter("ignore")
    dims, sizes, repeats = SIZES[preset]
    rows: list[dict[str, Any]] = []
    for d in dims:
        for n in sizes:
            times = measure(d, n, repeats)
            medians = {name: statistics.median(values) for name, values in times.items()}
            ratios = [
                a / b for a, b in zip(times["GammaBOSampler"], times["GPSampler"], strict=True)
            ]
            rows.append(
                {"dimension": d, "trials": n}
                | {f"{name} ms": round(1e3 * value, 2) for name, value in medians.items()}
                | {"ratio": round(statistics.median(ratios), 3)}
            )
    record = Record(
        name=f"overhead-{preset.value}",
        title="Time per proposal, median over repeats",
        rows=rows,
        seeds=range(repeats),
        packages=("torch", "greenlet"),
        notes="ratio: median over repeats of GammaBOSampler / GPSampler, measured in turn.",
    )
    record.save(out, _picture(rows))


def objective(x: Sequence[float]) -> float:
    """Evaluate a bowl with a wave in it whose coordinates matter less and less."""
    weights = np.geomspace(1, 0.01, len(x))
    return float(weights @ (np.array(x) - 0.3) ** 2) + math.sin(5 * x[0])


def measure(d: int, n: int, repeats: int) -> dict[str, list[float]]:
    """Time proposals after n trials in d dimensions: seconds, by sampler and repeat."""
    times: dict[str, list[float]] = {name: [] for name in SAMPLERS}
    for repeat in range(-1, repeats):  # the first round only warms caches and imports
        for name, make in SAMPLERS.items():
            study = _history(make(max(repeat, 0)), d, n - 1, seed=repeat + 1)
            # In a study that has been going on each fit starts from the one before.
            trial = _ask(study, d)
            study.tell(trial, objective(list(trial.params.values())))
            start = time.perf_counter()
            _ask(study, d)
            if repeat >= 0:
                times[name].append(time.perf_counter() - start)
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
            chosen = [row for row in rows if row["dimension"] == d]
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
