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

from dataclasses import dataclass
from functools import cached_property
import math

import numpy as np

from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray


_LINEAR, _QUADRATIC = math.sqrt(1.5), math.sqrt(2.5)


@dataclass(frozen=True)
class Effects:
    """The main effects at points, as far as they do not depend on the coefficients.

    Args:
        weight: Prior variance w of all effects together.
        polynomials: Polynomials of numerical coordinates, (m, 2, d), scaled so that the sum of
            their products is the covariance; zero for other coordinates.
        slopes: Derivative of each in its coordinate, (m, 2, d).
        categories: Categorical coordinates, (m, c), −1 where one is inactive.
    """

    weight: float
    polynomials: Array
    slopes: Array
    categories: Array

    @staticmethod
    def at(x: Array, is_categorical: BoolArray, weight: float) -> Effects:
        """Compute them at points.

        Args:
            x: Points, (m, d), NaN where a coordinate is inactive.
            is_categorical: Which coordinates are categorical, (d,).
            weight: Prior variance of all effects together, positive.
        """
        scale = np.where(is_categorical | np.isnan(x), 0.0, math.sqrt(weight / x.shape[1]))
        z = np.where(scale == 0.0, 0.5, x)
        values = _LINEAR * (2.0 * z - 1.0), _QUADRATIC * (6.0 * z * z - 6.0 * z + 1.0)
        slopes = np.full_like(z, 2.0 * _LINEAR), _QUADRATIC * (12.0 * z - 6.0)
        return Effects(
            weight,
            np.stack(values, axis=1) * scale[:, None],
            np.stack(slopes, axis=1) * scale[:, None],
            np.nan_to_num(x[:, is_categorical], nan=-1.0),
        )

    def covariance(self, other: Effects) -> Array:
        """Compute the prior covariance with the effects at n other points, (m, n)."""
        K: Array = self._flat @ other._flat.T
        for a, b in zip(self.categories.T, other.categories.T, strict=True):
            K += self._share * (a[:, None] == b)
        return K

    @cached_property
    def variance(self) -> Array:
        """The prior variance at each point, (m,)."""
        own: Array = np.einsum("mkd,mkd->m", self.polynomials, self.polynomials)
        own += self._share * self.categories.shape[1]
        return own

    @property
    def half_variance_gradient(self) -> Array:
        """Half the gradient of the prior variance in each point, (m, d)."""
        gradient: Array = (self.polynomials * self.slopes).sum(axis=1)
        return gradient

    def pull_back(self, other: Effects, coefficients: Array) -> Array:
        """Compute the gradient of covariances with other points, summed with coefficients.

        Args:
            other: The effects at the other points, n of them.
            coefficients: One for each of these, (n,) or (m, n).

        Returns:
            Gradients in the points, (m, d).
        """
        summed = (coefficients @ other._flat).reshape(-1, *self.polynomials.shape[1:])
        gradient: Array = (self.slopes * summed).sum(axis=1)
        return gradient

    @property
    def _flat(self) -> Array:
        """The polynomials, a row for each point, (m, 2 d)."""
        flat: Array = self.polynomials.reshape(len(self.polynomials), -1)
        return flat

    @property
    def _share(self) -> float:
        share: float = self.weight / self.polynomials.shape[2]
        return share
