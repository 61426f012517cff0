"""Several objectives: ZDT and DTLZ with known fronts, and pairs of BBOB functions from COCO.

Zitzler, Deb & Thiele 2000, "Comparison of Multiobjective Evolutionary Algorithms: Empirical
Results"; Deb, Thiele, Laumanns & Zitzler 2002, "Scalable Multi-Objective Optimization Test
Problems"; Brockhoff, Auger, Hansen & Tušar 2022, "Using Well-Understood Single-Objective Functions
in Multiobjective Black-Box Optimization Test Suites". The pairs are evaluated by coco-experiment.

Regret is the hypervolume that is still missing: of the true front where it is known, of the box
between ideal and nadir point where it is not, which no front fills.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.distributions import FloatDistribution

from benchmarks.samplers.problem import Evaluate
from benchmarks.samplers.problem import Outcome
from benchmarks.samplers.problem import Problem
from benchmarks.samplers.suites.coco import best_parameter
from benchmarks.samplers.suites.coco import Coco
from benchmarks.samplers.suites.coco import open_problem


Array = NDArray[np.float64]

PAIRS = range(1, 56)


def hypervolume(values: Array, reference: Array) -> float:
    """Compute the volume that points dominate, all objectives minimised.

    Args:
        values: Points, (n, m).
        reference: What they have to be below, (m,).
    """
    values = values[(values < reference).all(axis=1)]
    if len(values) == 0:
        return 0.0
    if values.shape[1] == 1:
        return float(reference[0] - values.min())
    values = values[np.argsort(values[:, -1], kind="stable")]
    if values.shape[1] == 2:
        lowest = np.minimum.accumulate(np.append(reference[0], values[:, 0]))
        return float((-np.diff(lowest) * (reference[1] - values[:, 1])).sum())
    ends = np.append(values[1:, -1], reference[-1])
    return sum(
        float(end - value[-1]) * hypervolume(values[: i + 1, :-1], reference[:-1])
        for i, (value, end) in enumerate(zip(values, ends, strict=True))
        if end > value[-1]
    )


def _evaluate(
    function: Callable[[Array], Array], reference: Array, best: float, scaled: Callable[..., Array]
) -> Evaluate:
    """Evaluate trial by trial, and tell by how much the hypervolume of all misses the best."""
    seen: list[Array] = []

    def evaluate(params: Mapping[str, Any]) -> Outcome:
        values = function(np.array([params[name] for name in sorted(params)]))
        seen.append(scaled(values))
        missing = best - hypervolume(np.stack(seen), reference)
        return Outcome(tuple(values.tolist()), max(missing, 0.0))

    return evaluate


def _same(values: Array) -> Array:
    return values


def _zdt1(x: Array) -> Array:
    g = 1.0 + 9.0 * x[1:].mean()
    return np.array([x[0], g * (1.0 - math.sqrt(x[0] / g))])


def _zdt2(x: Array) -> Array:
    g = 1.0 + 9.0 * x[1:].mean()
    return np.array([x[0], g * (1.0 - (x[0] / g) ** 2)])


def _zdt3(x: Array) -> Array:
    g = 1.0 + 9.0 * x[1:].mean()
    ratio = x[0] / g
    return np.array([x[0], g * (1.0 - math.sqrt(ratio) - ratio * math.sin(10.0 * math.pi * x[0]))])


ZDT: dict[str, tuple[Callable[[Array], Array], float]] = {
    "zdt1": (_zdt1, 121.0 - 1.0 / 3.0),
    "zdt2": (_zdt2, 121.0 - 2.0 / 3.0),
    "zdt3": (_zdt3, 128.77811613069076),
}
"""Functions, and the hypervolume of their fronts."""


@dataclass(frozen=True)
class Zdt:
    """A function of ZDT on [0, 1]^d.

    Args:
        function: Its name.
        dimension: Number of parameters.
    """

    function: str
    dimension: int

    suite = "zdt"
    source = "ZDT"
    n_objectives = 2
    optimum = 0.0

    @property
    def name(self) -> str:
        """Name, unique in its suite."""
        return f"{self.function}-d{self.dimension:02}"

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """Parameters and their ranges."""
        return {f"x{j:02}": FloatDistribution(0, 1) for j in range(self.dimension)}

    def start(self, seed: int) -> Evaluate:
        """Begin a run; there is no noise."""
        del seed
        function, best = ZDT[self.function]
        return _evaluate(function, np.full(2, 11.0), best, _same)


DTLZ2_BEST = {2: 1.21 - math.pi / 4.0, 3: 1.331 - math.pi / 6.0}
"""Hypervolume of the positive part of the sphere below 1.1 in each objective."""


@dataclass(frozen=True)
class Dtlz2:
    """DTLZ2 on [0, 1]^d.

    Args:
        n_objectives: Number of objectives.
        dimension: Number of parameters.
    """

    n_objectives: int
    dimension: int

    suite = "dtlz"
    source = "DTLZ"
    optimum = 0.0

    @property
    def name(self) -> str:
        """Name, unique in its suite."""
        return f"dtlz2-m{self.n_objectives}-d{self.dimension:02}"

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """Parameters and their ranges."""
        return {f"x{j:02}": FloatDistribution(0, 1) for j in range(self.dimension)}

    def start(self, seed: int) -> Evaluate:
        """Begin a run; there is no noise."""
        del seed
        m = self.n_objectives

        def function(x: Array) -> Array:
            angles = 0.5 * np.pi * x[: m - 1]
            g = 1.0 + ((x[m - 1 :] - 0.5) ** 2).sum()
            cosines = np.cumprod(np.append(1.0, np.cos(angles)))
            values: Array = g * cosines[::-1]
            values[1:] *= np.sin(angles[::-1])
            return values

        return _evaluate(function, np.full(m, 1.1), DTLZ2_BEST[m], _same)


@dataclass(frozen=True)
class Pair(Coco):
    """Two BBOB functions on [-5, 5]^d."""

    suite = "bbob-biobj"
    n_objectives = 2
    optimum = 0.0

    def start(self, seed: int) -> Evaluate:
        """Begin a run; there is no noise."""
        del seed
        pair = open_problem(self.suite, self.function, self.instance, self.dimension)
        nadir = np.array(pair.largest_fvalues_of_interest)
        ideal = np.array([_lowest(part) for part in pair.name.split("__")])

        def scaled(values: Array) -> Array:
            unit: Array = (values - ideal) / (nadir - ideal)
            return unit

        return _evaluate(lambda x: np.array(pair(x)), np.ones(2), 1.0, scaled)


@cache
def _lowest(name: str) -> float:
    """Return the lowest value of a BBOB function that is named as ``bbob_f001_i02_d02``."""
    function = open_problem("bbob", *(int(part[1:]) for part in name.split("_")[1:]))
    return float(function(best_parameter(function)))


def zdt_problems(dimensions: Sequence[int], instances: Sequence[int]) -> list[Problem]:
    """List the functions of ZDT of these dimensions."""
    del instances
    return [Zdt(function, dimension) for dimension in dimensions for function in ZDT]


def dtlz_problems(dimensions: Sequence[int], instances: Sequence[int]) -> list[Problem]:
    """List DTLZ2 of these dimensions, with two and three objectives."""
    del instances
    return [Dtlz2(m, dimension) for dimension in dimensions for m in DTLZ2_BEST]


def pair_problems(dimensions: Sequence[int], instances: Sequence[int]) -> list[Problem]:
    """List the pairs of these dimensions and instances."""
    return [
        Pair(function, instance, dimension)
        for instance in instances
        for dimension in dimensions
        for function in PAIRS
    ]
