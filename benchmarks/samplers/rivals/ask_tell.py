"""Optimisers with ask and tell, as Optuna samplers."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Protocol

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState


class Optimiser(Protocol):
    """What minimises, one evaluation at a time."""

    def ask(self) -> dict[str, Any]:
        """Propose parameters."""

    def tell(self, params: Mapping[str, Any], value: float) -> None:
        """Learn the value of parameters that were proposed."""


class AskTellSampler(BaseSampler):
    """A sampler that passes on what an optimiser proposes, in a study of one worker.

    Args:
        space: Parameters and their ranges; all trials have these.
        optimiser: What proposes them.
    """

    def __init__(self, space: Mapping[str, BaseDistribution], optimiser: Optimiser) -> None:
        self._space = dict(space)
        self._optimiser = optimiser

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the whole space."""
        return self._space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Ask the optimiser."""
        return self._optimiser.ask()

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Refuse: there are no other parameters."""
        raise ValueError(f"{param_name!r} is not in the space.")

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Tell the optimiser."""
        if values is not None:
            self._optimiser.tell(trial.params, values[0])
