r"""Main effects: what each coordinate adds to a function by itself, wherever the others are.

A few length-scales away along one coordinate, a stationary process has forgotten all that it
learned of the others. Main effects do not forget: each coordinate adds a polynomial of second
degree, or a level of each category, whose coefficients are normal and integrated out. So they are
one more, positive semidefinite term of the covariance,

.. math::
    \frac{w}{d} \sum_j \phi(x_j)^\top \phi(x'_j), \qquad
    \phi(x) = \sqrt{\tfrac12} \left(\sqrt3 (2x - 1), \sqrt5 (6x^2 - 6x + 1)\right),

with Legendre polynomials, of unit variance over [0, 1], and :math:`[x_j = x'_j]` instead of the
product where the coordinate is categorical. An inactive numerical coordinate adds nothing, an
inactive categorical one is one more category.

Reference:
    V. R. Joseph, Y. Hung and A. Sudjianto, "Blind Kriging: A New Method for Developing
    Metamodels", 2008, for such effects in the mean of a process; normal coefficients that are
    integrated out: A. O'Hagan, "Curve Fitting and Optimal Design for Prediction", 1978.
"""

from __future__ import annotations

import math

import numpy as np

from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray


_LINEAR, _QUADRATIC = math.sqrt(1.5), math.sqrt(2.5)


def features(x: Array, is_categorical: BoolArray, weight: float) -> tuple[Array, Array]:
    """Compute the polynomials of numerical coordinates and their derivatives.

    Args:
        x: Points, (m, d), NaN where a coordinate is inactive.
        is_categorical: Which coordinates are categorical, (d,).
        weight: Prior variance w of all effects together.

    Returns:
        Features, (m, 2, d), scaled so that the sum of their products is the covariance, and the
        derivative of each in its coordinate, (m, 2, d). Zero for other coordinates.
    """
    scale = np.where(is_categorical | np.isnan(x), 0.0, math.sqrt(weight / x.shape[1]))
    z = np.where(scale == 0.0, 0.5, x)
    values = _LINEAR * (2.0 * z - 1.0), _QUADRATIC * (6.0 * z * z - 6.0 * z + 1.0)
    slopes = np.full_like(z, 2.0 * _LINEAR), _QUADRATIC * (12.0 * z - 6.0)
    return np.stack(values, axis=1) * scale[:, None], np.stack(slopes, axis=1) * scale[:, None]


def covariance(x: Array, X: Array, is_categorical: BoolArray, weight: float) -> Array:
    """Compute the covariance of the effects at two sets of points, (m, d) and (n, d): (m, n)."""
    flat = [
        features(points, is_categorical, weight)[0].reshape(len(points), -1) for points in (x, X)
    ]
    K: Array = flat[0] @ flat[1].T
    for j in np.flatnonzero(is_categorical):
        a, b = np.nan_to_num(x[:, j], nan=-1.0), np.nan_to_num(X[:, j], nan=-1.0)
        K += weight / x.shape[1] * (a[:, None] == b)
    return K


def variance(x: Array, is_categorical: BoolArray, weight: float) -> Array:
    """Compute the prior variance of the effects at points (m, d): (m,)."""
    phi, _ = features(x, is_categorical, weight)
    own: Array = np.einsum("mkd,mkd->m", phi, phi)
    own += weight / x.shape[1] * np.count_nonzero(is_categorical)
    return own


def pull_back(
    x: Array, X: Array, is_categorical: BoolArray, weight: float, coefficients: Array
) -> Array:
    """Compute the gradient of covariances with known points, summed with coefficients.

    Args:
        x: Points, (m, d).
        X: Known points, (n, d).
        is_categorical: Which coordinates are categorical, (d,).
        weight: Prior variance of all effects together.
        coefficients: One for each known point, (n,) or (m, n).

    Returns:
        Gradients in the points, (m, d).
    """
    known = features(X, is_categorical, weight)[0].reshape(len(X), -1)
    _, slopes = features(x, is_categorical, weight)
    summed = (coefficients @ known).reshape(-1, 2, x.shape[1])
    gradient: Array = (slopes * summed).sum(axis=1)
    return gradient
