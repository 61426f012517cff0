"""Points before there is a model: a scrambled Sobol sequence, without what is taken."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import qmc

from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.cube import ENUMERABLE
from optuna_gamma.bo.kernel import Array


_CHOICES = 64
"""How many points of the sequence are looked at where that of a finite cube is taken."""


def startup_point(
    cube: Cube, number: int, taken: Array, sequence: np.random.Generator, rng: np.random.Generator
) -> Array:
    """Return a point of the sequence.

    Args:
        cube: Where it lies.
        number: Its number in the sequence, from 0 on.
        taken: Points of a finite cube that are passed over, (t, d). Small ones are then searched
            for any other.
        sequence: What scrambles the sequence; with the same state for all of its points.
        rng: What chooses among points beyond the sequence.

    Returns:
        The point, (d,); one that is taken if all are.
    """
    n = number + (1 if math.isinf(cube.size) else _CHOICES)
    # Of numbers that are no powers of two it would warn.
    points = qmc.Sobol(cube.dim, scramble=True, rng=sequence).random_base2((n - 1).bit_length())
    points = cube.from_unit(points[number:n])
    if cube.size <= ENUMERABLE:
        points = np.concatenate([points, rng.permutation(cube.points())])
    point: Array = points[np.argmax(cube.none_of(taken)(points))]
    return point
