"""Gradient ascent of many independent problems in a box at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray


_SUFFICIENT = 1e-4
"""Share of the gain promised by the gradient that a step must bring."""


def ascend(
    function: Callable[[Array], tuple[Array, Array]],
    x: Array,
    *,
    low: float,
    high: float,
    first_step: float,
    rounds: int,
    tolerance: float,
) -> tuple[Array, Array]:
    """Climb from each of k points by BFGS steps, projected onto a box.

    Each round evaluates all points once. Where the gain is sufficient the step is taken and the
    curvature learned from it; elsewhere the step is shortened. So k searches cost little more
    than the calls of the longest one, which a loop over :func:`scipy.optimize.minimize` or one
    joint problem of k d variables do not reach.

    Args:
        function: From points (k, d) to values (k,) and gradients (k, d), row by row.
        x: Where to start, (k, d).
        low: Lower bound of each coordinate.
        high: Upper bound.
        first_step: Length of the first step.
        rounds: Number of evaluations of all points.
        tolerance: A search ends when a step gains less.

    Returns:
        The best points found, (k, d), and their values, (k,).

    Reference:
        J. Nocedal and S. J. Wright, "Numerical Optimization", 2006, sections 3.1, 3.5 and 6.1;
        D. P. Bertsekas, "Projected Newton Methods for Optimization Problems with Simple
        Constraints", 1982, for what is done at the bounds.
    """
    k, d = x.shape
    value, gradient = function(x)
    searching = np.isfinite(value)
    free = _free(x, gradient, low, high)
    length = np.sqrt((free * free).sum(axis=1))
    # At first a multiple of the unit matrix, so that the first step has the length asked for.
    inverse_hessian = (first_step / np.maximum(length, 1e-300))[:, None, None] * np.eye(d)
    fresh = np.ones(k, dtype=np.bool_)
    step = np.ones(k)
    direction = np.zeros((k, d))
    turning = searching
    for _ in range(rounds - 1):
        if turning.any():
            newton = np.where(free != 0.0, (inverse_hessian @ free[:, :, None])[:, :, 0], 0.0)
            direction = np.where(turning[:, None], newton, direction)
            step = np.where(turning, 1.0, step)
            searching = searching & (newton.any(axis=1) | ~turning)
        if not searching.any():
            break
        moved = np.minimum(np.maximum(x + step[:, None] * direction, low), high)
        if not searching.all():
            moved = np.where(searching[:, None], moved, x)
        new_value, new_gradient = function(moved)
        s = moved - x
        promised = (gradient * s).sum(axis=1)
        gain = new_value - value
        taken = searching & (gain >= _SUFFICIENT * promised) & (promised > 0.0)
        _learn_curvature(inverse_hessian, fresh, s, gradient - new_gradient, taken)
        if not taken.all():
            # A parabola through value, slope and new value says where to look on the same line.
            excess = promised - gain
            shrink = np.where(excess > 0.0, 0.5 * promised / np.maximum(excess, 1e-300), 0.3)
            shrink = np.where(excess < np.inf, np.minimum(np.maximum(shrink, 0.1), 0.5), 0.1)
            step = np.where(taken, step, step * shrink)
        searching = searching & ~(taken & (gain < tolerance)) & (step > 1e-6)
        if taken.all():
            x, value, gradient = moved, new_value, new_gradient
        else:
            x = np.where(taken[:, None], moved, x)
            value = np.where(taken, new_value, value)
            gradient = np.where(taken[:, None], new_gradient, gradient)
        turning = taken & searching
        free = _free(x, gradient, low, high)
    return x, value


def _free(x: Array, gradient: Array, low: float, high: float) -> Array:
    """Return the gradient without what points out of the box, (k, d)."""
    blocked = ((x <= low) & (gradient < 0.0)) | ((x >= high) & (gradient > 0.0))
    free: Array = np.where(blocked, 0.0, gradient)
    return free


def _learn_curvature(H: Array, fresh: BoolArray, s: Array, y: Array, taken: BoolArray) -> None:
    """Update the inverse Hessians of the negated function in place, where a step was taken.

    H: Inverse Hessians, (k, d, d).
    fresh: Which of them have learned nothing yet, (k,).
    s: Steps, (k, d).
    y: Changes of the negated gradient over them, (k, d).
    taken: Which steps were taken, (k,).
    """
    sy = (s * y).sum(axis=1)
    yy = (y * y).sum(axis=1)
    # Only where the function is concave along the step does the update stay positive definite.
    good = taken & (sy > 1e-10 * np.sqrt(yy * (s * s).sum(axis=1))) & (yy > 0.0)
    if not good.any():
        return
    first = good & fresh
    if first.any():
        H[first] = (sy[first] / yy[first])[:, None, None] * np.eye(s.shape[1])
        fresh &= ~good
    rho = np.where(good, 1.0 / np.where(good, sy, 1.0), 0.0)[:, None]
    s, y = np.where(good[:, None], s, 0.0), np.where(good[:, None], y, 0.0)
    Hy = (H @ y[:, :, None])[:, :, 0]
    rest = (1.0 + rho * (y * Hy).sum(axis=1)[:, None]) * s - Hy
    H += (rho * s)[:, :, None] * rest[:, None, :] - (rho * Hy)[:, :, None] * s[:, None, :]
