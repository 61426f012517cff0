"""Output transforms: from objective values of any size to values that a process can model."""

from __future__ import annotations

import math

import numpy as np

from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray


WINSOR = 2.5
"""How far below the median values may lie, as a multiple of the distance to the best one."""

SPARED_MARGIN = 0.1
"""What is worse than a value that is spared by this share of its distance to the best one is so,
too: how a process falls off there tells where a front ends."""

SOURCE_WEIGHT = 3.0
"""How many values of the target the source's scale is worth."""

MOST_ABOVE = 1e3
"""How many times larger than the source's the scale of the target is believed to be at most."""
NEAR, FAR = 10.0, 1e3
"""A constraint's values are linear to so many times the usual distance from its boundary, and told
apart to so many times that."""

SPOILT = 1e3
"""How many times as far below the median as the best is above it a spoilt value lies."""


def _spread(values: Array) -> tuple[Array, float, float, float]:
    """Return values, median, worst and best of the finite ones, all halved; infinity as the best.

    Of halves no difference overflows, though the values be near the largest double.
    """
    finite = np.sort(0.5 * values[np.isfinite(values)])
    worst, best = float(finite[0]), float(finite[-1])
    median = 0.5 * float(finite[(len(finite) - 1) // 2] + finite[len(finite) // 2])
    return np.minimum(0.5 * values, best), median, worst, best


def spoilt(values: Array) -> BoolArray:
    """Tell values so bad that they say little but that something went wrong.

    Args:
        values: Values to be maximised, (n,), not NaN, of any size.

    Returns:
        Whether a value is infinitely bad, or :data:`SPOILT` times as far below the median as the
        best value is above it, (n,). None is if there is nothing better to compare it with.
    """
    if not np.isfinite(values).any():
        return np.zeros(len(values), dtype=np.bool_)
    halves, median, _, best = _spread(values)
    with np.errstate(over="ignore"):
        found: BoolArray = (best > median) & (median - halves > SPOILT * (best - median))
    return found


def standardize(values: Array, spared: float = math.inf) -> Array:
    """Bring values to be maximised to zero mean and unit variance, bad outliers drawn in.

    Only the low side is drawn in: a diverged run is bad by however much, but how good the best is
    matters. A spoilt value counts as low as any can, infinity as the best finite value.

    Args:
        values: Values to be maximised, (n,) with n ≥ 1, not NaN, of any size.
        spared: What is not worse than this is not drawn in, unless it is spoilt: with several
            objectives values near one's best may be many, and those of the front far from them.

    Returns:
        (n,), finite. All zero if the values are all equal.
    """
    y, _ = _centred(values, spared=spared)
    deviation = _deviation(y)
    return y / deviation if deviation > 0.0 else y


def standardize_beside(values: Array, source: Array) -> tuple[Array, Array]:
    """Bring values of two tasks to zero mean each and comparable variance, as :func:`standardize`.

    The source's become of unit variance. The target's scale is still uncertain while it has few:
    it is taken for the geometric mean of its own deviation and of the source's, weighted by n and
    by :data:`SOURCE_WEIGHT`. A source whose values are all equal has none,
    and one whose scale is smaller by far than what the target has shown is not believed.

    Args:
        values: Values of the target, (n,), n ≥ 0, as for :func:`standardize`.
        source: Those of the source, (m,) with m ≥ 1.

    Returns:
        (n,) and (m,), finite.
    """
    y_source, unit_source = _centred(source)
    deviation = _deviation(y_source)
    if deviation > 0.0:
        y_source = y_source / deviation
    n = len(values)
    if n == 0:
        return values, y_source
    y, unit = _centred(values, unit_source)
    own, others = unit * _deviation(y), unit_source * deviation
    if own == 0.0:
        return y, y_source
    others = max(others, own / MOST_ABOVE) if others > 0.0 else own
    share = n / (n + SOURCE_WEIGHT)
    return y * math.exp(
        math.log(unit) - share * math.log(own) - (1.0 - share) * math.log(others)
    ), y_source


def slack(values: Array) -> Array:
    """Bring values of a constraint to slacks of unit variance that are zero at its boundary.

    Where the constraint is met matters, and by how much it is violated far away does not: values
    that are unusually large are drawn in like logarithms, on both sides of the boundary. Infinity
    counts as the largest finite value.

    Args:
        values: Values, feasible up to zero, (n,) with n ≥ 1, not NaN, of any size.

    Returns:
        (n,), finite; positive where the constraint is met with something to spare.

    Reference:
        D. Eriksson and M. Poloczek, "Scalable Constrained Bayesian Optimization", 2021, for the
        idea of such a transformation; the inverse hyperbolic sine is a smooth one.
    """
    sizes = np.abs(values)
    usual = sizes[(sizes > 0.0) & np.isfinite(sizes)]
    unit, largest = (float(np.median(usual)), float(usual.max())) if len(usual) else (1.0, 1.0)
    sizes = np.minimum(sizes, largest)
    with np.errstate(over="ignore"):
        y: Array = -np.sign(values) * np.arcsinh(np.minimum(sizes / unit / NEAR, FAR))
    deviation = max(float(y.std()), 1e-3 * float(np.abs(y).max()))
    return y / deviation if deviation > 0.0 else y


def _centred(
    values: Array, fallback: float = 1.0, spared: float = math.inf
) -> tuple[Array, float]:
    """Return values with zero mean in units of the distance of the best to the median; the unit.

    The unit is half of that distance, so that it does not overflow; ``fallback`` if values are
    all equal. For ``spared`` see :func:`standardize`.
    """
    values = np.where(spoilt(values), -np.inf, values)
    if not np.isfinite(values).any():
        values = np.sign(values)
    halves, median, worst, best = _spread(values)
    unit = best - median or median - worst or fallback
    with np.errstate(over="ignore"):
        lowest = (0.5 * spared - median - SPARED_MARGIN * (best - 0.5 * spared)) / unit
        floor = min(lowest, -WINSOR) if lowest >= -SPOILT else -WINSOR
        y: Array = np.maximum((halves - median) / unit, floor)
    y -= y.mean()
    return y, unit


def _deviation(y: Array) -> float:
    return float(np.sqrt(np.mean(y * y)))


def resolution(y: Array) -> float:
    """Return the step in which values come if the best of them are equal, else zero.

    A score such as an accuracy comes in steps: there is no improvement smaller than one. Without
    asking for as much, the search would go on for tiny gains all over a plateau of equal values.

    Args:
        y: Standardised values to be maximised, (n,).
    """
    if len(y) == 0:
        return 0.0
    y = np.round(y, 9)  # sums in another order differ in their last digits
    steps = np.diff(np.unique(y))
    tied = np.count_nonzero(y == y.max()) > 1
    return float(steps.min()) if tied and len(steps) else 0.0
