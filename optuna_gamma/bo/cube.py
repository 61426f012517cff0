"""The mixed unit cube: continuous, ordinal and categorical coordinates."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from functools import lru_cache
from itertools import product
import math
from typing import TypeAlias

import numpy as np
from scipy.stats import qmc

from optuna_gamma.bo.activity import Activity
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray


Grids: TypeAlias = Sequence[Array | None]

ENUMERABLE = 2048
"""Finite cubes up to this size are searched point by point."""

_ROUNDING = 1e-9

_MAX_BRANCHES = 4096
"""With more choices of what decides, parts of a cube are not told apart."""


@dataclass(frozen=True)
class Cube:
    """What each coordinate of a point may be.

    Args:
        grids: A coordinate's admissible values in ascending order, or :obj:`None` for all of
            [0, 1]. Ordinal values lie in [0, 1], categories are 0, 1, 2, …
        is_categorical: Which coordinates are categorical, (d,).
        activity: Which coordinates a point has; :obj:`None`: all.
        rounding: Of coordinates with too many values for a grid, what moves some of them, (m,), to
            the nearest admissible ones.
    """

    grids: tuple[Array | None, ...]
    is_categorical: BoolArray
    activity: Activity | None = None
    rounding: Mapping[int, Callable[[Array], Array]] = field(default_factory=dict)

    @property
    def dim(self) -> int:
        """Number of coordinates d."""
        return len(self.grids)

    @property
    def size(self) -> float:
        """Number of points; infinite with a continuous coordinate, or beyond all doubles."""
        return sum(map(_size, self._branches()))

    def points(self) -> Array:
        """List all points of a finite cube, (size, d)."""
        branches = self._branches()
        return np.concatenate(
            [np.array(list(product(*(g for g in grids if g is not None)))) for grids in branches]
        )

    def activate(self, points: Array) -> Array:
        """Set coordinates to NaN that points (m, d) do not have."""
        return points if self.activity is None else self.activity(points)

    def _branches(self) -> list[Grids]:
        """Divide the cube into parts whose points have the same coordinates: their grids."""
        if self.activity is None:
            return [self.grids]
        deciders = self.activity.deciders
        chosen = [np.zeros(1)] * self.dim
        for j in deciders:
            grid = self.grids[j]
            if grid is None:
                return [self.grids]
            chosen[j] = grid
        if _size(chosen) > _MAX_BRANCHES:
            return [self.grids]
        branches = {}
        for point in self.activity(np.array(list(product(*chosen)))):
            grids: list[Array | None] = list(self.grids)
            for j in range(self.dim):
                if j in deciders or np.isnan(point[j]):
                    grids[j] = point[j : j + 1]
            branches[point.tobytes()] = tuple(grids)
        return list(branches.values())

    def from_unit(self, u: Array) -> Array:
        """Map points of [0, 1]^d to the cube, (m, d).

        Uniform ones become uniform over categories and evenly spaced values; of others, such as
        integers on a logarithmic scale, each gets the share of the scale that is nearest to it.
        """
        x: Array = u.copy()
        for j, grid in enumerate(self.grids):
            if grid is not None and len(grid) > 1:
                low, high = 1.5 * grid[0] - 0.5 * grid[1], 1.5 * grid[-1] - 0.5 * grid[-2]
                x[:, j] = low + u[:, j] * (high - low)
        return self.snap(x)

    def snap(self, points: Array) -> Array:
        """Move points to the nearest ones of the cube, (m, d)."""
        x: Array = np.clip(points, 0.0, np.where(self.is_categorical, np.inf, 1.0))
        for j, grid in enumerate(self.grids):
            if grid is not None:
                middles = 0.5 * (grid[1:] + grid[:-1])
                x[:, j] = grid[np.searchsorted(middles, x[:, j])]
            elif j in self.rounding:
                x[:, j] = self.rounding[j](x[:, j])
        return x

    def none_of(self, taken: Array) -> Callable[[Array], BoolArray]:
        """Make what tells which points (m, d) are none of the taken ones (t, d).

        Points may have values for coordinates that are inactive there.
        """
        # Encoded with others or by itself, a point may differ in its last digit.
        snapped = self.snap(taken)
        same = np.abs(snapped - taken) <= _ROUNDING
        keys = {row.tobytes() for row in np.where(same, snapped, taken) + 0.0}

        def is_free(points: Array) -> BoolArray:
            rows = self.activate(points) + 0.0
            return np.array([row.tobytes() not in keys for row in rows], dtype=np.bool_)

        return is_free


def _size(grids: Grids) -> float:
    return math.prod(math.inf if grid is None else float(len(grid)) for grid in grids)


@lru_cache(maxsize=64)
def _sobol(m: int, d: int) -> Array:
    points: Array = qmc.Sobol(d, scramble=False).random_base2((m - 1).bit_length())[:m]
    points.setflags(write=False)
    return points


def quasi_random(m: int, d: int, rng: np.random.Generator) -> Array:
    """Draw m evenly spread points of [0, 1)^d: the Sobol sequence under one random shift.

    Unlike scrambling, a shift costs no set-up (and any d up to 21,201 works).

    Reference:
        R. Cranley and T. N. L. Patterson, "Randomization of Number Theoretic Methods for
        Multiple Integration", 1976.
    """
    points: Array = (_sobol(m, d) + rng.random(d)) % 1.0
    return points
