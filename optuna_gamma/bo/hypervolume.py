"""Logarithm of the expected hypervolume improvement, for Student-t and Gaussian predictions.

With independent predictions of m objectives the improvement expected from a point is the integral

    EHVI = ∫ Π_j P(f_j > z_j) dz

over all z above the reference point r that the front does not dominate. It is exact for up to
three objectives, where this region is divided into boxes:

    EHVI = Σ_k Π_j (ψ_j(l_kj) − ψ_j(u_kj)),   ψ_j(a) = E[(f_j − a)⁺] = s_j h((μ_j − a) / s_j).

There would be too many boxes of four and more: then it is a sum over directions from r.

n: Number of points on the front.
m: Number of objectives.
K: Number of boxes.
q: Number of points at which the improvement is computed.
D: Number of directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Protocol

import numpy as np
from scipy import special

from optuna_gamma.bo.acquisition import Marginals
from optuna_gamma.bo.cube import quasi_random
from optuna_gamma.bo.feasibility import log_cdf
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray
from optuna_gamma.bo.pareto import non_dominated_boxes
from optuna_gamma.bo.pareto import reference_point
from optuna_gamma.bo.process import Posterior
from optuna_gamma.bo.table import tabulated_log_h


MOST_BOXED = 3
"""With more objectives the improvement is a sum over directions."""

_DIRECTIONS = 32
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_STEPS = (1.0 + _NODES) / (1.0 - _NODES)
"""Nodes and weights of Gauss-Legendre quadrature along a direction, which is infinitely long: at
the nodes p of [0, 1] it has come p / (1 − p) widths far."""


class Criterion(Protocol):
    """A function of predictions of several objectives."""

    def __call__(self, posteriors: Sequence[Posterior]) -> Array:
        """Return values at q points, (q,)."""

    def with_derivatives(self, posteriors: Sequence[Posterior]) -> tuple[Array, Array, Array]:
        """Return values (q,) and derivatives in each objective's μ and s, (m, q) each."""


class BoxedLogEHVI:
    """Log expected hypervolume improvement over a front, by boxes: exact.

    Args:
        front: Points that do not dominate each other, (n, m), m ≤ 3.
        reference: The reference point, (m,), not above any of them.

    Reference:
        M. Emmerich, K. Yang, A. Deutz, H. Wang and C. M. Fonseca, "A Multicriteria Generalization
        of Bayesian Global Optimization", 2016, for Gaussian predictions, whose formula holds for
        any distribution with its own ψ; S. Ament et al., "Unexpected Improvements to Expected
        Improvement for Bayesian Optimization", 2023, for the logarithm.
    """

    def __init__(self, front: Array, reference: Array) -> None:
        lower, upper = non_dominated_boxes(front, reference)
        self._levels, self._lower, self._upper = [], [], []
        for low, high in zip(lower.T, upper.T, strict=True):
            # Few coordinates are shared by many boxes. The last level stands for infinity.
            levels = np.unique(np.concatenate([low, high[np.isfinite(high)]]))
            self._levels.append(levels)
            self._lower.append(np.searchsorted(levels, low))
            self._upper.append(np.searchsorted(levels, high))

    def __call__(self, posteriors: Sequence[Posterior]) -> Array:
        """Return values at q points, (q,)."""
        sides = [self._sides(j, posterior)[0] for j, posterior in enumerate(posteriors)]
        total: Array = _log_sum(np.sum(sides, axis=0))
        return total

    def with_derivatives(self, posteriors: Sequence[Posterior]) -> tuple[Array, Array, Array]:
        """Return values (q,) and derivatives in each objective's μ and s, (m, q) each."""
        sides = [self._sides(j, posterior) for j, posterior in enumerate(posteriors)]
        volumes = np.sum([side[0] for side in sides], axis=0)
        total = _log_sum(volumes)
        share = np.exp(volumes - total[:, None])
        by_location: list[Array] = []
        by_scale: list[Array] = []
        for j, (_, ratio, gap, u, slope) in enumerate(sides):
            # ln(ψ(l) − ψ(u)) has the derivative (ψ'(l)/ψ(l) − e^δ ψ'(u)/ψ(u)) / (1 − e^δ), where
            # δ = ln ψ(u) − ln ψ(l).
            s = posteriors[j].scale
            weight = share / gap
            for found, log_slope in ((by_location, slope), (by_scale, 1.0 - u * slope)):
                padded = np.concatenate([log_slope, np.zeros((len(s), 1))], axis=1)
                low, high = padded[:, self._lower[j]], padded[:, self._upper[j]]
                found.append((weight * (low - ratio * high)).sum(axis=1) / s)
        return total, np.stack(by_location), np.stack(by_scale)

    def _sides(self, j: int, posterior: Posterior) -> tuple[Array, Array, Array, Array, Array]:
        """Return ln(ψ(l) − ψ(u)), e^δ and 1 − e^δ, (q, K); u and ln h's slope, (q, levels)."""
        s = posterior.scale[:, None]
        u = (posterior.location[:, None] - self._levels[j]) / s
        log_h, slope = tabulated_log_h(u, posterior.df)
        padded = np.concatenate([log_h, np.full((len(s), 1), -math.inf)], axis=1)
        low = padded[:, self._lower[j]]
        delta = padded[:, self._upper[j]] - low
        gap = np.maximum(-np.expm1(delta), 1e-15)  # of nearly equal levels digits cancel
        return low + np.log(s * gap), np.exp(delta), gap, u, slope


