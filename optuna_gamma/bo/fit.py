"""Hyper-parameters of the process at their largest posterior density.

theta: (ln ℓ_1 … ln ℓ_d, ln amplitude, ln noise), (d + 2,); see :mod:`optuna_gamma.bo.process`.
P: Number n (n − 1) / 2 of pairs of observations. Symmetric matrices are computed for pairs only.
D2: Squared differences of the pairs in each coordinate, (d, P).
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
import logging
import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas
from scipy.linalg import lapack
from scipy.optimize import minimize

from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.effects import Effects
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray
from optuna_gamma.bo.kernel import matern52
from optuna_gamma.bo.kernel import squared_differences
from optuna_gamma.bo.process import condition
from optuna_gamma.bo.process import GammaPrior
from optuna_gamma.bo.process import JITTER
from optuna_gamma.bo.process import prior_variance
from optuna_gamma.bo.process import Process


_logger = logging.getLogger(__name__)

MAX_FITTED = 300
"""Hyper-parameters are fitted to so many observations at most: more would tell them little."""

LOG_LENGTH_SCALE_BOUNDS = (math.log(5e-3), math.log(1e3))
LOG_AMPLITUDE_BOUNDS = (math.log(1e-4), math.log(1e4))
LOG_NOISE_BOUNDS = (math.log(1e-7), math.log(1e1))

_IMPROBABLE = 1e25
"""Minus the log density where K has no Cholesky factor."""


@dataclass(frozen=True)
class LogNormal:
    """Log-normal prior of one or more hyper-parameters, as a normal density of logarithms.

    Args:
        mu: Mean of the logarithm, one for all or (d,).
        sigma: Standard deviation of the logarithm, one for all or (d,).
    """

    mu: float | Array
    sigma: float | Array


@dataclass(frozen=True)
class Model:
    """What is known of the process before it sees a value.

    Args:
        length_scale: Prior of each length-scale, for points in [0, 1]^d.
        noise: Prior of the noise (ratio, or variance if the precision is known), or the value
            at which it is fixed.
        precision: Prior of the precision. :obj:`None`: the precision is one and the
            amplitude of the kernel is fitted instead, which is the usual Gaussian process.
        mean: ``"constant"``: unknown, integrated out; ``"zero"``: known.
        task_offset: Prior variance of what the mean of each task differs by, where the last
            coordinate tells tasks apart; 0: there are no tasks.
        main_effects: Prior variance of the :mod:`~optuna_gamma.bo.effects` of all coordinates
            together; 0: there are none.
        log_apart: Where one more search starts if there are tasks: ln length-scale of the task at
            which they have next to nothing in common.
    """

    length_scale: LogNormal | None
    noise: LogNormal | float
    precision: GammaPrior | None
    mean: Literal["constant", "zero"] = "constant"
    task_offset: float = 0.0
    main_effects: float = 0.0
    log_apart: float | None = None

    def medians(self, d: int) -> Array:
        """Return the hyper-parameters at the medians of their priors, (d + 2,)."""
        prior, noise = self.length_scale, self.noise
        middle = prior.mu if prior else math.log(0.5)
        level = noise.mu if isinstance(noise, LogNormal) else math.log(noise)
        return np.append(np.broadcast_to(middle, d), [0.0, level])

    def condition(
        self, X: Array, y: Array, is_categorical: BoolArray, theta: Array, extra: Array
    ) -> Process:
        """Condition a process of this kind on observations; see :func:`.process.condition`."""
        has_mean, parts = self.mean == "constant", (self.task_offset, self.main_effects)
        return condition(X, y, is_categorical, theta, self.precision, has_mean, extra, *parts)


def default_model(cube: Cube, prior: GammaPrior, noise: float | None = None) -> Model:
    """Build the model that the sampler uses for a space.

    Args:
        cube: The space.
        prior: Prior of the precision.
        noise: Fixed noise ratio, or :obj:`None` to fit it.

    Reference:
        The length-scale prior is the dimension-scaled one of C. Hvarfner, E. O. Hellsten and
        L. Nardi, "Vanilla Bayesian Optimization Performs Great in High Dimensions", 2024, with a
        smaller median and less spread; of discrete coordinates, some of which tell nothing, it
        says less.
    """
    is_discrete = np.array([grid is not None for grid in cube.grids])
    return Model(
        length_scale=LogNormal(
            np.log(np.where(is_discrete, 0.4, 0.125)) + 0.5 * math.log(cube.dim),
            np.where(is_discrete, 1.0, 0.7),
        ),
        noise=LogNormal(math.log(1e-4), 2.0) if noise is None else noise,
        precision=prior,
    )


def smoother(model: Model, factor: float) -> Model:
    """Return a model that expects length-scales so many times as long."""
    prior = model.length_scale
    assert prior is not None
    return replace(model, length_scale=LogNormal(prior.mu + math.log(factor), prior.sigma))


def fit(
    X: Array,
    y: Array,
    is_categorical: BoolArray,
    model: Model,
    *,
    start: Array | None = None,
    extra: Array | None = None,
) -> Process:
    """Fit the hyper-parameters to their largest posterior density, and condition on the values.

    The search starts at the best of a few points of the prior and ``start``, so that no single
    start decides. Where it or conditioning fails, it starts at the next best one; where all fail,
    the hyper-parameters are the prior's.

    Args:
        X: Points, (n, d) with n ≥ 1.
        y: Standardised values, (n,), finite.
        is_categorical: Which coordinates are categorical, (d,).
        model: The priors.
        start: Hyper-parameters of an earlier fit, (d + 2,).
        extra: Noise of single observations beyond that of all, (n,); none by default.

    Of more than :data:`MAX_FITTED` observations the density is that of
    :func:`informative` ones; the process is conditioned on all.

    Raises:
        numpy.linalg.LinAlgError: If the process cannot be conditioned with those of the prior
            either.

    Reference:
        The marginal likelihood and its gradient are those of a Student-t process: A. Shah,
        A. Wilson and Z. Ghahramani, "Student-t Processes as Alternatives to Gaussian
        Processes", 2014, with the mean integrated out as in O'Hagan 1992.
    """
    extra = np.zeros(len(y)) if extra is None else extra
    chosen = informative(y, MAX_FITTED)
    density = LogDensity(X[chosen], y[chosen], is_categorical, model, extra[chosen])

    starts = [np.clip(theta, *density.bounds) for theta in density.starts(start)]
    for candidate in sorted(starts, key=lambda theta: -density(theta)[0]):
        theta = _search(density, candidate)
        if theta is not None:
            try:
                return model.condition(X, y, is_categorical, theta, extra)
            except np.linalg.LinAlgError as error:
                _logger.debug("A fit is of no use: %s", error)
        _logger.debug("The search for hyper-parameters failed: it starts elsewhere.")
    _logger.debug("No hyper-parameters were found: the prior's are used.")
    prior = np.clip(model.medians(X.shape[1]), *density.bounds)
    return model.condition(X, y, is_categorical, prior, extra)


def _search(density: LogDensity, start: Array) -> Array | None:
    """Climb the density; return where it ended, or :obj:`None` if that is nowhere."""
    low, high = density.bounds
    free = low < high
    theta: Array = start.copy()
    if not free.any():
        return theta

    def objective(values: Array) -> tuple[float, Array]:
        theta[free] = values
        value, gradient = density(theta)
        return -value, -gradient[free]

    result = minimize(
        objective,
        start[free],
        jac=True,
        method="L-BFGS-B",
        bounds=np.stack([low[free], high[free]], axis=1),
        options={"maxiter": 50, "ftol": 1e-3, "gtol": 1e-2},
    )
    theta[free] = result.x
    found = bool(result.fun < _IMPROBABLE) and bool(np.isfinite(theta).all())
    return theta if found else None


def informative(y: Array, m: int) -> NDArray[np.intp]:
    """Choose observations that tell most: the best half, and the rest evenly among the others.

    Args:
        y: Values to be maximised, (n,), in the order in which they came.
        m: How many to choose at most.

    Returns:
        Indices in ascending order, (min(n, m),).
    """
    if len(y) <= m:
        return np.arange(len(y))
    order = np.argsort(-y, kind="stable")
    others = np.sort(order[m // 2 :])
    spread = np.linspace(0, len(others) - 1, m - m // 2).round().astype(np.intp)
    return np.sort(np.concatenate([order[: m // 2], others[spread]]))


class LogDensity:
    """Log posterior density of the hyper-parameters, up to a constant of their priors.

    Args:
        X: Points, (n, d).
        y: Values, (n,).
        is_categorical: Which coordinates are categorical, (d,).
        model: The priors.
        extra: Noise of single observations beyond that of all, (n,); none by default.
    """

    def __init__(
        self,
        X: Array,
        y: Array,
        is_categorical: BoolArray,
        model: Model,
        extra: Array | None = None,
    ) -> None:
        self._n, self._d = X.shape
        self._y = y
        self._model = model
        self._extra = np.zeros(self._n) if extra is None else extra
        first, second = np.triu_indices(self._n, 1)
        self._upper = first * self._n + second
        self._D2 = squared_differences(X, first, second, is_categorical)
        self._offset = model.task_offset
        if self._offset:
            self._offsets = np.where(self._D2[-1] == 0.0, self._offset, 0.0)
        self._effects: Effects | None = None
        if model.main_effects:
            self._effects = Effects.at(X, is_categorical, model.main_effects)
            self._between = self._effects.covariance(self._effects)[first, second]
        self._rhs = np.stack([y, np.ones(self._n)], axis=1)

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Bounds of theta; both equal where a hyper-parameter is fixed."""
        noise, precision = self._model.noise, self._model.precision
        rows = [LOG_LENGTH_SCALE_BOUNDS] * self._d
        rows.append(LOG_AMPLITUDE_BOUNDS if precision is None else (0.0, 0.0))
        rows.append(LOG_NOISE_BOUNDS if isinstance(noise, LogNormal) else (math.log(noise),) * 2)
        low, high = np.array(rows).T
        return low, high

    def starts(self, known: Array | None = None) -> list[Array]:
        """List where a search may start: a known good point, and points of the prior."""
        prior, noise = self._model.length_scale, self._model.noise
        spread = prior.sigma if prior else 1.0
        louder = 2.0 * noise.sigma if isinstance(noise, LogNormal) else 0.0
        medians = self._model.medians(self._d)
        shifts = [(0.0, 0.0), (-spread, 0.0), (spread, 0.0), (0.0, louder)]
        points = [
            medians + np.append(np.broadcast_to(s, self._d), [0.0, more]) for s, more in shifts
        ]
        if known is not None and known.shape == (self._d + 2,) and np.isfinite(known).all():
            # The other length-scales would rarely win any more.
            points = [known, points[0], points[-1]]
        if self._model.log_apart is not None:
            apart = points[0].copy()
            apart[self._d - 1] = self._model.log_apart
            points.append(apart)
        return points

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """Evaluate the density and its gradient, (d + 2,)."""
        n, d = self._n, self._d
        inv_sq = np.exp(-2.0 * theta[:d])
        amplitude, noise = np.exp(theta[d:]).tolist()
        correlation, derivative = matern52(inv_sq @ self._D2)
        gradient = np.zeros(d + 2)
        K = np.empty((n, n))
        covariances = amplitude * correlation
        if self._offset:
            covariances += self._offsets
        if self._effects is not None:
            covariances += self._between
        K.put(self._upper, covariances)
        own = prior_variance(amplitude, self._offset, self._effects)
        K.flat[:: n + 1] = own + noise + JITTER * amplitude + self._extra
        # LAPACK stores by columns: to it the upper triangle is the lower one.
        factor, info = lapack.dpotrf(K.T, lower=1, clean=1, overwrite_a=1)
        if info != 0:
            return -_IMPROBABLE, gradient
        solved, _ = lapack.dpotrs(factor, self._rhs, lower=1)
        alpha, h = solved.T
        log_det = 2.0 * float(np.log(factor.diagonal()).sum())
        # Not dpotri: OpenBLAS gives it several threads however small the matrix is, and these wait
        # for each other where other processes keep the cores busy.
        root = lapack.dtrtri(factor, lower=1, overwrite_c=1)[0]
        inverse = blas.dsyrk(1.0, root, trans=1, lower=1).T
        p = 1 if self._model.mean == "constant" else 0
        beta = 0.0
        if p:
            information = float(h.sum())
            if not information > 0.0:  # rounding, where K is nearly singular
                return -_IMPROBABLE, gradient
            beta = float(alpha.sum()) / information
            alpha = alpha - beta * h
            log_det += math.log(information)
        S = max(float(self._y @ alpha) - beta * float(alpha.sum()), 0.0)
        value = -0.5 * (n - p) * math.log(2.0 * math.pi) - 0.5 * log_det
        prior = self._model.precision
        if prior is None:
            value -= 0.5 * S
            weight = 1.0
        else:
            a_n, b_n = prior.shape + 0.5 * (n - p), prior.b0 + 0.5 * S
            value += prior.shape * math.log(prior.b0) - a_n * math.log(b_n)
            value += math.lgamma(a_n) - math.lgamma(prior.shape)
            weight = a_n / b_n

        # With M = (a_n/b_n) αα' + hh'/(H'h) − K⁻¹ each derivative is ½ Σ M ∘ K_θ.
        M = (weight * alpha)[:, None] * alpha
        if p:
            M += (h / information)[:, None] * h
        M -= inverse
        trace = float(M.trace())
        pairs = M.take(self._upper)
        gradient[d] = amplitude * (float(pairs @ correlation) + 0.5 * (1.0 + JITTER) * trace)
        gradient[d + 1] = 0.5 * noise * trace
        pairs *= derivative
        gradient[:d] = -2.0 * amplitude * inv_sq * (self._D2 @ pairs)
        blocks = (self._model.length_scale, slice(0, d)), (self._model.noise, slice(d + 1, d + 2))
        for density, block in blocks:
            if isinstance(density, LogNormal):
                z = (theta[block] - density.mu) / density.sigma
                value -= 0.5 * float(z @ z)
                gradient[block] -= z / density.sigma
        return value, gradient
