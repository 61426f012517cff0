"""BBOB with constraints, from COCO.

Dufossé, Hansen, Brockhoff, Sampaio, Atamna & Auger 2022, "Building scalable test problems for
benchmarking constrained optimizers". Evaluated by coco-experiment.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.samplers.problem import Evaluate
from benchmarks.samplers.problem import Outcome
from benchmarks.samplers.problem import Problem
from benchmarks.samplers.suites.coco import best_parameter
from benchmarks.samplers.suites.coco import Coco
from benchmarks.samplers.suites.coco import open_problem


FUNCTIONS = range(1, 55)


@dataclass(frozen=True)
class Constrained(Coco):
    """A BBOB function on [-5, 5]^d with constraints, of which some are met at the optimum only.

    COCO names a feasible point of each problem. While a run has found none itself, its regret is
    that of this point.
    """

    suite = "bbob-constrained"

    @property
    def optimum(self) -> float:
        """The lowest value of a feasible point."""
        function = self._open()
        return float(function(best_parameter(function)))

    def start(self, seed: int) -> Evaluate:
        """Begin a run; there is no noise."""
        del seed
        function, optimum = self._open(), self.optimum
        known = float(function(function.initial_solution)) - optimum

        def evaluate(params: Mapping[str, Any]) -> Outcome:
            x = np.array([params[name] for name in sorted(params)])
            value, constraints = float(function(x)), np.asarray(function.constraint(x))
            is_feasible = bool((constraints <= 0.0).all())
            regret = min(max(value - optimum, 0.0), known) if is_feasible else known
            return Outcome(
                value, regret, {f"c{i:02}": float(c) for i, c in enumerate(constraints)}
            )

        return evaluate

    def _open(self) -> Any:
        return open_problem(self.suite, self.function, self.instance, self.dimension)


def problems(dimensions: Sequence[int], instances: Sequence[int]) -> list[Problem]:
    """List the problems of these dimensions and instances."""
    return [
        Constrained(function, instance, dimension)
        for instance in instances
        for dimension in dimensions
        for function in FUNCTIONS
    ]
