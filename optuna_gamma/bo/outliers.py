"""Values that the others contradict: found one by one, then together, and left out of the model.

Names as in :mod:`optuna_gamma.bo.process`.
"""

from __future__ import annotations

from collections.abc import Callable
import logging
import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from optuna_gamma.bo.fit import fit
from optuna_gamma.bo.fit import MAX_FITTED
from optuna_gamma.bo.fit import Model
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray
from optuna_gamma.bo.leave_one_out import precisions
from optuna_gamma.bo.leave_one_out import studentized
from optuna_gamma.bo.process import Process


_logger = logging.getLogger(__name__)

LEVEL = 1e-2
"""How improbable the worst of all residuals must be."""

LEVEL_TOGETHER = 1e-4
"""How improbable each residual must be of values that are left out at once: where a function is
rough, many of its values are a little improbable to a smooth one."""

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


def is_promising(process: Process, usual: Process) -> BoolArray:
    """Tell which values are better than the others predict, where these tell little.

    A search looks for such values, and returns to them: then their neighbours tell. How far
    neighbours reach is asked of the prior, since to values that are nearly equal any
    length-scale fits.

    Args:
        process: A process with unknown precision and without pending points.
        usual: One that knows the same, its hyper-parameters at the medians of their priors.

    Returns:
        (n,).
    """
    unknown = 1.0 / precisions(usual) - usual.extra - math.exp(usual.theta[-1])
    threshold = UNKNOWN * usual.prior_variance
    promising: BoolArray = (process.alpha > 0.0) & (unknown > threshold)
    return promising


def _as_usual(process: Process, model: Model, chosen: BoolArray | slice = slice(None)) -> Process:
    """Condition on what a process knows, or a choice of it, with the usual hyper-parameters."""
    return model.condition(
        process.X[chosen],
        process.y[chosen],
        process.is_categorical,
        model.medians(process.X.shape[1]),
        process.extra[chosen],
    )


def masked(process: Process, model: Model, is_suspect: BoolArray, most: int) -> BoolArray:
    """Tell which values the others contradict if the length-scales are the usual ones.

    Several outliers explain each other: a process that is fitted to all of them has length-scales
    so short that no value tells anything of another.

    Args:
        process: A process with unknown precision and without pending points.
        model: Its priors.
        is_suspect: Which values may be left out, (n,).
        most: How many may be.

    Returns:
        (n,).

    Raises:
        numpy.linalg.LinAlgError: If the usual process cannot be conditioned.

    Reference:
        Masking: D. M. Hawkins, "Identification of Outliers", 1980.
    """
    left = np.ones(len(process.y), dtype=np.bool_)
    for _ in range(most):
        usual = _as_usual(process, model, left)
        improbable = np.where(is_suspect[left], improbability(usual), np.inf)
        improbable[is_promising(usual, usual)] = np.inf
        worst = int(np.argmin(improbable))
        if improbable[worst] > LEVEL_TOGETHER:
            break
        left[np.flatnonzero(left)[worst]] = False
    return ~left


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

    Many observations are dealt out to as few parts as have no more than
    :data:`~optuna_gamma.bo.fit.MAX_FITTED` each. What is left out is decided in each part by
    itself, since every value that is left out costs another fit.

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
        numpy.linalg.LinAlgError: If no process can be fitted to all observations, or to a part.
    """
    n = len(X)
    n_parts = math.ceil(n / MAX_FITTED)
    if n_parts == 1:
        return _fit_trusted(X, standardized, is_categorical, model, start, extra, is_suspect)
    trusted = np.ones(n, dtype=np.bool_)
    for k in range(n_parts):
        part = np.arange(k, n, n_parts)

        def of_part(chosen: BoolArray, part: NDArray[np.intp] = part) -> Array:
            of_all = np.zeros(n, dtype=np.bool_)
            of_all[part[chosen]] = True
            return standardized(of_all)

        _, trusted[part] = _fit_trusted(
            X[part], of_part, is_categorical, model, start, extra[part], is_suspect[part]
        )
    y = standardized(trusted)
    return fit(X[trusted], y, is_categorical, model, start=start, extra=extra[trusted]), trusted


def _fit_trusted(
    X: Array,
    standardized: Callable[[BoolArray], Array],
    is_categorical: BoolArray,
    model: Model,
    start: Array | None,
    extra: Array,
    is_suspect: BoolArray,
) -> tuple[Process, BoolArray]:
    """Fit a process to those of a part that do not contradict each other.

    The most improbable value is left out if it is as improbable to a process that was fitted
    without it, since one outlier bends the hyper-parameters until it seems normal. Where no single
    one is, those that :func:`masked` finds are left out together if each is as improbable to a
    process that was fitted without all of them. Good values far from all others are believed; see
    :func:`is_promising`. Arguments are as in :func:`fit_trusted`.
    """
    n = len(X)
    trusted = np.ones(n, dtype=np.bool_)

    def fit_to(chosen: BoolArray, start: Array | None) -> Process:
        y = standardized(chosen)
        return fit(X[chosen], y, is_categorical, model, start=start, extra=extra[chosen])

    def is_contradicted(i: int, others: BoolArray, theta: Array, level: float) -> bool:
        chosen = others | (np.arange(n) == i)
        doubtful = model.condition(
            X[chosen], standardized(chosen), is_categorical, theta, extra[chosen]
        )
        return bool(improbability(doubtful)[chosen[:i].sum()] <= level)

    process = fit_to(trusted, start)
    most = int(MOST * n) if len(np.unique(process.y)) > FEWEST else 0
    for _ in range(most):
        known = np.flatnonzero(trusted)
        improbable = np.where(is_suspect[known], improbability(process), np.inf)
        if improbable.min() > LEVEL:
            break
        try:
            usual = _as_usual(process, model)
            improbable[is_promising(process, usual)] = np.inf
            worst = int(np.argmin(improbable))
            if improbable[worst] > LEVEL:
                break
            without = trusted.copy()
            without[known[worst]] = False
            candidate = fit_to(without, process.theta)
            if not is_contradicted(int(known[worst]), without, candidate.theta, LEVEL):
                break
        except np.linalg.LinAlgError as error:
            _logger.debug("A value that may be an outlier is kept: %s", error)
            break
        trusted, process = without, candidate
    try:
        left_out = int((~trusted).sum())
        group = np.flatnonzero(trusted)[
            masked(process, model, is_suspect[trusted], most - left_out)
        ].tolist()
        while group:
            without = trusted.copy()
            without[group] = False
            candidate = fit_to(without, process.theta)
            wrong = [
                i for i in group if is_contradicted(i, without, candidate.theta, LEVEL_TOGETHER)
            ]
            if wrong == group:
                return candidate, without
            group = wrong
    except np.linalg.LinAlgError as error:
        _logger.debug("Values that may be outliers are kept: %s", error)
    return process, trusted
