"""Matérn-5/2 correlation with one length-scale a coordinate, Hamming distance on categories.

Names and shapes used in `bo`:

d, n, m: Number of coordinates, of observations, of query points.
X: Observed points, (n, d). Numerical coordinates lie in [0, 1], categorical ones hold an index.
x: Query points, (m, d).
is_categorical: Which coordinates are categorical, (d,) of bool.
inv_sq: Inverse squared length-scales w_j = 1/ℓ_j², (d,).
r2: Squared scaled distances Σ_j w_j δ_j², where δ_j is the difference of a numerical coordinate,
    and 0 or 1 for equal or different categories.
R, r: Correlations between observations (n, n) and between query points and observations (m, n).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


Array = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


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


def squared_distances(x: Array, X: Array, inv_sq: Array, is_categorical: BoolArray) -> Array:
    """Compute squared scaled distances between two sets of points.

    Args:
        x: Points, (m, d).
        X: Points, (n, d).
        inv_sq: Inverse squared length-scales, (d,).
        is_categorical: Which coordinates count 1 where they differ, (d,).

    Returns:
        (m, n), non-negative.
    """
    w = np.where(is_categorical, 0.0, inv_sq)
    xw = x * w
    r2: Array = xw @ X.T
    r2 *= -2.0
    r2 += (xw * x).sum(axis=1)[:, None]
    r2 += (X * X) @ w
    for j in np.flatnonzero(is_categorical):
        r2 += inv_sq[j] * (x[:, j, None] != X[:, j])
    np.maximum(r2, 0.0, out=r2)
    return r2
