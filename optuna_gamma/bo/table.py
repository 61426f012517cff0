"""The function h of the expected improvement from a table: as exact as is needed, and fast."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from optuna_gamma.bo.acquisition import log_h
from optuna_gamma.bo.acquisition import TAIL
from optuna_gamma.bo.kernel import Array


_INTERVALS = 512


def tabulated_log_h(u: Array, df: float) -> tuple[Array, Array]:
    """Compute ln h from cubic polynomials on equal intervals.

    Expected hypervolume improvement asks for h at every coordinate of the front: from a table
    it costs a fifth. The relative error of h is below 1e-8.

    Args:
        u: Standardised improvements, any shape, finite.
        df: Degrees of freedom ν > 1, or infinity.

    Returns:
        ln h(u) and its derivative; see :func:`~optuna_gamma.bo.acquisition.log_h`.
    """
    position = (u + TAIL) * (_INTERVALS / (2.0 * TAIL))
    inside = np.minimum(np.maximum(position, 0.0), _INTERVALS - 1e-9)
    index = inside.astype(np.intp)
    t = inside - index
    a, b, c, d = _coefficients(df)[:, index]
    value = a + t * (b + t * (c + t * d))
    slope = (b + t * (2.0 * c + 3.0 * t * d)) * (_INTERVALS / (2.0 * TAIL))
    outside = np.abs(u) >= TAIL
    if outside.any():
        value[outside], slope[outside] = _beyond(u[outside], df)
    return value, slope


def _beyond(u: Array, df: float) -> tuple[Array, Array]:
    """Return ln h and its derivative outside the table; u + h(−u) and 1 − T(−u) on the right."""
    value, slope = log_h(-np.maximum(np.abs(u), TAIL * (1.0 + 1e-12)), df)
    positive = u > 0.0
    if positive.any():
        z, tail = u[positive], np.exp(value[positive])
        cdf = 1.0 - tail * slope[positive]
        value[positive], slope[positive] = np.log(z + tail), cdf / (z + tail)
    return value, slope


@lru_cache(maxsize=16)
def _coefficients(df: float) -> Array:
    """Compute Hermite's cubic polynomials of unit intervals, (4, intervals)."""
    nodes = np.linspace(-TAIL, TAIL, _INTERVALS + 1)
    value, slope = log_h(nodes, df)
    slope = slope * (2.0 * TAIL / _INTERVALS)
    rise = np.diff(value)
    return np.stack(
        [
            value[:-1],
            slope[:-1],
            3.0 * rise - 2.0 * slope[:-1] - slope[1:],
            slope[:-1] + slope[1:] - 2.0 * rise,
        ]
    )
