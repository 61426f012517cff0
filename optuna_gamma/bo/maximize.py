"""Maximisation of an acquisition function over a mixed cube."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from optuna_gamma.bo.ascent import ascend
from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.cube import ENUMERABLE
from optuna_gamma.bo.cube import quasi_random
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray


_NEARLY_FULL = 4
"""Larger ones too, where no candidate is free and there are at most so many times more points than
taken ones."""

RELAXABLE = 8
"""Ordinal coordinates with more values than this move continuously and are then rounded."""

_MOST_VARIANTS, _FEWEST_ROUNDS = 6_000, 4
"""Of discrete coordinates so many values are tried at most, but each of them so often."""

FIRST_STEP = 0.05
TOLERANCE = 1e-3
"""Gain of log EI below which a search ends: a tenth of a per cent of the expected improvement."""


@dataclass(frozen=True)
class Effort:
    """How thorough a search is.

    Args:
        n_global: Number of evenly spread points that are compared.
        n_local: Number of points around the anchors that are.
        n_searches: How many of the best of them climb.
        rounds: Number of evaluations of a climb.
    """

    n_global: int = 128
    n_local: int = 64
    n_searches: int = 4
    rounds: int = 10


USUAL = Effort()


class Acquisition(Protocol):
    """What is maximised: values of points, with gradients where they are asked for."""

    def __call__(self, x: Array) -> Array:
        """Evaluate points (m, d); returns (m,)."""

    def with_gradient(self, x: Array) -> tuple[Array, Array]:
        """Evaluate points (m, d); returns (m,) and (m, d)."""


def maximize(
    acquisition: Acquisition,
    cube: Cube,
    anchors: Array,
    taken: Array,
    rng: np.random.Generator,
    effort: Effort = USUAL,
) -> Array | None:
    """Find a point of the cube where the acquisition function is large.

    Small finite cubes are searched exhaustively. Otherwise evenly spread points and points
    around the anchors are compared, and the best of them climb: by gradients along continuous
    coordinates, all at once, and by trying values along discrete ones.

    Args:
        acquisition: The function.
        cube: Where to search.
        anchors: Points worth searching around, the best first, (a, d); of inactive coordinates,
            the values that they are to have where they are active.
        taken: Points that must not be returned, (t, d).
        rng: Source of randomness.
        effort: How thorough the search is.

    Returns:
        The point, (d,), or :obj:`None` if all points of the cube are taken.
    """
    free = cube.none_of(taken)
    if cube.activity is not None:
        acquisition = _OfActive(acquisition, cube)
    if cube.size <= ENUMERABLE:
        return _best_of(acquisition, cube, free)

    candidates = np.concatenate(
        [
            cube.from_unit(quasi_random(effort.n_global, cube.dim, rng)),
            _around(anchors, effort.n_local, cube, rng),
        ]
    )
    candidates = candidates[free(candidates)]
    if not len(candidates) and cube.size <= _NEARLY_FULL * len(taken):
        return _best_of(acquisition, cube, free)
    values = _evaluate(acquisition, candidates)
    order = np.argsort(-values, kind="stable")[: effort.n_searches]
    x, values = candidates[order], values[order]

    moving = np.array([g is None or len(g) > RELAXABLE for g in cube.grids])
    moving &= ~cube.is_categorical
    discrete = [j for j, grid in enumerate(cube.grids) if grid is not None and len(grid) > 1]
    for _ in range(3 if discrete else 1):
        climbed, climbed_values = x, values
        if moving.any():
            climbed, climbed_values = _climb(acquisition, x, moving, effort.rounds)
        if discrete or cube.rounding:
            climbed = cube.snap(climbed)
            if discrete:
                climbed = _try_values(acquisition, climbed, discrete, cube, free)
            climbed_values = _evaluate(acquisition, climbed)
        better = free(climbed) & (climbed_values > values)
        x, values = np.where(better[:, None], climbed, x), np.where(better, climbed_values, values)
        if not better.any():
            break
    return cube.activate(x[[np.argmax(values)]])[0] if len(x) else None


def _evaluate(acquisition: Acquisition, x: Array) -> Array:
    """Evaluate points (m, d); what is not a number is as bad as can be."""
    values = acquisition(x)
    return np.where(np.isnan(values), -np.inf, values)


def _best_of(
    acquisition: Acquisition, cube: Cube, free: Callable[[Array], BoolArray]
) -> Array | None:
    """Compare all points of a finite cube that are not taken."""
    points = cube.points()
    points = points[free(points)]
    return points[np.argmax(_evaluate(acquisition, points))] if len(points) else None


@dataclass(frozen=True)
class _OfActive:
    """An acquisition function of the coordinates that points have.

    Where a coordinate is inactive the climb keeps a value for it, which counts when it is active.
    """

    acquisition: Acquisition
    cube: Cube

    def __call__(self, x: Array) -> Array:
        return self.acquisition(self.cube.activate(x))

    def with_gradient(self, x: Array) -> tuple[Array, Array]:
        return self.acquisition.with_gradient(self.cube.activate(x))


def _around(anchors: Array, n: int, cube: Cube, rng: np.random.Generator) -> Array:
    """Draw n points near the anchors at scales from coarse to fine, changing few coordinates."""
    if len(anchors) == 0:
        return np.empty((0, cube.dim))
    d = cube.dim
    centres = anchors[rng.integers(len(anchors), size=n)]
    scales = 10.0 ** rng.uniform(-2.5, -0.5, size=(n, 1))
    changed = rng.random((n, d)) < min(1.0, 5.0 / d)
    changed[np.arange(n), rng.integers(d, size=n)] = True
    steps = scales * rng.standard_normal((n, d))
    anywhere = cube.from_unit(rng.random((n, d)))
    moved = np.where(cube.is_categorical, anywhere, centres + steps)
    return cube.snap(np.where(changed, moved, centres))


def _climb(
    acquisition: Acquisition, x: Array, moving: BoolArray, rounds: int
) -> tuple[Array, Array]:
    """Climb from all points along the moving coordinates; return points and values."""

    def function(coordinates: Array) -> tuple[Array, Array]:
        points = x.copy()
        points[:, moving] = coordinates
        values, gradients = acquisition.with_gradient(points)
        return values, gradients[:, moving]

    climbed: Array = x.copy()
    climbed[:, moving], values = ascend(
        function,
        x[:, moving],
        low=0.0,
        high=1.0,
        first_step=FIRST_STEP,
        rounds=rounds,
        tolerance=TOLERANCE,
    )
    return climbed, values


def _try_values(
    acquisition: Acquisition,
    x: Array,
    discrete: list[int],
    cube: Cube,
    free: Callable[[Array], BoolArray],
) -> Array:
    """Change one discrete coordinate at a time to its best value, until none is better.

    The way may lead over points that are taken. What is returned is the best free one beside it,
    or its end where none is.
    """
    n_variants = sum(len(_variants(x[0], j, cube)) for j in discrete)
    rounds = min(2 * len(discrete) + 2, max(_FEWEST_ROUNDS, _MOST_VARIANTS // n_variants))
    found = []
    for point, is_free in zip(x, free(x), strict=True):
        value = float(acquisition(point[None])[0])
        best, best_value = point, value if is_free else -np.inf
        for _ in range(rounds):
            trials = np.concatenate([_variants(point, j, cube) for j in discrete])
            trial_values = _evaluate(acquisition, trials)
            free_values = np.where(free(trials), trial_values, -np.inf)
            top, top_free = int(np.argmax(trial_values)), int(np.argmax(free_values))
            if free_values[top_free] > best_value:
                best, best_value = trials[top_free], float(free_values[top_free])
            if not trial_values[top] > value:
                break
            point, value = trials[top], float(trial_values[top])
        found.append(best if np.isfinite(best_value) else point)
    return np.stack(found)


def _variants(point: Array, j: int, cube: Cube) -> Array:
    """List the point with coordinate j at its other values, near ones only if there are many."""
    grid = cube.grids[j]
    assert grid is not None
    if len(grid) > RELAXABLE and not cube.is_categorical[j]:
        index = int(np.searchsorted(grid, point[j]))
        steps = index + np.array([-4, -2, -1, 1, 2, 4])
        grid = grid[steps[(steps >= 0) & (steps < len(grid))]]
    values = grid[grid != point[j]]
    variants = np.repeat(point[None], len(values), axis=0)
    variants[:, j] = values
    return variants
