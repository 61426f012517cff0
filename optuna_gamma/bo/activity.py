"""Which coordinates of a point are active: a rule that is learned from points seen.

In a space that is defined by run, whether there is a parameter may depend on the values of
others. A coordinate of a parameter that there is not is *inactive*, and NaN.

n, m: Number of points seen, and of points asked about.
d: Number of coordinates.
group: Coordinates that are active together in all points seen, and so share one tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray


ABSENT = -1.0
"""What an inactive coordinate is to a tree: below all values, and a category of its own."""

_MAX_DEPTH = 8
"""Where more would be needed, whether there is a parameter is rather a matter of chance."""


@dataclass(frozen=True)
class Node:
    """A tree that tells whether a group is active.

    Args:
        share: Share of the points at this node at which it is.
        column: The coordinate that decides further; −1: none does.
        threshold: Points whose coordinate is at most this go to the first child, the others to the
            second. NaN: there is a child for each of ``values``.
        values: Categories of the children.
        children: Where the points go; those of an unknown category stay.
    """

    share: float
    column: int = -1
    threshold: float = np.nan
    values: tuple[float, ...] = ()
    children: tuple[Node, ...] = ()

    def __call__(self, x: Array) -> BoolArray:
        """Tell for points (m, d), inactive coordinates :data:`ABSENT`; returns (m,)."""
        active: BoolArray = np.full(len(x), self.share >= 0.5)
        if self.column < 0:
            return active
        value = x[:, self.column]
        for here, child in zip(self._split(value), self.children, strict=True):
            if child.column < 0:
                active[here] = child.share >= 0.5
            elif here.any():
                active[here] = child(x[here])
        return active

    def columns(self) -> set[int]:
        """Return the coordinates that decide."""
        if self.column < 0:
            return set()
        return {self.column}.union(*(child.columns() for child in self.children))

    def _split(self, value: Array) -> list[BoolArray]:
        if np.isnan(self.threshold):
            return [value == category for category in self.values]
        below = value <= self.threshold
        return [below, ~below]


@dataclass(frozen=True)
class Activity:
    """A rule that tells which coordinates of a point are active.

    Args:
        groups: Coordinates of each group that is not always active, those first that may decide
            upon others.
        trees: A tree for each group.
        forced: Coordinates that are active in any case, (d,).
    """

    groups: tuple[NDArray[np.intp], ...]
    trees: tuple[Node, ...]
    forced: BoolArray

    def __call__(self, x: Array) -> Array:
        """Return points (m, d) with NaN where a coordinate is inactive."""
        points: Array = np.where(np.isnan(x), ABSENT, x)
        for columns, tree in zip(self.groups, self.trees, strict=True):
            active = tree(points)
            for j in columns:
                if not self.forced[j]:
                    points[~active, j] = ABSENT
        points[points == ABSENT] = np.nan
        return points

    @property
    def deciders(self) -> list[int]:
        """Coordinates that decide upon others."""
        return sorted(set().union(*(tree.columns() for tree in self.trees)))


def learn(X: Array, weights: Array, is_categorical: BoolArray, is_discrete: BoolArray) -> Activity:
    """Learn from points which coordinates decide upon which, by decision trees.

    A coordinate may decide upon those that are active less often, so that no two decide upon each
    other. Among coordinates that tell as much, categorical ones are preferred to ordinal ones and
    these to continuous ones: what looks like a threshold of a rate is chance more often than not.

    Args:
        X: Points, NaN where inactive, (n, d).
        weights: How much each counts, (n,): little where the run broke off, so that coordinates
            may be missing.
        is_categorical: Which coordinates are categorical, (d,).
        is_discrete: Which are categorical or ordinal, (d,).

    Reference:
        L. Breiman, J. H. Friedman, R. A. Olshen and C. J. Stone, "Classification and Regression
        Trees", 1984.
    """
    present = ~np.isnan(X)
    patterns, group_of = np.unique(present, axis=1, return_inverse=True)
    group_of = group_of.reshape(-1)
    order = sorted(
        (g for g in range(patterns.shape[1]) if not patterns[:, g].all()),
        key=lambda g: (-int(patterns[:, g].sum()), patterns[:, g].tolist()),
    )
    points = np.where(present, X, ABSENT)
    allowed = np.flatnonzero(present.all(axis=0)).tolist()
    groups, trees = [], []
    for g in order:
        columns = np.flatnonzero(group_of == g)
        ranked = sorted(allowed, key=lambda j: (not is_categorical[j], not is_discrete[j], j))
        trees.append(_grow(points, patterns[:, g], weights, ranked, is_categorical, is_discrete))
        groups.append(columns)
        allowed.extend(columns.tolist())
    return Activity(
        groups=tuple(groups),
        trees=tuple(trees),
        forced=np.zeros(X.shape[1], dtype=np.bool_),
    )


def _grow(
    x: Array,
    active: BoolArray,
    weights: Array,
    ranked: Sequence[int],
    is_categorical: BoolArray,
    is_discrete: BoolArray,
    depth: int = 0,
) -> Node:
    """Grow a tree that tells where a group is active.

    Args:
        x: Points, (n, d).
        active: Whether the group is active there, (n,).
        weights: How much each counts, (n,).
        ranked: Coordinates that may decide, the preferred ones first.
        is_categorical: Which coordinates are categorical, (d,).
        is_discrete: Which are categorical or ordinal, (d,).
        depth: Number of nodes above.
    """
    share = float(weights @ active / weights.sum())
    if active.all() or not active.any() or depth == _MAX_DEPTH:
        return Node(share)
    total = float(weights.sum())
    least, chosen = share * (1.0 - share) * total, None
    for j in ranked:
        if chosen is not None and not is_discrete[j]:
            break
        candidate = (_by_category if is_categorical[j] else _by_threshold)(
            x[:, j], active, weights
        )
        if candidate is not None and candidate[0] < least - 1e-9 * total:
            least, chosen = candidate[0], (j, candidate[1])
    if chosen is None:
        return Node(share)
    j, threshold = chosen
    if np.isnan(threshold):
        values = tuple(np.unique(x[:, j]).tolist())
        parts = [x[:, j] == value for value in values]
    else:
        values, parts = (), [x[:, j] <= threshold, x[:, j] > threshold]
    children = tuple(
        _grow(x[part], active[part], weights[part], ranked, is_categorical, is_discrete, depth + 1)
        for part in parts
    )
    return Node(share, j, threshold, values, children)


def _impurity(total: Array, yes: Array) -> Array:
    """Compute Gini's impurity of parts, times their weight, of the weight of what is active."""
    impurities: Array = yes * (total - yes) / total
    return impurities


