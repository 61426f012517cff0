"""BBOB with noise, and BBOB with integers, from COCO.

Finck, Hansen, Ros & Auger 2010, "Real-parameter black-box optimization benchmarking 2010: noisy
functions definitions"; Tušar, Brockhoff & Hansen 2019, "Mixed-integer benchmark problems for
single- and bi-objective optimization". Evaluated by coco-experiment.

What the package does not offer is derived from what it does:

- Values without noise. Functions come in threes that differ in their noise alone: Gaussian,
  uniform, Cauchy. Cauchy noise strikes one evaluation in five and adds a constant to the others,
  so the most frequent of a few evaluations of the third function is exact up to that constant,
  which falls out of the difference to the optimum.
- Seeds. All noise is one sequence, which a new suite starts from its beginning. A run skips as
  much of it as its seed says.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
import os
from pathlib import Path
import statistics
from tempfile import TemporaryDirectory
from typing import Any

import cocoex
from optuna.distributions import BaseDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from benchmarks.samplers.problem import Evaluate
from benchmarks.samplers.problem import Outcome
from benchmarks.samplers.problem import Problem


NOISY_FUNCTIONS = range(101, 131)
MIXINT_FUNCTIONS = range(1, 25)

CARDINALITIES = (2, 4, 8, 16, None)
"""Number of values of the variables in each fifth of them; the last fifth is continuous."""

VOTES = 15
"""Evaluations of which the most frequent is taken. It is wrong where fewer than two escape the
noise, that is once in a billion."""

MAX_SKIP = 20_000


@dataclass(frozen=True)
class Coco:
    """One instance of a function of COCO.

    Args:
        function: Number of the function.
        instance: Number of the instance: a shift, a rotation, an offset.
        dimension: Number of parameters.
    """

    function: int
    instance: int
    dimension: int

    n_objectives = 1

    @property
    def name(self) -> str:
        """Name, unique in its suite."""
        return f"f{self.function:02}-i{self.instance}-d{self.dimension:02}"

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """Parameters and their ranges."""
        return {f"x{j:02}": FloatDistribution(-5, 5) for j in range(self.dimension)}

    @property
    def source(self) -> str:
        """Package and version that define it."""
        return f"coco-experiment {version('coco-experiment')}"


@dataclass(frozen=True)
class Noisy(Coco):
    """One instance of a noisy BBOB function on [-5, 5]^d; functions 101 to 130."""

    suite = "bbob-noisy"

    @property
    def optimum(self) -> float:
        """The lowest value of the variant with Cauchy noise, where the noise does not strike."""
        quiet = self._quiet()
        return _most_frequent(quiet, best_parameter(quiet))

    def start(self, seed: int) -> Evaluate:
        """Begin a run whose noise depends on the seed."""
        quiet = self._quiet()
        optimum = self.optimum
        noisy = self._open(self.function)  # from here on the sequence of noise counts
        centre = [0.0] * self.dimension
        for _ in range(seed % MAX_SKIP):
            noisy(centre)

        def evaluate(params: Mapping[str, Any]) -> Outcome:
            x = [params[name] for name in sorted(params)]
            value = float(noisy(x))
            return Outcome(value, max(_most_frequent(quiet, x) - optimum, 0.0))

        return evaluate

    def _open(self, function: int) -> Any:
        return open_problem(self.suite, function - 100, self.instance, self.dimension)

    def _quiet(self) -> Any:
        """Open the variant of the function with Cauchy noise: the last of its three."""
        return self._open(self.function + 2 - (self.function - 101) % 3)


@dataclass(frozen=True)
class MixInt(Coco):
    """One instance of a BBOB function, four fifths of whose variables are integers."""

    suite = "bbob-mixint"

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """Parameters and their ranges."""
        return {
            f"x{j:02}": FloatDistribution(-5, 5)
            if cardinality is None
            else IntDistribution(0, cardinality - 1)
            for j, cardinality in enumerate(
                cardinality for cardinality in CARDINALITIES for _ in range(self.dimension // 5)
            )
        }

    @property
    def optimum(self) -> float:
        """The lowest value."""
        function = self._open()
        return float(function(best_parameter(function)))

    def start(self, seed: int) -> Evaluate:
        """Begin a run; there is no noise."""
        del seed
        function, optimum = self._open(), self.optimum

        def evaluate(params: Mapping[str, Any]) -> Outcome:
            value = float(function([float(params[name]) for name in sorted(params)]))
            return Outcome(value, max(value - optimum, 0.0))

        return evaluate

    def _open(self) -> Any:
        return open_problem(self.suite, self.function, self.instance, self.dimension)


def best_parameter(function: Any) -> list[float]:
    """Ask where the optimum is; the answer comes in a file in the working directory."""
    here = os.getcwd()
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            function._best_parameter("print")
        finally:
            os.chdir(here)
        answer = Path(folder, "._bbob_problem_best_parameter.txt").read_text()
    return [float(x) for x in answer.split()]


def noisy_problems(dimensions: Sequence[int], instances: Sequence[int]) -> list[Problem]:
    """List the noisy problems of these dimensions and instances."""
    return [
        Noisy(function, instance, dimension)
        for instance in instances
        for dimension in dimensions
        for function in NOISY_FUNCTIONS
    ]


def mixint_problems(dimensions: Sequence[int], instances: Sequence[int]) -> list[Problem]:
    """List the problems with integers of these instances and those dimensions that 5 divides."""
    return [
        MixInt(function, instance, dimension)
        for instance in instances
        for dimension in dimensions
        if dimension % 5 == 0
        for function in MIXINT_FUNCTIONS
    ]


def open_problem(suite: str, index: int, instance: int, dimension: int) -> Any:
    """Open a problem of a suite of COCO."""
    options = f"dimensions:{dimension} function_indices:{index}"
    return cocoex.Suite(suite, f"instances: {instance}", options).get_problem(0)


def _most_frequent(function: Any, x: list[float]) -> float:
    return float(statistics.mode(function(x) for _ in range(VOTES)))