class DirectedLogEHVI:
    r"""Log expected hypervolume improvement over a front, by quadrature along random directions.

    In direction λ from the reference point the front ends at
    :math:`\rho^* = \max_y \min_j (y_j - r_j) / \lambda_j`, and a point improves on it by

    .. math::
        \int_{\rho^*}^\infty \rho^{m-1} \prod_j P(f_j > r_j + \rho \lambda_j) \mathrm{d}\rho.

    The mean over directions that are even on the positive sphere is proportional to the expected
    improvement. The cost is bounded for any number of objectives.

    Args:
        front: Points that do not dominate each other, (n, m).
        reference: The reference point, (m,), not above any of them.
        rng: Source of the directions.

    Reference:
        Hypervolume as a mean over directions: R. Zhang and D. Golovin, "Random Hypervolume
        Scalarizations for Provable Multi-Objective Black Box Optimization", 2020.
    """

    def __init__(self, front: Array, reference: Array, rng: np.random.Generator) -> None:
        m = front.shape[1]
        normal = special.ndtri(0.5 + 0.5 * quasi_random(_DIRECTIONS, m, rng))
        directions = np.maximum(normal, 1e-6)
        self._directions = directions / np.sqrt((directions**2).sum(axis=1))[:, None]
        self._reference = reference
        reach = (front - reference)[:, None, :] / self._directions
        self._front = reach.min(axis=2).max(axis=0)

    def __call__(self, posteriors: Sequence[Posterior]) -> Array:
        """Return values at q points, (q,)."""
        rho, width, _ = self._nodes(posteriors)
        total: Array = _log_sum(self._integrand(posteriors, rho, width)[0])
        return total

    def with_derivatives(self, posteriors: Sequence[Posterior]) -> tuple[Array, Array, Array]:
        """Return values (q,) and derivatives in each objective's μ and s, (m, q) each."""
        rho, width, (by_end, by_spread) = self._nodes(posteriors)
        integrand, tails = self._integrand(posteriors, rho, width)
        total = _log_sum(integrand)
        share = np.exp(integrand.reshape(rho.shape) - total[:, None, None])
        # The nodes move with the predictions.
        by_rho = (len(posteriors) - 1) / rho
        for j, (posterior, (_, by_u)) in enumerate(zip(posteriors, tails, strict=True)):
            by_rho -= by_u * self._directions[:, j, None] / posterior.scale[:, None, None]
        by_width = (share * (by_rho * _STEPS + 1.0 / width[:, :, None])).sum(axis=2)
        by_location, by_scale = [], []
        for j, (posterior, (u, by_u)) in enumerate(zip(posteriors, tails, strict=True)):
            moved = by_width / self._directions[:, j]
            weight = share * by_u / posterior.scale[:, None, None]
            by_location.append(weight.sum(axis=(1, 2)) + (moved * by_end[j]).sum(axis=1))
            by_scale.append((moved * by_spread[j]).sum(axis=1) - (weight * u).sum(axis=(1, 2)))
        return total, np.stack(by_location), np.stack(by_scale)

    def _nodes(
        self, posteriors: Sequence[Posterior]
    ) -> tuple[Array, Array, tuple[BoolArray, BoolArray]]:
        """Choose nodes ρ, (q, D, nodes), by widths, (q, D); tell which μ and s decide, (m, q, D).

        The integrand falls where the first objective cannot follow any more, over a width that
        its scale gives.
        """
        location = np.stack([p.location for p in posteriors])[:, :, None]
        scale = np.stack([p.scale for p in posteriors])[:, :, None]
        directions = self._directions.T[:, None, :]
        ends = (location - self._reference[:, None, None]) / directions
        spreads = scale / directions
        end, spread = ends.min(axis=0), spreads.min(axis=0)
        width = spread + np.maximum(end - self._front, 0.0)
        rho = self._front[:, None] + width[:, :, None] * _STEPS
        return rho, width, ((ends == end) & (end > self._front), spreads == spread)

    def _integrand(
        self, posteriors: Sequence[Posterior], rho: Array, width: Array
    ) -> tuple[Array, list[tuple[Array, Array]]]:
        """Return the logarithm of the weighted integrand, (q, D · nodes), and u and d ln T/du."""
        log_weights = np.log(_WEIGHTS * (1.0 + _STEPS) ** 2)
        total = (len(posteriors) - 1) * np.log(rho) + np.log(width)[:, :, None] + log_weights
        tails = []
        for j, posterior in enumerate(posteriors):
            level = self._reference[j] + rho * self._directions[:, j, None]
            u = (posterior.location[:, None, None] - level) / posterior.scale[:, None, None]
            log_t, by_u = log_cdf(u, posterior.df, tabulated_log_h)
            total += log_t
            tails.append((u, by_u))
        return total.reshape(len(total), -1), tails