def _by_category(value: Array, active: BoolArray, weights: Array) -> tuple[float, float] | None:
    """Return the impurity that is left when each category goes its way, and NaN."""
    categories, index = np.unique(value, return_inverse=True)
    if len(categories) < 2:
        return None
    total, yes = _sums(index, weights), _sums(index, weights * active)
    return float(_impurity(total, yes).sum()), np.nan


def _by_threshold(value: Array, active: BoolArray, weights: Array) -> tuple[float, float] | None:
    """Return the impurity that the best threshold leaves, and the threshold."""
    values, index = np.unique(value, return_inverse=True)
    if len(values) < 2:
        return None
    total, yes = _sums(index, weights).cumsum(), _sums(index, weights * active).cumsum()
    below = _impurity(total[:-1], yes[:-1])
    left = below + _impurity(total[-1] - total[:-1], yes[-1] - yes[:-1])
    best = int(np.argmin(left))
    return float(left[best]), 0.5 * float(values[best] + values[best + 1])


def _sums(index: NDArray[np.intp], weights: Array) -> Array:
    return np.bincount(index, weights).astype(np.float64)


def fill_in(points: Array, X: Array) -> Array:
    """Give the inactive coordinates of points the values that they have where they are active.

    Args:
        points: Points, NaN where inactive, (m, d).
        X: Known points, the best first, (n, d).

    Returns:
        The points, what is inactive as it is at the best known point that has it, or zero, (m, d).
    """
    if not len(X):
        return points
    present = ~np.isnan(X)
    best = X[present.argmax(axis=0), np.arange(X.shape[1])]
    filled: Array = np.where(np.isnan(points), np.nan_to_num(best), points)
    return filled
