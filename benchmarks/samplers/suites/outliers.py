"""BBOB with one value in ten spoilt, beside the same problems clean.

What counts is the same in all: the lowest value without noise among the points visited. So the
difference to the clean run, which has the same seed, is what the spoilt values did to the search.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any
from typing import get_args
from typing import Literal

import numpy as np
from optuna.distributions import BaseDistribution

from benchmarks.samplers.problem import Evaluate
from benchmarks.samplers.problem import Outcome
from benchmarks.samplers.problem import Problem
from benchmarks.samplers.suites.bbob import Bbob
from benchmarks.samplers.suites.bbob import FUNCTIONS


Kind = Literal["clean", "heavy", "diverged", "inf"]
"""What a spoilt value is: itself; itself with Cauchy noise; a million medians; infinite."""

SHARE = 0.1
DIVERGED = 1e6
DIMENSIONS = (2, 5)
N_SCALE = 256


@dataclass(frozen=True)
class Outliers:
    """A BBOB function of which some values are spoilt.

    Args:
        clean: The function.
        kind: How values are spoilt.
    """

    clean: Bbob
    kind: Kind

    suite = "outliers"
    n_objectives = 1

    @property
    def name(self) -> str:
        """Name, unique in its suite."""
        return f"{self.clean.name}+{self.kind}"

    @property
    def source(self) -> str:
        """Package and version that define it."""
        return self.clean.source

    @property
    def dimension(self) -> int:
        """Number of parameters."""
        return self.clean.dimension

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """Parameters and their ranges."""
        return self.clean.space

    @property
    def optimum(self) -> float:
        """The lowest value."""
        return self.clean.optimum

    def start(self, seed: int) -> Evaluate:
        """Begin a run in which the seed says which trials are spoilt, and by how much."""
        evaluate_clean = self.clean.start(seed)
        median = self._median_regret()
        run = accidents(seed)

        def evaluate(params: Mapping[str, Any]) -> Outcome:
            outcome = evaluate_clean(params)
            assert isinstance(outcome.value, float)
            is_spoilt, noise = next(run)
            if not is_spoilt or self.kind == "clean":
                return outcome
            value = {
                "heavy": outcome.value + median * noise,
                "diverged": self.optimum + DIVERGED * median,
                "inf": math.inf,
            }[self.kind]
            return Outcome(value, outcome.regret)

        return evaluate

    def _median_regret(self) -> float:
        """Estimate the median regret over the space."""
        evaluate = self.clean.start(0)
        points = np.random.default_rng(0).uniform(-5, 5, (N_SCALE, self.dimension))
        names = list(self.space)
        regrets = [evaluate(dict(zip(names, x, strict=True))).regret for x in points.tolist()]
        return float(np.median(regrets))


def accidents(seed: int) -> Iterator[tuple[bool, float]]:
    """Say of one trial after the other whether it is spoilt, and by what noise if it is heavy."""
    rng = np.random.default_rng(seed)
    while True:
        yield rng.random() < SHARE, float(rng.standard_cauchy())


def problems(dimensions: Sequence[int], instances: Sequence[int]) -> list[Problem]:
    """List the problems of these instances and of those dimensions that the suite has."""
    return [
        Outliers(Bbob(function, instance, dimension), kind)
        for instance in instances
        for dimension in dimensions
        if dimension in DIMENSIONS
        for function in FUNCTIONS
        for kind in get_args(Kind)
    ]
