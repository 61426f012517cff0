"""What a sampler is asked to solve."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import hashlib
from types import MappingProxyType
from typing import Any
from typing import NamedTuple
from typing import Protocol
from typing import runtime_checkable

import optuna
from optuna.distributions import BaseDistribution


class Outcome(NamedTuple):
    """What one evaluation yields.

    Args:
        value: What the sampler is told, to be minimised; with noise, where the problem has it. One
            for each objective, if there are several.
        regret: By how much the value without noise exceeds the optimum; with several objectives,
            how much hypervolume the trials so far miss.
        constraints: Values of constraints by their keys, feasible up to zero.
    """

    value: float | tuple[float, ...]
    regret: float
    constraints: Mapping[str, float] = MappingProxyType({})


Evaluate = Callable[[Mapping[str, Any]], Outcome]
"""From the parameters of a trial to its outcome; calls are in the order of the trials."""


class Problem(Protocol):
    """A function to be minimised over a space in Optuna's terms.

    Problems are small, hashable and can be sent to another process; what is large is loaded at
    :meth:`start`.
    """

    @property
    def suite(self) -> str:
        """The collection it belongs to."""

    @property
    def name(self) -> str:
        """Name, unique in its suite; what follows a plus sign tells variants apart."""

    @property
    def source(self) -> str:
        """Package and version that define it: results of another version are not comparable."""

    @property
    def dimension(self) -> int:
        """Number of parameters."""

    @property
    def n_objectives(self) -> int:
        """Number of objectives."""

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """Parameters and their ranges."""

    @property
    def optimum(self) -> float:
        """The lowest value without noise; where nobody knows it, the lowest value known."""

    def start(self, seed: int) -> Evaluate:
        """Begin a run.

        Args:
            seed: Seed of the noise, if there is any.

        Returns:
            What evaluates the run's trials, one after the other.
        """


@runtime_checkable
class DefineByRun(Problem, Protocol):
    """A problem whose parameters depend on the values of others."""

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Ask a trial for the parameters that it has; returns them as :data:`Evaluate` takes them.

        Args:
            trial: The trial.
        """


def study_name(suite: str, problem: str, seed: int) -> str:
    """Name a study: the same for every sampler, and for the variants of a problem.

    Args:
        suite: Name of the suite.
        problem: Name of the problem.
        seed: Number of the repetition.

    Returns:
        A name that tells all others apart.
    """
    return f"{suite}/{problem.partition('+')[0]}/{seed}"


def study_seed(suite: str, problem: str, seed: int) -> int:
    """Derive the seed of a study and of its noise from the study's name.

    Args:
        suite: Name of the suite.
        problem: Name of the problem.
        seed: Number of the repetition.

    Returns:
        A seed of 32 bits.
    """
    digest = hashlib.sha256(study_name(suite, problem, seed).encode()).digest()
    return int.from_bytes(digest[:4], "big")
