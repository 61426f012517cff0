"""Finished studies that are given to others as source trials."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial

from benchmarks.samplers.problem import Evaluate
from benchmarks.samplers.problem import Outcome
from benchmarks.samplers.problem import Problem
from benchmarks.samplers.problem import study_name
from benchmarks.samplers.problem import study_seed
from benchmarks.samplers.suites.bbob import Bbob
from optuna_gamma import GammaBOSampler


Array = NDArray[np.float64]

TRIALS = 40
"""Trials of a source study."""

SHIFT = 0.5
"""By how much the optimum of a shifted function lies elsewhere in each coordinate: a twentieth."""

SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "gamma": lambda seed: GammaBOSampler(seed=seed),
    "random": lambda seed: RandomSampler(seed=seed),
}
"""What a source study was made by, from its seed."""

VALUES: dict[str, Callable[[Array, np.random.Generator], Array]] = {
    "as they are": lambda values, rng: values,
    "negated": lambda values, rng: -values,
    "shuffled": lambda values, rng: rng.permutation(values),
}
"""What becomes of the values of source trials: negated, good ones are bad; shuffled, they say
nothing."""


@dataclass(frozen=True)
class Shifted:
    """A function of BBOB whose optimum lies a little elsewhere.

    Args:
        original: The function.
    """

    original: Bbob

    suite = "bbob-shifted"
    n_objectives = 1

    @property
    def name(self) -> str:
        """Name, unique in its suite."""
        return self.original.name

    @property
    def source(self) -> str:
        """Package and version that define it."""
        return self.original.source

    @property
    def dimension(self) -> int:
        """Number of parameters."""
        return self.original.dimension

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """Parameters and their ranges."""
        return self.original.space

    @property
    def optimum(self) -> float:
        """The lowest value."""
        return self.original.optimum

    def start(self, seed: int) -> Evaluate:
        """Begin a run; the direction of the shift is the function's own."""
        evaluate = self.original.start(seed)
        rng = np.random.default_rng(study_seed(self.suite, self.name, 0))
        shift = dict(zip(self.space, SHIFT * rng.choice([-1.0, 1.0], self.dimension), strict=True))

        def shifted(params: Mapping[str, Any]) -> Outcome:
            return evaluate({name: value + shift[name] for name, value in params.items()})

        return shifted


@dataclass(frozen=True)
class Source:
    """A study and what becomes of its values.

    Args:
        problem: What it was about.
        sampler: What made it, of :data:`SAMPLERS`.
        values: What becomes of its values, of :data:`VALUES`.
    """

    problem: Problem
    sampler: str
    values: str = "as they are"

    def trials(self, seed: int) -> list[FrozenTrial]:
        """Return its trials.

        Args:
            seed: Number of the repetition.
        """
        trials = _finished(self.problem, self.sampler, seed)  # type: ignore[arg-type]
        rng = np.random.default_rng(study_seed(self.problem.suite, self.problem.name, seed))
        values = VALUES[self.values](np.array([trial.value for trial in trials]), rng)
        return [
            optuna.create_trial(
                params=trial.params, distributions=trial.distributions, value=float(value)
            )
            for trial, value in zip(trials, values, strict=True)
        ]


@lru_cache(maxsize=8)
def _finished(problem: Problem, sampler: str, seed: int) -> list[FrozenTrial]:
    number = study_seed(problem.suite, problem.name, seed)
    study = optuna.create_study(
        study_name=f"source/{study_name(problem.suite, problem.name, seed)}",
        sampler=SAMPLERS[sampler](number),
    )
    evaluate = problem.start(number)
    for _ in range(TRIALS):
        trial = study.ask(problem.space)
        study.tell(trial, evaluate(trial.params).value)
    return study.trials
