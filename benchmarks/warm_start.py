"""What a stage gains from the trials of the stage before it.

Landscapes are real: along one staged run a data set every rate of a grid is trained from the
weights that the stage before promoted, and the best rate is promoted. Searches are then repeated
many times on each landscape, interpolated between its rates: with the trials that the same search
made on the stage before as source trials, and without. So both search the very same landscapes,
which in separate runs they would not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
import warnings

import matplotlib.pyplot as plt
import numpy as np
import optuna
from scipy import stats

from benchmarks.lines import add_line
from benchmarks.lines import read_lines
from benchmarks.pool import run_all
from benchmarks.record import Preset
from benchmarks.record import Record
from optuna_gamma.sampler import GammaBOSampler
from optuna_gamma.staged import create_staged_study
from optuna_gamma.vision import load_dataset
from optuna_gamma.vision import VisionTask


LOW, HIGH = 1e-3, 0.5
TRIALS = 12
"""Trials a stage."""

METHODS = ("cold", "warm")

PROCESSES = 2


@dataclass(frozen=True)
class Size:
    """How much is run at a preset."""

    datasets: tuple[str, ...]
    n_train: int
    seeds: int
    stages: int
    epochs: int
    rates: int
    repeats: int


SIZES = {
    Preset.smoke: Size(("digits",), 200, 1, 3, 1, 6, 2),
    Preset.cpu: Size(("mnist", "fashion-mnist"), 500, 3, 6, 5, 24, 20),
    Preset.paper: Size(("mnist", "fashion-mnist"), 5000, 5, 10, 2, 48, 50),
}


@dataclass(frozen=True)
class Chain:
    """Landscapes of the stages of one run.

    Args:
        dataset: Name of the data set.
        n_train: Number of training images.
        seed: Seed of data and run.
        rates: Learning rates in ascending order, (G,).
        values: κ by stage and rate; None where training diverged, (S, G).
    """

    dataset: str
    n_train: int
    seed: int
    rates: tuple[float, ...]
    values: tuple[tuple[float | None, ...], ...]

    def value(self, stage: int, rate: float) -> float:
        """Interpolate κ in the logarithm of the rate; NaN beside a rate that diverged."""
        values = [math.nan if v is None else v for v in self.values[stage]]
        return float(np.interp(math.log(rate), np.log(self.rates), values))


def measure(job: tuple[str, Size, int]) -> Chain:
    """Train every rate of the grid at every stage, of a data set, a size and a seed."""
    dataset, size, seed = job
    rates = np.geomspace(LOW, HIGH, size.rates).tolist()
    task = VisionTask(
        model="deep-conv",
        data=load_dataset(dataset, n_train=size.n_train, seed=seed),
        space=lambda trial: {"lr": trial.suggest_float("lr", LOW, HIGH, log=True)},
        epochs_per_stage=size.epochs,
        averaging=None,
    )
    with TemporaryDirectory() as folder:
        staged = create_staged_study(
            study_name="landscapes",
            directory=folder,
            seed=seed,
            pruner=optuna.pruners.NopPruner(),
        )
        points = [{"lr": rate} for rate in rates]
        staged.optimize(task, n_stages=size.stages, n_trials=len(points), enqueue=points)
        stages = [sorted(study.trials, key=lambda t: t.params["lr"]) for study in staged.studies]
    values = tuple(tuple(trial.value for trial in trials) for trials in stages)
    return Chain(dataset, size.n_train, seed, tuple(rates), values)


def search(chain: Chain, seed: int, method: str) -> list[list[float]]:
    """Search stage by stage; return the best κ so far by stage and trial, (S, TRIALS)."""
    best: list[list[float]] = []
    before: list[optuna.trial.FrozenTrial] = []
    for stage in range(len(chain.values)):
        sampler = GammaBOSampler(
            seed=seed, source_trials=before if before and method == "warm" else None
        )
        study = optuna.create_study(
            study_name=f"stage-{stage}", direction="maximize", sampler=sampler
        )

        def objective(trial: optuna.Trial, stage: int = stage) -> float:
            return chain.value(stage, trial.suggest_float("lr", LOW, HIGH, log=True))

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study.optimize(objective, n_trials=TRIALS)
        before = study.trials
        values = [-math.inf if t.value is None else t.value for t in before]
        best.append(np.maximum.accumulate(values).tolist())
    return best


def run(preset: Preset, out: Path) -> None:
    """Measure the landscapes that are not stored yet, and search them."""
    size = SIZES[preset]
    store = out / "warm-start" / f"landscapes-{preset.value}.jsonl"
    chains = _chains(size, store)
    searches = [(c, s, m) for m in METHODS for c in chains for s in range(size.repeats)]
    results = dict(run_all(_search, list(enumerate(searches)), PROCESSES))
    shape = (len(METHODS), len(chains), size.repeats, size.stages, TRIALS)
    found = np.array([results[k] for k in range(len(searches))]).reshape(shape)
    rows: list[dict[str, Any]] = []
    curves = {}
    for dataset in size.datasets:
        own = [i for i, chain in enumerate(chains) if chain.dataset == dataset]
        # The first stage has no stage before it.
        regret = _regret([chains[i] for i in own], found[:, own])[..., 1:, :]
        curves[dataset] = regret.mean(axis=(1, 2, 3))
        rows += _rows(dataset, regret)
    record = Record(
        name=f"warm-start-{preset.value}",
        title="Regret of κ within a stage, as a share of the landscape's range above its median",
        rows=rows,
        seeds=range(size.repeats),
        packages=("torch",),
        notes=(
            f"{size.n_train} training images, {size.epochs} epochs a stage, stages 2 to "
            f"{size.stages} of {size.seeds} runs a data set. warm needs: trials after which the "
            "warm search's mean regret is no more than the cold one's after as many as the row "
            "says. 95 %: bootstrap interval of the mean over landscapes."
        ),
    )
    record.save(out, _picture(curves))


def _search(job: tuple[int, tuple[Chain, int, str]]) -> tuple[int, list[list[float]]]:
    number, search_ = job
    return number, search(*search_)


def _chains(size: Size, store: Path) -> list[Chain]:
    """Return the landscapes of a size; those that are not stored yet are measured and stored."""
    stored = [
        Chain(**{**row, "values": tuple(map(tuple, row["values"]))}) for row in read_lines(store)
    ]
    chains = [chain for chain in stored if _is_of(size, chain)]
    known = {(chain.dataset, chain.seed) for chain in chains}
    wanted = [(name, seed) for seed in range(size.seeds) for name in size.datasets]
    missing = [(name, size, seed) for name, seed in wanted if (name, seed) not in known]
    for done, chain in enumerate(run_all(measure, missing, PROCESSES), start=1):
        chains.append(chain)
        add_line(store, asdict(chain))
        print(f"{done} of {len(missing)} runs of the grid are done.", flush=True)
    return sorted(
        (chain for chain in chains if (chain.dataset, chain.seed) in wanted),
        key=lambda chain: (chain.dataset, chain.seed),
    )


def _is_of(size: Size, chain: Chain) -> bool:
    shape = chain.n_train, len(chain.values), len(chain.rates)
    return shape == (size.n_train, size.stages, size.rates)


def _regret(chains: Sequence[Chain], found: Any) -> Any:
    for i, chain in enumerate(chains):
        for stage, values in enumerate(chain.values):
            finite = np.array([v for v in values if v is not None])
            span = finite.max() - np.median(finite)
            found[:, i, :, stage] = np.minimum((finite.max() - found[:, i, :, stage]) / span, 1.0)
    return found


def _rows(dataset: str, regret: Any) -> list[dict[str, Any]]:
    means = regret.mean(axis=(1, 2, 3))
    rows = []
    for count in (1, 2, 3, 4, 6, 8, TRIALS):
        row: dict[str, Any] = {"data set": dataset, "trials": count}
        for i, method in enumerate(METHODS):
            # Repeats on one landscape are not independent: their mean is one observation.
            by_landscape = regret[i, :, :, :, count - 1].mean(axis=1).ravel()
            row[method] = round(float(by_landscape.mean()), 3)
            interval = stats.bootstrap((by_landscape,), np.mean, rng=0).confidence_interval
            row[f"{method} 95 %"] = f"{interval.low:.3f} to {interval.high:.3f}"
        reached = np.flatnonzero(means[1] <= means[0, count - 1])
        row["warm needs"] = int(reached[0]) + 1 if len(reached) else f"> {TRIALS}"
        rows.append(row)
    return rows


def _picture(curves: dict[str, Any]) -> Any:
    figure, axes = plt.subplots(1, len(curves), figsize=(5 * len(curves), 3.5), squeeze=False)
    for axis, (dataset, means) in zip(axes[0], curves.items(), strict=True):
        for method, mean in zip(METHODS, means, strict=True):
            axis.semilogy(np.arange(1, TRIALS + 1), mean, label=method)
        axis.set(title=dataset, xlabel="trials of the stage", ylabel="mean regret of κ")
        axis.grid(alpha=0.3)
        axis.legend()
    return figure
