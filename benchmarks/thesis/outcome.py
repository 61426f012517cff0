"""What single studies ended with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
import math
from typing import Any

import numpy as np

from benchmarks.thesis.jobs import Result
from benchmarks.thesis.jobs import Search
from benchmarks.thesis.jobs import Table
from benchmarks.thesis.plan import SinglePlan
from benchmarks.thesis.setting import grid
from benchmarks.thesis.setting import LAM
from benchmarks.thesis.setting import score


GUESSING = 10.0
"""Accuracy of guessing one of ten classes, in percent."""


@dataclass(frozen=True)
class Outcome:
    """Single studies that are done.

    Args:
        plan: What was to be done.
        tables: Trainings by seed.
        searches: Searches among them.
    """

    plan: SinglePlan
    tables: Mapping[int, Table]
    searches: Mapping[Search, Result]

    def found(self, sampler: str, objective: str, trials: int, **changes: Any) -> list[Found]:
        """List what each search of a kind ended with after so many trials, by seed.

        Args:
            sampler: ``"grid"``, of ``trials`` rates, or one of the searchers.
            objective: What was maximised.
            trials: Number of trials.
            changes: What else the searches differ in from the usual ones.
        """
        found = []
        lam = changes.get("lam", LAM)
        for seed, table in sorted(self.tables.items()):
            if sampler == "grid":
                found.append(Found.of(seed, grid(trials), table, objective, lam))
                continue
            for repetition in range(self.plan.repetitions):
                search = self.plan.search(sampler, objective, seed, repetition)
                result = self.searches.get(replace(search, **changes))
                if result:
                    rates = result["rates"][:trials]
                    share = result["seconds"] * trials / search.trials
                    found.append(Found.of(seed, rates, table, objective, lam, share))
        return found


@dataclass(frozen=True)
class Found:
    """What a single study ended with.

    Args:
        seed: Seed of the trainings.
        rate: Rate of the best trial.
        valid: Its accuracy on the images that chose, in percent.
        test: Its accuracy on images that did not, in percent.
        seconds: Time of all trainings and proposals.
    """

    seed: int
    rate: float
    valid: float
    test: float
    seconds: float

    @staticmethod
    def of(
        seed: int,
        rates: Sequence[float],
        table: Table,
        objective: str,
        lam: float,
        proposing: float = 0.0,
    ) -> Found:
        """Choose the best of some rates; of equals the first. If all diverged it is guessing."""
        seconds = sum(table[rate][3] for rate in rates) + proposing
        finished = [rate for rate in rates if not math.isnan(table[rate][0])]
        if not finished:
            return Found(seed, rates[0], GUESSING, GUESSING, seconds)
        best = max(finished, key=lambda rate: score(objective, *table[rate][:2], lam))
        accuracy, _, test, _ = table[best]
        return Found(seed, best, 100 * accuracy, 100 * test, seconds)


def by_seed(values: Iterable[tuple[int, float]]) -> list[float]:
    """Average the values of each seed, in the order of the seeds."""
    seeds: defaultdict[int, list[float]] = defaultdict(list)
    for seed, value in values:
        seeds[seed].append(value)
    return [float(np.mean(seeds[seed])) for seed in sorted(seeds)]
