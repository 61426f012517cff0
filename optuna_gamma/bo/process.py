"""The process whose precision has a Gamma prior: posterior and gradients.

With correlations R, noise ratio g, K = R + g I and an unknown constant mean β under a flat prior,

    y | τ ~ N(β 1, K / τ),   τ ~ Gamma(a₀, b₀),

and τ integrated out, predictions are Student-t: a Student-t process. Further names:

amplitude: Factor of R in K; 1 unless the precision is known.
noise: Diagonal added to it: the noise ratio g, or the noise variance where the precision is known.
extra: Noise of single observations beyond that, (n,).
theta: The hyper-parameters (ln ℓ_1 … ln ℓ_d, ln amplitude, ln noise), (d + 2,).
H: A column of ones (n,), absent if the mean is known to be zero.
h: K⁻¹ H, (n,).
beta: The mean's estimate β̂ = H'K⁻¹y / H'K⁻¹H.
alpha: K⁻¹ (y − β̂ H), (n,).
S: The residual (y − β̂ H)' K⁻¹ (y − β̂ H).
a_n, b_n: Shape and rate of the precision's posterior, a₀ + (n − 1)/2 and b₀ + S/2.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
import logging
import math

import numpy as np
from scipy.linalg import lapack

from optuna_gamma.bo.effects import Effects
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray
from optuna_gamma.bo.kernel import fill
from optuna_gamma.bo.kernel import matern52
from optuna_gamma.bo.kernel import squared_distances


_logger = logging.getLogger(__name__)

JITTER = 1e-9
"""Added to the diagonal of K, relative to the amplitude, so that duplicates do no harm."""

JITTERS = tuple(JITTER * 10.0**k for k in range(10))
"""What it is raised to where K has no Cholesky factor otherwise."""

MIN_VARIANCE = 1e-14
"""Smallest posterior variance, relative to the amplitude: below it is only rounding."""


@dataclass(frozen=True)
class GammaPrior:
    """Gamma distribution over the precision (one over the variance) of a process.

    It speaks of standardised values, whose variance is near one: with the default rate the prior
    mean of the variance, rate / (shape − 1), is one.

    Args:
        shape: Shape a₀ > 1. Predictions have 2 a₀ + n − 1 degrees of freedom after n values: a
            large shape trusts the prior and comes close to a Gaussian process.
        rate: Rate b₀ > 0. Defaults to ``shape - 1``.

    Raises:
        ValueError: If the shape is not above 1 or the rate not positive.

    Example:
        >>> GammaPrior(shape=3)
        GammaPrior(shape=3, rate=2)

    Reference:
        A. O'Hagan, "Some Bayesian Numerical Analysis", Bayesian Statistics 4, 1992.
    """

    shape: float = 2.0
    rate: float | None = None

    def __post_init__(self) -> None:
        if not 1.0 < self.shape < math.inf:
            raise ValueError(
                f"`shape` must be finite and larger than 1, but got {self.shape!r}: with less the "
                "expected improvement may not exist."
            )
        if self.rate is None:
            object.__setattr__(self, "rate", self.shape - 1)
        if not 0.0 < self.b0 < math.inf:
            raise ValueError(f"`rate` must be finite and positive, but got {self.rate!r}.")

    @property
    def b0(self) -> float:
        """The rate, default resolved."""
        assert self.rate is not None
        return float(self.rate)


@dataclass(frozen=True)
class Posterior:
    """Marginal posterior of the noise-free process at m points.

    Args:
        location: Location μ, (m,).
        scale: Scale s of the Student-t, (m,): not its standard deviation, which is
            s √(ν / (ν − 2)).
        df: Degrees of freedom ν; infinite for a Gaussian.
    """

    location: Array
    scale: Array
    df: float


@dataclass(frozen=True)
class Process:
    """A process with its hyper-parameters, conditioned on observations.

    Args:
        X: Known points, (n', d): the n observed ones, then those that are pending.
        y: Observed values, (n,).
        is_categorical: Which coordinates are categorical, (d,).
        theta: All hyper-parameters (ln ℓ, ln amplitude, ln noise), (d + 2,).
        beta: Mean β̂.
        alpha: K⁻¹ (y − β̂ H), zero for pending points, (n',).
        h: K⁻¹ H, (n',), zero if the mean is known.
        extra: Noise of the known points beyond that of all, (n',).
        location: Location of the noise-free process at the known points, (n',).
        L_inv: Inverse of the lower Cholesky factor of K, (n', n').
        a_n: Shape of the precision's posterior; infinite if the precision is known.
        b_n: Rate of the precision's posterior; infinite if the precision is known.
        task_offset: Prior variance of what the mean of each task differs by, tasks being told
            apart by the last coordinate; 0 without tasks.
        effects: Main effects at the known points; :obj:`None` without.
    """

    X: Array
    y: Array
    is_categorical: BoolArray
    theta: Array
    beta: float
    alpha: Array
    h: Array
    extra: Array
    location: Array
    L_inv: Array
    a_n: float
    b_n: float
    task_offset: float = 0.0
    effects: Effects | None = None

    @property
    def df(self) -> float:
        """Degrees of freedom ν = 2 a_n."""
        return 2.0 * self.a_n

    @property
    def variance(self) -> float:
        """Estimate b_n / a_n of one over the precision."""
        return self.b_n / self.a_n if math.isfinite(self.a_n) else 1.0

    @property
    def incumbent(self) -> float:
        """The best location at a known point.

        With noise the largest observation is a lucky one; the largest location is not.
        """
        return float(self.location.max())

    @property
    def prior_variance(self) -> float | Array:
        """Variance at the known points before any value is known, in units of 1 / τ."""
        return prior_variance(math.exp(self.theta[-2]), self.task_offset, self.effects)

    def posterior(self, x: Array) -> Posterior:
        """Compute the marginal posterior at points.

        Args:
            x: Query points, (m, d).
        """
        return self._posterior(x)[0]

    def posterior_with_gradient(self, x: Array) -> tuple[Posterior, Array, Array]:
        """Compute the marginal posterior and the gradients of location and scale.

        Args:
            x: Query points, (m, d).

        Returns:
            The posterior, ∂μ/∂x (m, d) and ∂s/∂x (m, d). Along categorical and inactive
            coordinates gradients are zero.
        """
        posterior, derivative, leverage, effects = self._posterior(x)
        w = np.where(self.is_categorical, 0.0, np.exp(-2.0 * self.theta[:-2]))
        points, across = fill(x, self.is_categorical)
        X, _ = fill(self.X, self.is_categorical)
        if across is not None:
            w = np.where(np.isnan(x), 0.0, w)

        # ∂r_i/∂x_j = 2 k'(r2_i) w_j (x_j − X_ij), so that Σ_i c_i ∂r_i/∂x_j is a matrix product.
        def pull_back(coefficients: Array) -> Array:
            c = coefficients * derivative
            gradient: Array = 2.0 * w * (points * c.sum(axis=1)[:, None] - c @ X)
            return gradient

        d_location, half_dc = pull_back(self.alpha), pull_back(leverage)
        if self.effects is not None and effects is not None:
            d_location += effects.pull_back(self.effects, self.alpha)
            half_dc += effects.pull_back(self.effects, leverage)
            half_dc += effects.half_variance_gradient
        d_scale = half_dc * (self.variance / posterior.scale)[:, None]
        return posterior, d_location, d_scale

    def pend(self, x: Array) -> Process:
        """Condition the scale, not the location, on points whose values are still unknown.

        This is the process after observing its own location at the points: there the location,
        and with it everything but the uncertainty, would stay as it is.

        Args:
            x: Pending points, (k, d).

        Raises:
            numpy.linalg.LinAlgError: If K has no Cholesky factor.

        Reference:
            "Kriging believer" in D. Ginsbourger, R. Le Riche and L. Carraro, "Kriging Is
            Well-Suited to Parallelize Optimization", 2010.
        """
        X = np.concatenate([self.X, x])
        extra = np.concatenate([self.extra, np.zeros(len(x))])
        effects = self._effects_at(X)
        L_inv, _ = _inverse_cholesky(
            X, self.is_categorical, self.theta, extra, self.task_offset, effects
        )
        return replace(
            self,
            X=X,
            alpha=np.concatenate([self.alpha, np.zeros(len(x))]),
            h=L_inv.T @ L_inv.sum(axis=1) if self.h.any() else np.zeros(len(X)),
            extra=extra,
            location=np.concatenate([self.location, self.posterior(x).location]),
            L_inv=L_inv,
            effects=effects,
        )

    def _effects_at(self, x: Array) -> Effects | None:
        known = self.effects
        return known and Effects.at(x, self.is_categorical, known.weight)

    def _posterior(self, x: Array) -> tuple[Posterior, Array, Array, Effects | None]:
        """Return the posterior, amplitude · k'(r2) (m, n'), ½ ∂c/∂r (m, n') and the effects."""
        inv_sq = np.exp(-2.0 * self.theta[:-2])
        amplitude = math.exp(self.theta[-2])
        r, derivative = matern52(squared_distances(x, self.X, inv_sq, self.is_categorical))
        r *= amplitude
        derivative *= amplitude
        if self.task_offset:
            r += np.where(x[:, -1:] == self.X[:, -1], self.task_offset, 0.0)
        effects = self._effects_at(x)
        if self.effects is not None and effects is not None:
            r += effects.covariance(self.effects)
        half = r @ self.L_inv.T
        location = self.beta + r @ self.alpha
        c = prior_variance(amplitude, self.task_offset, effects) - np.einsum(
            "ij,ij->i", half, half
        )
        leverage = -(half @ self.L_inv)
        if self.h.any():
            information = self.h.sum()
            slack = 1.0 - r @ self.h
            c += slack * slack / information
            leverage -= (slack / information)[:, None] * self.h
        scale = np.sqrt(self.variance * np.maximum(c, MIN_VARIANCE * amplitude))
        return Posterior(location, scale, self.df), derivative, leverage, effects


def condition(
    X: Array,
    y: Array,
    is_categorical: BoolArray,
    theta: Array,
    precision: GammaPrior | None,
    mean_is_unknown: bool,
    extra: Array | None = None,
    task_offset: float = 0.0,
    main_effects: float = 0.0,
) -> Process:
    """Condition a process with given hyper-parameters on observations.

    Args:
        X: Points, (n, d).
        y: Values, (n,).
        is_categorical: Which coordinates are categorical, (d,).
        theta: Hyper-parameters, (d + 2,).
        precision: Prior of the precision; :obj:`None` if it is one.
        mean_is_unknown: Whether the mean is estimated; else it is zero.
        extra: Noise of single observations beyond that of all, (n,); none by default.
        task_offset: Prior variance of what the mean of each task differs by; 0 without tasks.
        main_effects: Prior variance of the main effects together; 0 without.

    Raises:
        numpy.linalg.LinAlgError: If K has no Cholesky factor, or a value is not finite.
    """
    extra = np.zeros(len(y)) if extra is None else extra
    p = 1 if mean_is_unknown else 0
    effects = Effects.at(X, is_categorical, main_effects) if main_effects else None
    L_inv, diagonal = _inverse_cholesky(X, is_categorical, theta, extra, task_offset, effects)
    h = L_inv.T @ L_inv.sum(axis=1) * p
    beta = float(h @ y / h.sum()) if p else 0.0
    residual = L_inv @ (y - beta)
    alpha = L_inv.T @ residual
    if not np.isfinite(alpha).all():
        raise np.linalg.LinAlgError("The process cannot be conditioned on such values.")
    return Process(
        X=X,
        y=y,
        is_categorical=is_categorical,
        theta=theta,
        beta=beta,
        alpha=alpha,
        h=h,
        extra=extra,
        location=y - diagonal * alpha,
        L_inv=L_inv,
        a_n=precision.shape + 0.5 * (len(y) - p) if precision else math.inf,
        b_n=precision.b0 + 0.5 * float(residual @ residual) if precision else math.inf,
        task_offset=task_offset,
        effects=effects,
    )


def prior_variance(amplitude: float, task_offset: float, effects: Effects | None) -> float | Array:
    """Sum the variances of the parts of a process, in units of 1 / τ.

    Args:
        amplitude: That of its stationary part.
        task_offset: That of what the mean of each task differs by; 0 without tasks.
        effects: Main effects at m points; :obj:`None` without.

    Returns:
        One for all points, or (m,).
    """
    stationary = amplitude + task_offset
    return stationary if effects is None else stationary + effects.variance


def _inverse_cholesky(
    X: Array,
    is_categorical: BoolArray,
    theta: Array,
    extra: Array,
    task_offset: float,
    effects: Effects | None,
) -> tuple[Array, Array]:
    """Invert the lower Cholesky factor of K, whose diagonal is raised until there is one.

    Returns:
        The inverse, and what was added to the diagonal of the amplitude times R, (n,).

    Raises:
        numpy.linalg.LinAlgError: If there is none with the largest of :data:`JITTERS` either.
    """
    amplitude, noise = np.exp(theta[-2:])
    K = amplitude * matern52(squared_distances(X, X, np.exp(-2.0 * theta[:-2]), is_categorical))[0]
    if task_offset:
        K += np.where(X[:, -1:] == X[:, -1], task_offset, 0.0)
    if effects is not None:
        K += effects.covariance(effects)
    own = prior_variance(amplitude, task_offset, effects)
    for jitter in JITTERS:
        if jitter > JITTERS[0]:
            _logger.debug("K has no Cholesky factor: the jitter is raised to %.0e.", jitter)
        diagonal: Array = noise + jitter * amplitude + extra
        K.flat[:: len(X) + 1] = own + diagonal
        factor, info = lapack.dpotrf(K, lower=1, clean=1)
        if info == 0:
            return lapack.dtrtri(factor, lower=1)[0], diagonal
    raise np.linalg.LinAlgError("K has no Cholesky factor.")
