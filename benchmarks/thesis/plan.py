"""What is run for each table, at each preset."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from itertools import product
import os
from typing import TypeVar

from benchmarks.record import Preset
from benchmarks.thesis.jobs import Search
from benchmarks.thesis.jobs import StagedRun
from benchmarks.thesis.jobs import Trainings
from benchmarks.thesis.published import Row
from benchmarks.thesis.setting import BAYESIAN
from benchmarks.thesis.setting import grid
from benchmarks.thesis.setting import Images
from benchmarks.thesis.setting import INITIAL
from benchmarks.thesis.setting import OBJECTIVES
from benchmarks.thesis.setting import PROPOSALS
from optuna_gamma.vision.sources import DATA_VARIABLE


SEARCHERS = ("random", *BAYESIAN)

EVERYTHING: tuple[Row, ...] = (
    *product(("grid", *SEARCHERS), OBJECTIVES),
    ("constant", "none"),
)
"""Tables 4 and 5: every sampler with every objective."""

COMPARED: tuple[Row, ...] = (
    ("grid", "κ original"),
    ("random", "κ original"),
    ("gaussian", "κ original"),
    ("conjugate", "κ original"),
    ("conjugate", "κ improved"),
    ("gamma", "κ improved"),
    ("constant", "none"),
)
"""Tables 6 and 7: what the thesis compares, with random search, ours and no search at all."""

LAMS = (0.01, 0.05, 0.1, 0.5)

PRIORS = ((1.01, 1.0), (2.0, 1.0), (5.0, 4.0), (2.0, 0.1), (2.0, 10.0))
"""Shape and rate; the first is nearest to a₀ = b₀ = 1, with which figures 12 and 13 come out."""

CHUNK = 200
"""Epochs of a job of trainings."""


@dataclass(frozen=True)
class StagedPlan:
    """Staged runs of some tables.

    Args:
        images: Images and network.
        reported: Numbers of stages, of one epoch each, after which there is a row.
        rows: Samplers and objectives.
        grid: Number of rates of the grid.
        trials: Trials of a stage of all others.
        seeds: Number of repetitions.
        lams: Values of λ that both forms of κ are tried with, for conjugate.
    """

    images: Images
    reported: tuple[int, ...]
    rows: Sequence[Row]
    grid: int
    seeds: int
    trials: int = INITIAL + PROPOSALS
    lams: Sequence[float] = ()

    def jobs(self) -> list[StagedRun]:
        """List the runs, seed by seed, long ones first."""
        runs = []
        for seed in range(self.seeds):
            for sampler, objective in self.rows:
                runs.append(self.job(sampler, objective, seed))
            for lam, objective in product(self.lams, OBJECTIVES[2:]):
                runs.append(replace(self.job("conjugate", objective, seed), lam=lam))
        return list(dict.fromkeys(sorted(runs, key=lambda run: (run.seed, -run.cost))))

    def job(self, sampler: str, objective: str, seed: int) -> StagedRun:
        """Return one run."""
        trials = self.grid if sampler == "grid" else self.trials
        return StagedRun(self.images, sampler, objective, trials, self.reported, seed)


@dataclass(frozen=True)
class SinglePlan:
    """Single studies of some tables: one constant rate for all epochs of a training.

    Args:
        images: Images and network.
        epochs: Number of epochs of a training.
        grids: Numbers of rates of the grids. What a search proposes is answered from the last.
        seeds: Number of repetitions of the trainings.
        repetitions: Number of searches of each kind among the trainings of a seed.
        trials: Numbers of trials after which there is a table.
        lams: Values of λ that both forms of κ are tried with.
        priors: Priors that are tried: shape and rate.
    """

    images: Images
    epochs: int
    grids: tuple[int, ...]
    seeds: int
    repetitions: int
    trials: tuple[int, ...]
    lams: Sequence[float] = ()
    priors: Sequence[tuple[float, float]] = ()

    def trainings(self) -> list[Trainings]:
        """List the trainings, in pieces."""
        rates = list(dict.fromkeys(rate for n in self.grids for rate in grid(n)))
        size = max(CHUNK // self.epochs, 1)
        return [
            Trainings(self.images, self.epochs, seed, tuple(rates[i : i + size]))
            for seed in range(self.seeds)
            for i in range(0, len(rates), size)
        ]

    def searches(self) -> list[Search]:
        """List the searches."""
        found = []
        for seed, repetition in product(range(self.seeds), range(self.repetitions)):
            for sampler, objective in product(SEARCHERS, OBJECTIVES):
                found.append(self.search(sampler, objective, seed, repetition))
            for sampler, objective in product(BAYESIAN[1:], OBJECTIVES[2:]):
                search = self.search(sampler, objective, seed, repetition)
                found += [replace(search, lam=lam) for lam in self.lams]
            for sampler, prior in product(BAYESIAN[1:], self.priors):
                search = self.search(sampler, "κ original", seed, repetition)
                found.append(replace(search, prior=prior))
        return list(dict.fromkeys(found))

    def search(self, sampler: str, objective: str, seed: int, repetition: int) -> Search:
        """Return one search."""
        return Search(
            images=self.images,
            epochs=self.epochs,
            seed=seed,
            grid=self.grids[-1],
            sampler=sampler,
            objective=objective,
            repetition=repetition,
            trials=max(self.trials),
        )


@dataclass(frozen=True)
class Plan:
    """All that a preset runs.

    Args:
        small: Tables 4 and 5.
        mnist: Table 6.
        cifar: Table 7.
        short: Table 8, and table 10 as its caption says.
        long: Tables 9 and 11, and table 10 as its figures say.
    """

    small: StagedPlan
    mnist: StagedPlan
    cifar: StagedPlan
    short: SinglePlan
    long: SinglePlan


def _small(n_test: int) -> Images:
    """Make the thesis's 500 images, a fifth of which chooses."""
    return Images("mnist", "deep-conv", n_train=400, n_valid=100, n_test=n_test)


