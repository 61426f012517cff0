"""Gradient ascent of many independent problems in a box at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optuna_gamma.bo.kernel import Array


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
    inverse_hessian = np.zeros((k, d, d))
    fresh = np.ones(k, dtype=bool)
    searching = np.isfinite(value)
    step = np.ones(k)
    direction = np.zeros((k, d))
    turning = searching.copy()
    for _ in range(rounds - 1):
        if turning.any():
            blocked = ((x <= low) & (gradient < 0.0)) | ((x >= high) & (gradient > 0.0))
            free = np.where(blocked, 0.0, gradient)
            newton = np.where(blocked, 0.0, np.einsum("kij,kj->ki", inverse_hessian, free))
            length = np.sqrt(np.einsum("ki,ki->k", free, free))
            steepest = free * (first_step / np.maximum(length, 1e-300))[:, None]
            chosen = np.where(fresh[:, None], steepest, newton)
            direction = np.where(turning[:, None], chosen, direction)
            step = np.where(turning, 1.0, step)
            searching &= ~(turning & (length == 0.0))
        if not searching.any():
            break
        moved = np.clip(x + step[:, None] * direction, low, high)
        moved = np.where(searching[:, None], moved, x)
        new_value, new_gradient = function(moved)
        s = moved - x
        promised = np.einsum("ki,ki->k", gradient, s)
        gain = new_value - value
        taken = searching & (gain >= _SUFFICIENT * promised) & (promised > 0.0)
        _learn_curvature(inverse_hessian, fresh, s, gradient - new_gradient, taken)
        # A parabola through value, slope and new value says where to look on the same line.
        excess = promised - gain
        shrink = np.where(excess > 0.0, 0.5 * promised / np.maximum(excess, 1e-300), 0.3)
        step = np.where(taken, step, step * np.clip(np.nan_to_num(shrink, nan=0.1), 0.1, 0.5))
        searching &= ~(taken & (gain < tolerance)) & (step > 1e-6)
        x = np.where(taken[:, None], moved, x)
        gradient = np.where(taken[:, None], new_gradient, gradient)
        value = np.where(taken, new_value, value)
        turning = taken & searching
    return x, value


def _learn_curvature(H: Array, fresh: np.ndarray, s: Array, y: Array, taken: np.ndarray) -> None:
    """Update the inverse Hessians of the negated function in place, where a step was taken.

    s: Steps, (k, d).
    y: Changes of the negated gradient over them, (k, d).
    """
    sy = np.einsum("ki,ki->k", s, y)
    yy = np.einsum("ki,ki->k", y, y)
    # Only where the function is concave along the step does the update stay positive definite.
    good = taken & (sy > 1e-10 * np.sqrt(yy * np.einsum("ki,ki->k", s, s))) & (yy > 0.0)
    if not good.any():
        return
    first = good & fresh
    H[first] = (sy[first] / yy[first])[:, None, None] * np.eye(s.shape[1])
    fresh &= ~good
    rho = 1.0 / sy[good]
    s, y, old = s[good], y[good], H[good]
    Hy = np.einsum("kij,kj->ki", old, y)
    factor = rho * (1.0 + rho * np.einsum("ki,ki->k", y, Hy))
    cross = Hy[:, :, None] * s[:, None, :]
    H[good] = (
        old
        + factor[:, None, None] * (s[:, :, None] * s[:, None, :])
        - rho[:, None, None] * (cross + cross.transpose(0, 2, 1))
    )
