"""BBOB: 24 functions of any dimension, in any number of instances, with known optima.

Hansen, Finck, Ros & Auger 2009, "Real-parameter black-box optimization benchmarking 2009:
noiseless functions definitions". Evaluated by IOHexperimenter (de Nobel et al. 2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

import ioh
from optuna.distributions import BaseDistribution
from optuna.distributions import FloatDistribution

from benchmarks.samplers.problem import Evaluate
from benchmarks.samplers.problem import Outcome
from benchmarks.samplers.problem import Problem


FUNCTIONS = range(1, 25)


@dataclass(frozen=True)
class Bbob:
    """One instance of a BBOB function on [-5, 5]^d.

    Args:
        function: Number of the function, 1 to 24.
        instance: Number of the instance: a shift, a rotation, an offset.
        dimension: Number of parameters.
    """

    function: int
    instance: int
    dimension: int

    suite = "bbob"
    n_objectives = 1

    @property
    def name(self) -> str:
        """Name, unique in its suite."""
        return f"f{self.function:02}-i{self.instance}-d{self.dimension:02}"

    @property
    def source(self) -> str:
        """Package and version that define it."""
        return f"ioh {version('ioh')}"

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """Parameters and their ranges."""
        return {f"x{j:02}": FloatDistribution(-5, 5) for j in range(self.dimension)}

    @cached_property
    def function_object(self) -> Any:
        """The function as IOHexperimenter has it."""
        return ioh.get_problem(
            self.function,
            instance=self.instance,
            dimension=self.dimension,
            problem_class=ioh.ProblemClass.BBOB,
        )

    @property
    def optimum(self) -> float:
        """The lowest value."""
        return float(self.function_object.optimum.y)

    def start(self, seed: int) -> Evaluate:
        """Begin a run; there is no noise."""
        del seed
        function, optimum = self.function_object, self.optimum

        def evaluate(params: Mapping[str, Any]) -> Outcome:
            value = float(function([params[name] for name in sorted(params)]))
            return Outcome(value, max(value - optimum, 0.0))

        return evaluate

    def __getstate__(self) -> dict[str, int]:
        """Leave the function behind: it cannot be pickled."""
        return {
            "function": self.function,
            "instance": self.instance,
            "dimension": self.dimension,
        }


def problems(dimensions: Sequence[int], instances: Sequence[int]) -> list[Problem]:
    """List the problems of these dimensions and instances."""
    return [
        Bbob(function, instance, dimension)
        for instance in instances
        for dimension in dimensions
        for function in FUNCTIONS
    ]
