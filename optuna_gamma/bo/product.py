"""Products of acquisition functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.maximize import Acquisition


@dataclass(frozen=True)
class LogProduct:
    """Product of acquisition functions that are given by their logarithms.

    Args:
        factors: The functions, at least one.
    """

    factors: Sequence[Acquisition]

    def __call__(self, x: Array) -> Array:
        """Evaluate at points (m, d); returns (m,)."""
        total: Array = np.sum([factor(x) for factor in self.factors], axis=0)
        return total

    def with_gradient(self, x: Array) -> tuple[Array, Array]:
        """Evaluate at points (m, d) with the gradient; returns (m,) and (m, d)."""
        values, gradients = zip(*(f.with_gradient(x) for f in self.factors), strict=True)
        return np.sum(values, axis=0), np.sum(gradients, axis=0)
