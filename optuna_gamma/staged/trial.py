"""A trial that holds an objective to the search space of its run."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import math
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial


_AHEAD_KEY = "gamma:ahead"
"""System attribute of a trial that was taken over: how many steps that the dead worker reported
the present one has not come to."""


class StageTrial(optuna.Trial):
    """An Optuna trial whose parameters have the distributions that the run began with.

    Args:
        study: The stage's study.
        trial_id: The storage's id of the trial.
        reported: Steps that a worker which died with this trial has reported.
        search_space: Distributions of stage 0's first trial. Parameters it did not have, as
            conditional spaces bring them, are free.

    Attributes:
        error: Why a suggestion was refused. It ends the run even if the objective swallows it.
    """

    def __init__(
        self,
        study: optuna.Study,
        trial_id: int,
        reported: Collection[int],
        search_space: Mapping[str, BaseDistribution],
    ) -> None:
        super().__init__(study, trial_id)
        self._reported = frozenset(reported)
        self._ahead = set(reported)
        self._step = -1
        self._search_space = search_space
        self.error: ValueError | None = None
        if reported:
            self._note_ahead()

    def report(self, value: float, step: int) -> None:
        """Report an intermediate value; see :meth:`optuna.trial.Trial.report`."""
        self._step = step
        if step not in self._reported:  # a storage keeps what was reported first
            super().report(value, step)
        elif step in self._ahead:
            self._ahead.remove(step)
            self._note_ahead()

    def should_prune(self) -> bool:
        """Ask the pruner; see :meth:`optuna.trial.Trial.should_prune`."""
        # A pruner looks at the last step there is. Before that one the dead worker has asked, and
        # went on.
        if self._step < max(self._reported, default=self._step):
            return False
        return super().should_prune()

    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        # Every `suggest_*` comes this way. Before anything is written: a trial keeps its
        # parameters when it is run again.
        there = self._search_space.get(name, distribution)
        if there != distribution:
            raise self._refuse(
                f"The search space is not the run's: {name!r} is {there} in the first trial of "
                f"stage 0, but now {distribution}. Resume the run with the objective it "
                "was begun with, or begin another one with another `directory` and `study_name`. "
                "A range that is to depend on the stage, or on another parameter, can be had with "
                "a factor: suggest that, and multiply."
            )
        # Optuna would only warn, and train with it.
        if name in self._fixed_params and not _holds(distribution, self._fixed_params[name]):
            raise self._refuse(
                f"`enqueue` gives {name!r} the value {self._fixed_params[name]!r}, which is not "
                f"in {distribution}. Give one that is."
            )
        return super()._suggest(name, distribution)

    def _note_ahead(self) -> None:
        self.storage.set_trial_system_attr(self._trial_id, _AHEAD_KEY, len(self._ahead))

    def _refuse(self, message: str) -> ValueError:
        self.error = ValueError(message)
        return self.error


def n_reported(trial: FrozenTrial) -> int:
    """Return how many steps a trial's present worker has reported, or its last one."""
    return len(trial.intermediate_values) - int(trial.system_attrs.get(_AHEAD_KEY, 0))


def epochs_of(trial: FrozenTrial) -> float:
    """Return how many epochs a trial says that it trained, in the user attribute ``"epochs"``.

    It is 0 where it does not say, as when it failed, or says what is no number of epochs.
    """
    found = trial.user_attrs.get("epochs")
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return 0.0
    return float(found) if 0 < found < math.inf else 0.0


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except ValueError:  # no number, or none of the choices
        return False
