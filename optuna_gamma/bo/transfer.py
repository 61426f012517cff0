"""Knowledge of a related task: its observations, with the task as one more categorical coordinate.

The last coordinate of a point says which task it belongs to; its length-scale, fitted with the
others, says how much the tasks have in common. A short one makes the source tell nothing about
the target.

Reference:
    K. Swersky, J. Snoek and R. P. Adams, "Multi-Task Bayesian Optimization", 2013; E. V. Bonilla,
    K. M. A. Chai and C. K. I. Williams, "Multi-task Gaussian Process Prediction", 2008.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
import math

import numpy as np

from optuna_gamma.bo.fit import LogNormal
from optuna_gamma.bo.fit import Model
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray
from optuna_gamma.bo.process import Posterior
from optuna_gamma.bo.process import Process


TARGET, SOURCE = 0.0, 1.0
"""What the last coordinate is."""

TASK_LENGTH_SCALE = LogNormal(math.log(0.7), 1.0)
"""At the median the tasks correlate by 0.31: the source has to earn its credit."""

LOG_APART = math.log(0.3)
"""Length-scale of the task at which tasks have next to nothing in common: fits start there too."""

TASK_OFFSET = 4.0
"""Prior variance of what the mean of each task differs by: the level is the target's own."""


def with_task(X: Array, task: float) -> Array:
    """Append the task to points (n, d); returns (n, d + 1)."""
    return np.column_stack([X, np.full(len(X), task)])


def with_tasks(model: Model, d: int) -> Model:
    """Extend a model of d coordinates by the task."""
    own, task = model.length_scale, TASK_LENGTH_SCALE
    assert own is not None
    return replace(
        model,
        length_scale=LogNormal(
            np.append(np.broadcast_to(own.mu, d), task.mu),
            np.append(np.broadcast_to(own.sigma, d), task.sigma),
        ),
        task_offset=TASK_OFFSET,
        log_apart=LOG_APART,
    )


@dataclass(frozen=True)
class Target:
    """A process that knows two tasks, as seen from the target: a function of d coordinates.

    Args:
        process: The process, the task its last coordinate.
    """

    process: Process

    @property
    def X(self) -> Array:
        """Known points, those of the source among them, (n', d)."""
        return self.process.X[:, :-1]

    @property
    def y(self) -> Array:
        """Values observed in the target, (n,)."""
        return self.process.y[self._is_own[: len(self.process.y)]]

    @property
    def location(self) -> Array:
        """Location of the target at the known points, (n',)."""
        return self.posterior(self.X).location

    @property
    def incumbent(self) -> float:
        """The best location at a point of the target; before there is one, the worst anywhere."""
        own = self.process.location[self._is_own]
        return float(own.max()) if len(own) else float(self.location.min())

    def posterior(self, x: Array) -> Posterior:
        """Compute the marginal posterior at points (m, d)."""
        return self.process.posterior(with_task(x, TARGET))

    def posterior_with_gradient(self, x: Array) -> tuple[Posterior, Array, Array]:
        """Compute the marginal posterior and its gradients, (m, d) each, at points (m, d)."""
        posterior, d_location, d_scale = self.process.posterior_with_gradient(with_task(x, TARGET))
        return posterior, d_location[:, :-1], d_scale[:, :-1]

    def pend(self, x: Array) -> Target:
        """Condition the scale on points (k, d) whose values are still unknown."""
        return Target(self.process.pend(with_task(x, TARGET)))

    @property
    def _is_own(self) -> BoolArray:
        own: BoolArray = self.process.X[:, -1] == TARGET
        return own
