"""Logarithm of the expected improvement, for Student-t and Gaussian predictions.

Each criterion is a function of the location μ and the scale s of a prediction that returns its
value and its two derivatives; :class:`LogEI` joins it with a process into a function of points.
Symbols:

f: Incumbent f⁺, the value to improve on.
xi: Margin ξ ≥ 0 by which to improve.
u: (μ − f⁺ − ξ) / s.
T, t: Distribution function and density of the standard Student-t with ν degrees of freedom.
H: h(u) = u T(u) + (ν + u²)/(ν − 1) t(u), so that EI = s h(u).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace
import math
from typing import Literal
from typing import Protocol
from typing import TypeAlias

import numpy as np
from scipy import special

from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.process import GammaPrior
from optuna_gamma.bo.process import Posterior


_GAUSSIAN_TERMS = 16
"""Levels of the continued fraction of Mills' ratio."""

Acquisition: TypeAlias = Literal["gamma", "conjugate", "gaussian"]

Criterion: TypeAlias = Callable[[Posterior], tuple[Array, Array, Array]]
"""From a posterior at m points to the criterion and its derivatives in μ and s, each (m,)."""

TAIL = 8.0
"""Where log h goes over from its definition, of which few digits cancel before, to the continued
fraction."""

_TAIL_TERMS = 6
"""Levels of that fraction; u = -8 at large ν, its slowest case, needs as many."""


def log_h(u: Array, df: float) -> tuple[Array, Array]:
    r"""Compute the logarithm of :math:`h(u)` and its derivative, without cancellation.

    For :math:`u > -8` by the definition, with :math:`h(u) = u + h(-u)` for positive ones.
    Below, with :math:`x = \nu / (\nu + u^2)`,

    .. math::
        h = \frac{c}{\nu - 1} x^{(\nu - 1)/2} F, \quad
        F = {}_2F_1\!\left(\tfrac{\nu - 1}{2}, 1; \tfrac{\nu}{2} + 1; x\right), \quad
        c = \frac{1}{\sqrt\nu B(\nu/2, 1/2)}, \quad
        \frac{\mathrm{d} \ln h}{\mathrm{d} u} = \frac{\nu / F - 1}{|u|},

    where Gauss's continued fraction gives F for any :math:`\nu`.

    Args:
        u: Standardised improvements, any shape, finite.
        df: Degrees of freedom ν > 1; infinite for the Gaussian limit
            :math:`h(u) = u \Phi(u) + \varphi(u)`.

    Returns:
        ln h and d ln h / du = T(u) / h(u), of the shape of ``u``. The relative error of both is
        below 1e-9 for ν from 1.01 on.

    Reference:
        The idea of maximising the logarithm in a form that is stable far from the incumbent:
        S. Ament et al., "Unexpected Improvements to Expected Improvement for Bayesian
        Optimization", 2023. Continued fraction: NIST Digital Library of Mathematical
        Functions, 15.7.5.
    """
    u = np.asarray(u, dtype=np.float64)
    body_h = _log_h_gaussian_body if math.isinf(df) else _log_h_body
    tail_h = _log_h_gaussian_tail if math.isinf(df) else _log_h_tail
    tail = u < -TAIL
    if not tail.any():
        return body_h(u, df)
    value, slope = body_h(np.where(tail, 0.0, u), df)
    value[tail], slope[tail] = tail_h(-u[tail], df)
    return value, slope


def log_constant(df: float) -> float:
    """Logarithm of the factor c of the density t(u) = c (1 + u²/ν)^(−(ν+1)/2)."""
    if df > 100.0:  # Stirling's series; the beta function would lose digits
        w = 1.0 / df
        return -0.5 * math.log(2.0 * math.pi) - w / 4.0 + w**3 / 24.0 - w**5 / 20.0
    return -0.5 * math.log(df) - float(special.betaln(0.5 * df, 0.5))


def _log_h_body(u: Array, df: float) -> tuple[Array, Array]:
    z = np.abs(u)
    density = np.exp(log_constant(df) - 0.5 * (df + 1.0) * np.log1p(z * z / df))
    upper = special.stdtr(df, -z)
    h = (df + z * z) / (df - 1.0) * density - z * upper
    positive = u > 0.0
    h = np.where(positive, u + h, h)
    return np.log(h), np.where(positive, 1.0 - upper, upper) / h


