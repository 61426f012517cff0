"""Points that no other dominates, and the space that they leave to improve on.

All objectives are to be maximised.

n: Number of points.
m: Number of objectives.
K: Number of boxes.
"""

from __future__ import annotations

from bisect import bisect_left
import math

import numpy as np

from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray


MARGIN, LEAST_MARGIN = 0.1, 0.5
"""How far below the front the reference point is: a share of the front's extent, and at least so
many standard deviations of all values."""

UNUSUAL = 0.15
"""Share of the front that may be worse than usual in an objective."""


def is_non_dominated(Y: Array) -> BoolArray:
    """Tell which points no other one dominates; of equal ones, the first.

    Args:
        Y: Points, (n, m).

    Returns:
        (n,).
    """
    found = np.zeros(len(Y), dtype=np.bool_)
    # In this order a point is dominated by none that comes later, and the first of equal ones is
    # the first one: it is enough to compare with the front so far.
    front = np.empty((0, Y.shape[1]))
    for i in np.lexsort(-Y.T):
        if not (front >= Y[i]).all(axis=1).any():
            found[i] = True
            front = Y[found]
    return found


def usual_worst(Y: Array) -> Array:
    """Return values that all but :data:`UNUSUAL` of the front do not fall short of.

    Of a front with more than a few points its very end is left out, which may lie anywhere.

    Args:
        Y: Points, (n, m) with n ≥ 1, possibly infinite.

    Returns:
        (m,).
    """
    front = np.sort(Y[is_non_dominated(Y)], axis=0)
    worst: Array = front[int(UNUSUAL * (len(front) - 1))]
    return worst


def reference_point(front: Array) -> Array:
    """Choose what hypervolume is measured from: a little worse than the worst of the front.

    So the ends of the front count, but count no more than its other points. While the front is
    short, its ends are still to be found: the distance is half a standard deviation at least.

    Args:
        front: Points that do not dominate each other, (n, m) with n ≥ 1, in standardised values.

    Returns:
        (m,).

    Reference:
        H. Ishibuchi, R. Imada, Y. Setoguchi and Y. Nojima, "How to Specify a Reference Point in
        Hypervolume Calculation for Fair Performance Comparison", 2018.
    """
    worst = front.min(axis=0)
    extent = front.max(axis=0) - worst
    point: Array = worst - np.maximum(MARGIN * extent, LEAST_MARGIN)
    return point


def non_dominated_boxes(front: Array, reference: Array) -> tuple[Array, Array]:
    """Divide what lies above a reference point and is not dominated into boxes.

    The third objective is swept from its best value downwards. At each height the points above
    leave a staircase in the other two, whose steps are stripes that are open at the top. A stripe
    becomes a box when a point cuts it: there are at most 2 n + 1 boxes of three objectives, and
    n + 1 of two.

    Args:
        front: Points that do not dominate each other, (n, m), 1 ≤ m ≤ 3.
        reference: The reference point, (m,); no point lies below it in any objective.

    Returns:
        Lower and upper corners, (K, m) each; the upper ones are infinite where a box is open.

    Reference:
        K. Yang, M. Emmerich, A. Deutz and T. Bäck, "Efficient Computation of Expected Hypervolume
        Improvement Using Box Decomposition Algorithms", 2019.
    """
    n, m = front.shape
    assert 1 <= m <= 3
    points = np.zeros((n, 3))
    points[:, :m] = front
    floor = np.zeros(3)
    floor[:m] = reference
    if m < 3:
        floor[2] = -1.0  # one sweep: all points at height 0, boxes from -1 to 0 left out below
    if m == 1:
        floor[1] = -1.0
    boxes = _sweep(points[np.lexsort(points.T)[::-1]].tolist(), floor.tolist())
    if m < 3:
        boxes = [box for box in boxes if box[0][2] == -1.0]
    if m == 1:
        boxes = [box for box in boxes if box[0][1] == -1.0]
    corners = np.array(boxes)
    return corners[:, 0, :m], corners[:, 1, :m]


def _sweep(points: list[list[float]], floor: list[float]) -> list[tuple[list[float], list[float]]]:
    """Sweep points from the highest in the third coordinate to the lowest; return boxes."""
    boxes = []
    # Stripes from left to right: where each begins, its floor, and the height it is open up to.
    left, base, top = [floor[0]], [floor[1]], [math.inf]

    def close(i: int, height: float) -> None:
        end = left[i + 1] if i + 1 < len(left) else math.inf
        if height < top[i] and left[i] < end:
            boxes.append(([left[i], base[i], height], [end, math.inf, top[i]]))

    for x, y, z in points:
        last = bisect_left(left, x) - 1  # the stripe in which the point ends
        if last < 0 or base[last] >= y:
            continue  # at the border, or dominated by those above
        first = last
        while first > 0 and base[first - 1] < y:
            first -= 1
        for i in range(first, last + 1):
            close(i, z)
        # Bases fall from left to right: all stripes from first to last rise to y up to x.
        end = left[last + 1] if last + 1 < len(left) else math.inf
        rest = [(x, base[last], z)] if x < end else []
        new = [(left[first], y, z), *rest]
        left[first : last + 1] = [stripe[0] for stripe in new]
        base[first : last + 1] = [stripe[1] for stripe in new]
        top[first : last + 1] = [stripe[2] for stripe in new]
    for i in range(len(left)):
        close(i, floor[2])
    return boxes
