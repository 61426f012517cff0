"""Logarithm of the probability that a point is feasible, for Student-t and Gaussian predictions.

A constraint is modelled by its slack, positive where the constraint is met.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from optuna_gamma.bo.acquisition import log_constant
from optuna_gamma.bo.acquisition import log_h
from optuna_gamma.bo.acquisition import Marginals
from optuna_gamma.bo.kernel import Array


def log_cdf(
    u: Array, df: float, log_h: Callable[[Array, float], tuple[Array, Array]] = log_h
) -> tuple[Array, Array]:
    """Compute the logarithm of the Student-t distribution function and its derivative.

    Since T = h', it is ln h + ln (ln h)', which is as exact far down the tail as ln h.

    Args:
        u: Where, any shape, finite.
        df: Degrees of freedom ν > 1; infinite for the normal distribution.
        log_h: What computes ln h and its derivative.

    Returns:
        ln T(u) and t(u) / T(u), of the shape of ``u``.
    """
    value, slope = log_h(u, df)
    value = value + np.log(slope)
    if math.isinf(df):
        log_density = -0.5 * u * u - 0.5 * math.log(2.0 * math.pi)
    else:
        log_density = log_constant(df) - 0.5 * (df + 1.0) * np.log1p(u * u / df)
    return value, np.exp(log_density - value)


@dataclass(frozen=True)
class LogFeasibility:
    """Log probability that all constraints are met, as a function of the point.

    Args:
        slacks: A process for the slack of each constraint, zero at its boundary, pending points
            included.

    Reference:
        M. Schonlau, W. J. Welch and D. R. Jones, "Global Versus Local Search in Constrained
        Optimization of Computer Models", 1998; J. R. Gardner et al., "Bayesian Optimization with
        Inequality Constraints", 2014, for the product with the expected improvement.
    """

    slacks: Sequence[Marginals]

    def __call__(self, x: Array) -> Array:
        """Evaluate at points (m, d); returns (m,)."""
        total = np.zeros(len(x))
        for slack in self.slacks:
            posterior = slack.posterior(x)
            total += log_cdf(posterior.location / posterior.scale, posterior.df)[0]
        return total

    def with_gradient(self, x: Array) -> tuple[Array, Array]:
        """Evaluate at points (m, d) with the gradient; returns (m,) and (m, d)."""
        total, gradient = np.zeros(len(x)), np.zeros(x.shape)
        for slack in self.slacks:
            posterior, d_location, d_scale = slack.posterior_with_gradient(x)
            u = posterior.location / posterior.scale
            value, by_u = log_cdf(u, posterior.df)
            total += value
            gradient += (by_u / posterior.scale)[:, None] * (d_location - u[:, None] * d_scale)
        return total, gradient