_TINY = Images("mnist", "deep-conv", n_train=100, n_valid=50, n_test=100)

_GRIDS = (100, 200, 300, 400, 500)

_PLANS: Mapping[Preset, Plan] = {
    Preset.smoke: Plan(
        small=StagedPlan(_TINY, (1, 2), EVERYTHING, grid=4, seeds=1, trials=3),
        mnist=StagedPlan(_TINY, (1, 2, 3), COMPARED, grid=4, seeds=1, trials=3),
        cifar=StagedPlan(
            replace(_TINY, dataset="cifar10", model="keras-cifar"), (1, 2), COMPARED, 4, 1, 3
        ),
        short=SinglePlan(_TINY, 1, (10, 20), seeds=1, repetitions=1, trials=(4, 6)),
        long=SinglePlan(_TINY, 5, (10,), 1, 1, (4, 6), lams=(0.5,), priors=PRIORS[:1]),
    ),
    Preset.cpu: Plan(
        small=StagedPlan(
            images=_small(5_000),
            reported=(1, 2),
            rows=tuple(row for row in EVERYTHING if row != ("grid", "loss")),
            grid=100,
            seeds=5,
            lams=LAMS,
        ),
        mnist=StagedPlan(
            Images("mnist", "deep-conv", 5_000, 1_000), (1, 2, 3), COMPARED, grid=20, seeds=3
        ),
        cifar=StagedPlan(
            images=Images("cifar10", "keras-cifar", 800, 400, 2_000),
            reported=(1, 10),
            rows=tuple(row for row in COMPARED if row[0] != "random"),
            grid=12,
            seeds=2,
        ),
        short=SinglePlan(_small(1_000), 1, (100, 500), seeds=5, repetitions=5, trials=(12, 22)),
        long=SinglePlan(
            _small(0),
            epochs=50,
            grids=(40,),
            seeds=5,
            repetitions=5,
            trials=(12, 22),
            lams=LAMS,
            priors=PRIORS,
        ),
    ),
    Preset.paper: Plan(
        small=StagedPlan(_small(0), (1, 2), EVERYTHING, grid=100, seeds=20, lams=LAMS),
        mnist=StagedPlan(
            Images("mnist", "deep-conv", 50_000, 10_000), (1, 2, 3), COMPARED, grid=100, seeds=5
        ),
        cifar=StagedPlan(
            Images("cifar10", "keras-cifar", 40_000, 10_000), (1, 10, 20, 50), COMPARED, 100, 5
        ),
        short=SinglePlan(_small(0), 1, _GRIDS, seeds=20, repetitions=5, trials=(12, 22)),
        long=SinglePlan(
            _small(0),
            epochs=50,
            grids=_GRIDS,
            seeds=20,
            repetitions=5,
            trials=(12, 22),
            lams=LAMS,
            priors=PRIORS,
        ),
    ),
}


def get_plan(preset: Preset) -> Plan:
    """Return what a preset runs: the smoke test on scikit-learn's digits if there is no MNIST."""
    plan = _PLANS[preset]
    if preset is not Preset.smoke or os.environ.get(DATA_VARIABLE):
        return plan
    return Plan(
        small=_on_digits(plan.small),
        mnist=_on_digits(plan.mnist),
        cifar=_on_digits(plan.cifar),
        short=_on_digits(plan.short),
        long=_on_digits(plan.long),
    )


_AnyPlan = TypeVar("_AnyPlan", StagedPlan, SinglePlan)


def _on_digits(plan: _AnyPlan) -> _AnyPlan:
    return replace(plan, images=replace(plan.images, dataset="digits", model="deep-conv"))