def _log_h_tail(z: Array, df: float) -> tuple[Array, Array]:
    ratio = z * z / df
    F = _hypergeometric_one(0.5 * (df - 1.0), 0.5 * df + 1.0, 1.0 / (1.0 + ratio))
    value = log_constant(df) - math.log(df - 1.0)
    return value - 0.5 * (df - 1.0) * np.log1p(ratio) + np.log(F), (df / F - 1.0) / z


def _hypergeometric_one(a: float, c: float, x: Array) -> Array:
    """Evaluate ₂F₁(a, 1; c; x) for 0 ≤ x < 1 by Gauss's continued fraction, from its far end."""
    fraction = np.ones_like(x)
    for k in range(_TAIL_TERMS, 0, -1):
        fraction = 1.0 - (k * (c - a + k - 1.0) / ((c + 2 * k - 2.0) * (c + 2 * k - 1.0))) * (
            x / fraction
        )
        k -= 1
        fraction = 1.0 - ((a + k) * (c + k - 1.0) / ((c + 2 * k - 1.0) * (c + 2 * k))) * (
            x / fraction
        )
    return 1.0 / fraction


def _log_h_gaussian_body(u: Array, df: float) -> tuple[Array, Array]:
    cdf = special.ndtr(u)
    h = np.exp(-0.5 * u * u) / math.sqrt(2.0 * math.pi) + u * cdf
    return np.log(h), cdf / h


def _log_h_gaussian_tail(z: Array, df: float) -> tuple[Array, Array]:
    # h = φ (1 − z M) with Mills' ratio M, and 1 − z M is a confluent hypergeometric function
    # with the fraction below: no digit cancels for any z.
    fraction = z
    for k in range(_GAUSSIAN_TERMS, 1, -1):
        fraction = z + k / fraction
    value = -0.5 * z * z - 0.5 * math.log(2.0 * math.pi)
    # M = 1 / (z + 1/fraction), so 1 − z M = (1/fraction) / (z + 1/fraction).
    return value - np.log1p(z * fraction), fraction


def log_ei(posterior: Posterior, best: float, xi: float = 0.0) -> tuple[Array, Array, Array]:
    """Log expected improvement of Student-t predictions, or of Gaussian ones if ν is infinite.

    Args:
        posterior: Predictions at m points.
        best: Incumbent f⁺.
        xi: Margin ξ.

    Returns:
        ln EI, ∂ ln EI/∂μ and ∂ ln EI/∂s, each (m,).

    Reference:
        R. Benassi, J. Bect and E. Vazquez, "Robust Gaussian Process-Based Global Optimization
        Using a Fully Bayesian Expected Improvement Criterion", 2011; B. D. Tracey and
        D. H. Wolpert, "Upgrading from Gaussian Processes to Student's-T Processes", 2018;
        D. R. Jones, M. Schonlau and W. J. Welch, "Efficient Global Optimization of Expensive
        Black-Box Functions", 1998, for the Gaussian limit.
    """
    s = posterior.scale
    u = (posterior.location - best - xi) / s
    value, slope = log_h(u, posterior.df)
    return np.log(s) + value, slope / s, (1.0 - u * slope) / s


def conjugate_log_ei(
    posterior: Posterior, y: Array, shape: float, rate: float, best: float, xi: float = 0.0
) -> tuple[Array, Array, Array]:
    r"""Log expected improvement as the source thesis has it.

    The location m is drawn towards the mean of all observations with a weight that falls with
    their spread about m, and Gaussian expected improvement is computed with the unchanged s:

    .. math::
        \hat\sigma^2 = \frac{b_0 + \frac12 \sum_i (y_i - m)^2}{a_0 + n/2}, \qquad
        \mu' = \frac{m / s^2 + \sum_i y_i / \hat\sigma^2}{1 / s^2 + n / \hat\sigma^2}.

    It is the origin of this package and a baseline, not a recommendation. The printed equations
    (10), (13)-(15) are not readable; this reading reproduces figures 12 and 13 in part.

    Args:
        posterior: Predictions at m points; the degrees of freedom are not used.
        y: Observations on the scale of the predictions, (n,).
        shape: Shape a₀ of the prior of the observations' precision.
        rate: Its rate b₀.
        best: Incumbent f⁺ = max_i m(x_i).
        xi: Margin ξ.

    Returns:
        ln EI, ∂ ln EI/∂m and ∂ ln EI/∂s, each (m,).

    Reference:
        Y. H. Kim, doctoral thesis, Pukyong National University.
    """
    m, s = posterior.location, posterior.scale
    n, mean = len(y), float(np.mean(y))
    spread = float(np.sum((y - mean) ** 2))
    a_n = shape + 0.5 * n
    noise = (rate + 0.5 * (spread + n * (m - mean) ** 2)) / a_n
    pull = n * s * s / noise
    share = 1.0 / (1.0 + pull)
    shifted = mean + (m - mean) * share
    value, d_shifted, d_s = log_ei(Posterior(shifted, s, math.inf), best, xi)
    # μ' = ȳ + (m − ȳ) / (1 + ρ) with ρ = n s²/σ̂², ∂ρ/∂m = −ρ ∂ ln σ̂²/∂m and ∂ρ/∂s = 2 ρ/s.
    d_pull = -(m - mean) * share * share
    d_noise = n * (m - mean) / (a_n * noise)
    return (
        value,
        d_shifted * (share - d_pull * pull * d_noise),
        d_s + d_shifted * d_pull * 2.0 * pull / s,
    )


