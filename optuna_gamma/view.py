"""What a trial is proposed from, for people to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna_gamma.bo.maximize import Acquisition
from optuna_gamma.bo.process import Process
from optuna_gamma.bo.transfer import Target
from optuna_gamma.history import Column
from optuna_gamma.space import Space


@dataclass(frozen=True)
class View:
    """Space, model and acquisition function behind a proposal.

    Attributes:
        space: The search space.
        seen: The trials that the process knows, without those left out.
        process: The process.
        acquisition: What is maximised, as a function of points of the cube.
        next_params: What is proposed, where it is the next trial that is asked for.
    """

    space: Space
    seen: Column
    process: Process | Target
    acquisition: Acquisition
    next_params: dict[str, Any] | None

    @property
    def full_process(self) -> Process:
        """The process over all it knows, source trials included."""
        return self.process.process if isinstance(self.process, Target) else self.process
