"""Matérn-5/2 correlation with one length-scale a coordinate, Hamming distance on categories.

Names and shapes used in `bo`:

d, n, m: Number of coordinates, of observations, of query points.
X: Observed points, (n, d). Numerical coordinates lie in [0, 1], categorical ones hold an index;
    NaN: the coordinate is inactive, as a parameter that a trial does not have.
x: Query points, (m, d).
is_categorical: Which coordinates are categorical, (d,) of bool.
inv_sq: Inverse squared length-scales w_j = 1/ℓ_j², (d,).
r2: Squared scaled distances Σ_j w_j δ_j², where δ_j is the difference of a numerical coordinate,
    and 0 or 1 for equal or different categories; see :func:`fill` for inactive coordinates.
R, r: Correlations between observations (n, n) and between query points and observations (m, n).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


Array = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

PRESENCE = 0.5
"""Distance of an inactive numerical coordinate to the middle of its range."""


def fill(x: Array, is_categorical: BoolArray) -> tuple[Array, Array | None]:
    r"""Give inactive coordinates a place of their own.

    An inactive numerical coordinate lies off the middle of its range, by :data:`PRESENCE` across
    it: two inactive ones are at distance zero, an inactive one and an active one at

    .. math:: \delta^2 = (x - \tfrac12)^2 + h^2.

    So distances remain Euclidean, and the kernel positive definite. An inactive categorical
    coordinate is one more category.

    Args:
        x: Points, NaN where a coordinate is inactive, (m, d).
        is_categorical: Which coordinates are categorical, (d,).

    Returns:
        The points, each inactive coordinate in the middle or −1 if it is categorical, and their
        distances across, (m, d); :obj:`None` if all coordinates are active.

    Reference:
        Points off the range for parameters that there are not: K. Swersky, D. Duvenaud, J. Snoek,
        F. Hutter and M. Osborne, "Raiders of the Lost Architecture: Kernels for Bayesian
        Optimization in Conditional Parameter Spaces", 2013; imputation: J.-C. Lévesque,
        A. Durand, C. Gagné and R. Sabourin, "Bayesian Optimization for Conditional
        Hyperparameter Spaces", 2017.
    """
    inactive = np.isnan(x)
    if not inactive.any():
        return x, None
    filled: Array = np.where(inactive, np.where(is_categorical, -1.0, 0.5), x)
    return filled, np.where(inactive & ~is_categorical, PRESENCE, 0.0)


def matern52(r2: Array) -> tuple[Array, Array]:
    r"""Evaluate the Matérn-5/2 correlation and its derivative in the squared distance.

    .. math::
        k = \left(1 + a + \tfrac{a^2}{3}\right) e^{-a}, \qquad
        \frac{\partial k}{\partial r^2} = -\tfrac{5}{6} (1 + a) e^{-a}, \qquad a = \sqrt{5 r^2}.

    The derivative is taken in :math:`r^2` since that in :math:`r` divided by :math:`r` has no
    value at zero.

    Args:
        r2: Squared scaled distances, any shape, non-negative.

    Returns:
        Correlation and derivative, each of the shape of ``r2``.

    Reference:
        C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", 2006,
        equation (4.17).
    """
    a = np.sqrt(5.0 * r2)
    decay = np.exp(-a)
    derivative = (1.0 + a) * decay
    correlation = derivative + (5.0 / 3.0) * r2 * decay
    derivative *= -5.0 / 6.0
    return correlation, derivative


def squared_differences(
    X: Array, first: NDArray[np.intp], second: NDArray[np.intp], is_categorical: BoolArray
) -> Array:
    """Compute the squared differences δ² of pairs of points in each coordinate.

    Args:
        X: Points, (n, d), NaN where a coordinate is inactive.
        first: Index of the first point of each pair, (P,).
        second: Index of the second, (P,).
        is_categorical: Which coordinates count 1 where they differ, (d,).

    Returns:
        (d, P).
    """
    X, across = fill(X, is_categorical)
    squared = (X[first] - X[second]).T ** 2
    D2: Array = np.where(is_categorical[:, None], squared != 0.0, squared)
    if across is not None:
        D2 += (across[first] - across[second]).T ** 2
    return D2


def squared_distances(x: Array, X: Array, inv_sq: Array, is_categorical: BoolArray) -> Array:
    """Compute squared scaled distances between two sets of points.

    Args:
        x: Points, (m, d), NaN where a coordinate is inactive.
        X: Points, (n, d), likewise.
        inv_sq: Inverse squared length-scales, (d,).
        is_categorical: Which coordinates count 1 where they differ, (d,).

    Returns:
        (m, n), non-negative.
    """
    w = np.where(is_categorical, 0.0, inv_sq)
    x, across = fill(x, is_categorical)
    X, X_across = fill(X, is_categorical)
    if across is not None or X_across is not None:
        inv_sq, is_categorical = np.tile(inv_sq, 2), np.append(is_categorical, is_categorical)
        w = np.append(w, w)
        x = np.hstack([x, np.zeros_like(x) if across is None else across])
        X = np.hstack([X, np.zeros_like(X) if X_across is None else X_across])
    xw = x * w
    r2: Array = xw @ X.T
    r2 *= -2.0
    r2 += (xw * x).sum(axis=1)[:, None]
    r2 += (X * X) @ w
    for j in np.flatnonzero(is_categorical):
        r2 += inv_sq[j] * (x[:, j, None] != X[:, j])
    np.maximum(r2, 0.0, out=r2)
    return r2