class Marginals(Protocol):
    """What predicts, point by point."""

    def posterior(self, x: Array) -> Posterior:
        """Compute the marginal posterior at points (m, d)."""

    def posterior_with_gradient(self, x: Array) -> tuple[Posterior, Array, Array]:
        """Compute the marginal posterior and its gradients, (m, d) each, at points (m, d)."""


class Predictor(Marginals, Protocol):
    """What predicts and knows values: a process, or one seen from one of its tasks."""

    @property
    def X(self) -> Array:
        """Known points, the observed ones first, (n', d)."""

    @property
    def y(self) -> Array:
        """Observed values, (n,)."""

    @property
    def incumbent(self) -> float:
        """The value to improve on."""


@dataclass(frozen=True)
class LogEI:
    """Log expected improvement over the known points of a process, as a function of the point.

    Args:
        process: The process, pending points included.
        criterion: Value and derivatives in location and scale.
    """

    process: Predictor
    criterion: Criterion

    def __call__(self, x: Array) -> Array:
        """Evaluate at points (m, d); returns (m,)."""
        return self.criterion(self.process.posterior(x))[0]

    def with_gradient(self, x: Array) -> tuple[Array, Array]:
        """Evaluate at points (m, d) with the gradient; returns (m,) and (m, d)."""
        posterior, d_location, d_scale = self.process.posterior_with_gradient(x)
        value, by_location, by_scale = self.criterion(posterior)
        return value, by_location[:, None] * d_location + by_scale[:, None] * d_scale


def make_acquisition(
    name: Acquisition,
    process: Predictor,
    prior: GammaPrior,
    xi: float = 0.0,
    best: float | None = None,
) -> LogEI:
    """Build an acquisition function over the incumbent of a process.

    Args:
        name: ``"gamma"``: Student-t; ``"gaussian"``: the same location and scale taken as those
            of a Gaussian; ``"conjugate"``: as the thesis has it.
        process: The fitted process.
        prior: Prior of the precision for ``"conjugate"``.
        xi: Margin ξ.
        best: Incumbent f⁺; that of the process by default.
    """
    best = process.incumbent if best is None else best

    def gaussian(posterior: Posterior) -> tuple[Array, Array, Array]:
        return log_ei(replace(posterior, df=math.inf), best, xi)

    criteria: dict[Acquisition, Criterion] = {
        "gamma": lambda posterior: log_ei(posterior, best, xi),
        "gaussian": gaussian,
        "conjugate": lambda posterior: conjugate_log_ei(
            posterior, process.y, prior.shape, prior.b0, best, xi
        ),
    }
    return LogEI(process, criteria[name])


@dataclass(frozen=True)
class GaussianLimit:
    """A process whose predictions are taken for Gaussian ones of the same location and scale.

    Args:
        process: The process.
    """

    process: Marginals

    def posterior(self, x: Array) -> Posterior:
        """Compute the marginal posterior at points (m, d)."""
        return replace(self.process.posterior(x), df=math.inf)

    def posterior_with_gradient(self, x: Array) -> tuple[Posterior, Array, Array]:
        """Compute the marginal posterior and its gradients, (m, d) each, at points (m, d)."""
        posterior, d_location, d_scale = self.process.posterior_with_gradient(x)
        return replace(posterior, df=math.inf), d_location, d_scale
