"""Values that the others contradict: found one by one, and left out of the model.

Names as in :mod:`optuna_gamma.bo.process`.
"""

from __future__ import annotations

from collections.abc import Callable
import logging
import math

import numpy as np
from scipy import special

from optuna_gamma.bo.fit import fit
from optuna_gamma.bo.fit import Model
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray
from optuna_gamma.bo.leave_one_out import precisions
from optuna_gamma.bo.leave_one_out import studentized
from optuna_gamma.bo.process import Process


_logger = logging.getLogger(__name__)

LEVEL = 1e-2
"""How improbable the worst of all residuals must be."""

MOST = 0.2
"""Share of the observations that can be left out at most."""

FEWEST = 5
"""With no more different values none is left out."""

UNKNOWN = 0.25
"""Share of the prior variance that the others leave where they tell little."""


def improbability(process: Process) -> Array:
    """Compute how probable it is that a value is as far from what the others predict.

    The probability is multiplied by the number of observations, since the worst one is looked for.

    Args:
        process: A process with unknown precision and without pending points.

    Returns:
        Probabilities, possibly above one, (n,).

    Reference:
        Outlier test by studentised residuals: R. D. Cook and S. Weisberg, "Residuals and
        Influence in Regression", 1982.
    """
    t, _ = studentized(process)
    tails: Array = 2.0 * len(t) * special.stdtr(process.df - 1.0, -t)
    return tails


def is_promising(process: Process, model: Model) -> BoolArray:
    """Tell which values are better than the others predict, where these tell little.

    A search looks for such values, and returns to them: then their neighbours tell. How far
    neighbours reach is asked of the prior, since to values that are nearly equal any
    length-scale fits.

    Args:
        process: A process with unknown precision and without pending points.
        model: Its priors.

    Returns:
        (n,).

    Raises:
        numpy.linalg.LinAlgError: If it cannot be asked.
    """
    theta = model.medians(process.X.shape[1])
    usual = model.condition(process.X, process.y, process.is_categorical, theta, process.extra)
    unknown = 1.0 / precisions(usual) - process.extra - math.exp(theta[-1])
    promising: BoolArray = (process.alpha > 0.0) & (unknown > UNKNOWN * (1.0 + model.task_offset))
    return promising


def fit_trusted(
    X: Array,
    standardized: Callable[[BoolArray], Array],
    is_categorical: BoolArray,
    model: Model,
    *,
    start: Array | None = None,
    extra: Array,
    is_suspect: BoolArray,
) -> tuple[Process, BoolArray]:
    """Fit a process to those values that do not contradict each other.

    The most improbable value is left out if it is as improbable to a process that was fitted
    without it, since one outlier bends the hyper-parameters until it seems normal. Good values
    far from all others are believed; see :func:`is_promising`.

    Args:
        X: Points, (n, d).
        standardized: From a choice of observations, (n,), to their standardised values.
        is_categorical: Which coordinates are categorical, (d,).
        model: The priors; the precision must be unknown.
        start: Hyper-parameters of an earlier fit, (d + 2,).
        extra: Noise of single observations beyond that of all, (n,).
        is_suspect: Which observations may be left out, (n,).

    Returns:
        The process, and the observations that it knows, (n,).

    Raises:
        numpy.linalg.LinAlgError: If no process can be fitted to all observations.
    """
    n = len(X)
    trusted = np.ones(n, dtype=np.bool_)

    def fit_to(chosen: BoolArray, start: Array | None) -> Process:
        y = standardized(chosen)
        return fit(X[chosen], y, is_categorical, model, start=start, extra=extra[chosen])

    process = fit_to(trusted, start)
    for _ in range(int(MOST * n) if len(np.unique(process.y)) > FEWEST else 0):
        known = np.flatnonzero(trusted)
        improbable = np.where(is_suspect[known], improbability(process), np.inf)
        if improbable.min() > LEVEL:
            break
        try:
            improbable[is_promising(process, model)] = np.inf
            worst = int(np.argmin(improbable))
            if improbable[worst] > LEVEL:
                break
            without = trusted.copy()
            without[known[worst]] = False
            candidate = fit_to(without, process.theta)
            doubtful = model.condition(
                process.X, process.y, is_categorical, candidate.theta, process.extra
            )
        except np.linalg.LinAlgError as error:
            _logger.debug("A value that may be an outlier is kept: %s", error)
            break
        if improbability(doubtful)[worst] > LEVEL:
            break
        trusted, process = without, candidate
    return process, trusted
