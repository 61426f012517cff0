from __future__ import annotations

import math

import numpy as np

from optuna_gamma.bo.activity import learn
from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.cube import quasi_random


MIXED = Cube(
    grids=(None, np.array([0.0, 0.1, 1.0]), np.arange(4.0)),
    is_categorical=np.array([False, False, True]),
)


def test_size_and_points() -> None:
    assert math.isinf(MIXED.size)
    finite = Cube(grids=MIXED.grids[1:], is_categorical=MIXED.is_categorical[1:])
    assert finite.size == 12
    points = finite.points()
    assert len({tuple(row) for row in points}) == 12
    np.testing.assert_array_equal(finite.snap(points), points)


def test_uniform_points_are_uniform_over_the_cube() -> None:
    even = Cube((np.array([0.0, 0.5, 1.0]), np.arange(4.0)), np.array([False, True]))
    x = even.from_unit(quasi_random(1200, 2, np.random.default_rng(0)))
    assert {round(v / 1200, 2) for v in np.unique(x[:, 0], return_counts=True)[1]} == {0.33}
    assert {round(v / 1200, 2) for v in np.unique(x[:, 1], return_counts=True)[1]} == {0.25}


def test_uneven_values_get_the_share_that_is_nearest_to_them() -> None:
    x = MIXED.from_unit(np.random.default_rng(0).random((20_000, 3)))[:, 1]
    # From -0.05 to 1.45, with borders at 0.05 and 0.55.
    shares = np.unique(x, return_counts=True)[1] / len(x)
    np.testing.assert_allclose(shares, [1 / 15, 5 / 15, 9 / 15], atol=0.01)


def test_snap_takes_the_nearest_point() -> None:
    x = np.array([[-0.5, 0.04, 2.4], [1.5, 0.06, 9.0], [0.3, 0.6, -1.0]])
    expected = np.array([[0.0, 0.0, 2.0], [1.0, 0.1, 3.0], [0.3, 1.0, 0.0]])
    np.testing.assert_array_equal(MIXED.snap(x), expected)


def test_quasi_random_points_are_even_and_differ_by_seed() -> None:
    a = quasi_random(256, 5, np.random.default_rng(0))
    b = quasi_random(256, 5, np.random.default_rng(1))
    assert ((a >= 0) & (a < 1)).all()
    assert not np.array_equal(a, b)
    assert np.abs(a.mean(axis=0) - 0.5).max() < 0.01


def conditional(*grids: np.ndarray | None) -> Cube:
    """Build a cube whose second coordinate belongs to category 0 and whose third to the others."""
    X = np.array([[0, 0.1, np.nan], [1, np.nan, 0.2], [2, np.nan, 0.3]])
    is_categorical = np.array([True, False, False])
    activity = learn(X, np.ones(3), is_categorical, np.ones(3, dtype=bool))
    return Cube((np.arange(3.0), *grids), is_categorical, activity)


def test_points_without_what_they_do_not_have() -> None:
    cube = conditional(np.array([0.0, 0.5, 1.0]), np.array([0.0, 1.0]))
    points = cube.points()
    assert cube.size == len(points) == 3 + 2 * 2
    assert len({row.tobytes() for row in points}) == 7
    np.testing.assert_array_equal(cube.activate(points), points)
    everything = Cube(cube.grids, cube.is_categorical).points()
    assert {row.tobytes() for row in cube.activate(everything)} == {
        row.tobytes() for row in points
    }
    assert math.isinf(conditional(None, np.array([0.0, 1.0])).size)
