"""Final values of trainings that were stopped early, from what they had reached by then.

n: Number of trainings.
m: Number of steps at which they are compared, in ascending order.
"""

from __future__ import annotations

import numpy as np

from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.transform import WINSOR


_PRIOR_WEIGHT = 1.0
"""How many trainings, as unlike as all that reached a step, the prior of a regression is worth."""

_PRIOR_NOISE = 0.5
"""Prior deviation of final values from the regression, in deviations of what is reported."""

_NOISE = 0.3
"""Share of the variance around the regression that is noise to the model. The rest is no noise:
trainings of near parameters go on alike."""

_MOST_NOISE = 100.0


def impute(finals: Array, reports: Array) -> tuple[Array, Array]:
    r"""Estimate the final values of trainings that were stopped early.

    Step by step, the last one first, final values :math:`y` are regressed on what was reported
    at the step, :math:`x`, over the trainings that went on: those that ended, and those stopped
    later, whose estimates are known by then. The prior is that values rise by the same amount,

    .. math::
        \hat y = \bar y + b (x - \bar x), \qquad
        b = \frac{w V + \sum (x_i - \bar x)(y_i - \bar y)}{w V + \sum (x_i - \bar x)^2},

    with the variance :math:`V` of what all trainings reported at the step. That trainings are
    stopped *because* of :math:`x` does not bias a regression on it; a comparison of ranks with
    the survivors' final values would be biased.

    Both sides are drawn in where they are absurdly bad, as by
    :func:`optuna_gamma.bo.transform.standardize`. No estimate is better than the best final
    value: that a training would have beaten it is not known.

    Args:
        finals: Final values, to be maximised, of any size; NaN where training was stopped, (n,).
        reports: What was reported at each step or last before it, to be maximised; NaN where a
            training had reported nothing yet or was stopped before, (n, m).

    Returns:
        Final values, estimates where there was none, −∞ where nothing can be told; and how much
        noise they bear as a share of the variance of all, (n,) each.

    Reference:
        Extrapolated learning curves in place of final values: T. Domhan, J. T. Springenberg and
        F. Hutter, "Speeding Up Automatic Hyperparameter Optimization of Deep Neural Networks by
        Extrapolation of Learning Curves", 2015.
    """
    n, m = reports.shape
    is_known = ~np.isnan(finals)
    values, noise = np.where(is_known, finals, -np.inf), np.zeros(n)
    if m == 0 or not np.isfinite(finals).any():
        return values, noise
    has = ~np.isnan(reports)
    last = np.where(has.any(axis=1), m - 1 - has[:, ::-1].argmax(axis=1), -1)
    is_hopeful = ~is_known & (reports[np.arange(n), last] > -np.inf)
    y = _drawn_in(finals)
    X = np.stack([_drawn_in(column) for column in reports.T], axis=1)
    scale = float(np.abs(np.concatenate([y[is_known], X[has]])).max()) or 1.0
    y, X = y / scale, X / scale
    best, variance = float(y[is_known].max()), np.zeros(n)
    for j in range(m - 1, -1, -1):
        new, pairs = is_hopeful & (last == j), is_known & has[:, j]
        if not new.any() or not pairs.any():
            continue
        x, centre, level = X[:, j], X[pairs, j].mean(), y[pairs].mean()
        dx, dy = x[pairs] - centre, y[pairs] - level
        prior = _PRIOR_WEIGHT * x[has[:, j]].var()
        precision = prior + float(dx @ dx)
        b = max((prior + float(dx @ dy)) / precision, 0.0) if precision > 0.0 else 1.0
        residual = dy - b * dx
        spread = float(residual @ residual) + variance[pairs].sum() + _PRIOR_NOISE**2 * prior
        y[new] = np.minimum(level + b * (x[new] - centre), best)
        variance[new] = spread / (len(dx) + _PRIOR_WEIGHT)
        is_known |= new
        with np.errstate(over="ignore"):
            values[new] = 8.0 * (scale * y[new])
    total = float((_drawn_in(values) / scale).var())
    if total > 0.0:
        with np.errstate(over="ignore"):
            noise = np.minimum(_NOISE * variance / total, _MOST_NOISE)
    return values, noise


def _drawn_in(values: Array) -> Array:
    """Draw in what is far below the median, and infinity to the best finite value; keep NaN.

    Returns:
        An eighth of the values, of which no difference overflows, (n,).
    """
    eighths = 0.125 * values
    finite = eighths[np.isfinite(eighths)]
    if len(finite) == 0:
        return np.where(np.isnan(values), np.nan, 0.0)
    best, median = float(finite.max()), float(np.median(finite))
    unit = best - median or median - float(finite.min())
    drawn: Array = np.clip(eighths, median - WINSOR * unit, best)
    return drawn