def _log_sum(terms: Array) -> Array:
    """Sum positive numbers given by their logarithms, (q, K); returns (q,)."""
    top = terms.max(axis=1)
    base = np.where(np.isfinite(top), top, 0.0)
    total: Array = base + np.log(np.exp(terms - base[:, None]).sum(axis=1))
    return total


@dataclass(frozen=True)
class LogEHVI:
    """Log expected hypervolume improvement, as a function of the point.

    Args:
        processes: A process for each objective, pending points included.
        criterion: Value and derivatives in locations and scales.
    """

    processes: Sequence[Marginals]
    criterion: Criterion

    def __call__(self, x: Array) -> Array:
        """Evaluate at points (q, d); returns (q,)."""
        return self.criterion([process.posterior(x) for process in self.processes])

    def with_gradient(self, x: Array) -> tuple[Array, Array]:
        """Evaluate at points (q, d) with the gradient; returns (q,) and (q, d)."""
        parts = [process.posterior_with_gradient(x) for process in self.processes]
        value, by_location, by_scale = self.criterion.with_derivatives([p[0] for p in parts])
        gradient = np.zeros(x.shape)
        for j, (_, d_location, d_scale) in enumerate(parts):
            gradient += by_location[j, :, None] * d_location + by_scale[j, :, None] * d_scale
        return value, gradient


def expected_improvement(
    processes: Sequence[Marginals], front: Array, rng: np.random.Generator
) -> LogEHVI:
    """Build the log expected hypervolume improvement over a front.

    Args:
        processes: A process for each objective, pending points included.
        front: Points that do not dominate each other, (n, m).
        rng: Source of the directions, if there are too many objectives for boxes.
    """
    reference = reference_point(front)
    if len(processes) <= MOST_BOXED:
        return LogEHVI(processes, BoxedLogEHVI(front, reference))
    return LogEHVI(processes, DirectedLogEHVI(front, reference, rng))
