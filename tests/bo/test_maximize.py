from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest

from optuna_gamma.bo.activity import learn
from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.maximize import maximize


@dataclass
class Bowl:
    """A concave function of the numerical coordinates, with a bonus for one category."""

    centre: np.ndarray
    is_categorical: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.with_gradient(x)[0]

    def with_gradient(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        difference = np.where(self.is_categorical, 0.0, x - self.centre)
        bonus = ((x == self.centre) & self.is_categorical).sum(axis=1)
        return bonus - (difference**2).sum(axis=1), -2 * difference


@dataclass
class Table:
    """Any function of the points of a small cube."""

    cube: Cube
    seed: int

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.array([np.sin(1e3 * self.seed + row @ [13.7, 71.3, 29.9]) for row in x])

    def with_gradient(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise AssertionError("small finite cubes need no gradient")


NOTHING = np.empty((0, 3))


def test_continuous() -> None:
    centre = np.array([0.3, 1.0, 0.0])
    cube = Cube(grids=(None,) * 3, is_categorical=np.zeros(3, bool))
    bowl = Bowl(centre, cube.is_categorical)
    x = maximize(bowl, cube, NOTHING, NOTHING, np.random.default_rng(0))
    assert x is not None
    np.testing.assert_allclose(x, centre, atol=1e-4)


def test_mixed() -> None:
    grid = np.linspace(0, 1, 101)
    cube = Cube(grids=(None, grid, np.arange(30.0)), is_categorical=np.array([False, False, True]))
    bowl = Bowl(np.array([0.3, 0.718, 17.0]), cube.is_categorical)
    x = maximize(bowl, cube, NOTHING, NOTHING, np.random.default_rng(0))
    assert x is not None
    np.testing.assert_allclose(x, [0.3, 0.72, 17.0], atol=1e-4)


def test_long_ordinals_are_searched_beyond_the_neighbours() -> None:
    grid = np.linspace(0, 1, 1001)
    cube = Cube(grids=(grid,) * 3, is_categorical=np.zeros(3, bool))
    bowl = Bowl(np.array([0.1234, 0.5, 0.9871]), cube.is_categorical)
    x = maximize(bowl, cube, NOTHING, NOTHING, np.random.default_rng(0))
    assert x is not None
    np.testing.assert_allclose(x, [0.123, 0.5, 0.987], atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_small_finite_cubes_are_searched_exhaustively(seed: int) -> None:
    cube = Cube(
        grids=(np.linspace(0, 1, 5), np.arange(4.0), np.arange(3.0)),
        is_categorical=np.array([False, True, True]),
    )
    table = Table(cube, seed)
    taken = np.empty((0, 3))
    values = []
    for _ in range(60):
        x = maximize(table, cube, taken, taken, np.random.default_rng(0))
        assert x is not None
        values.append(float(table(x[None])[0]))
        taken = np.concatenate([taken, x[None]])
    assert values == sorted(values, reverse=True)
    assert {tuple(row) for row in taken} == set(product(*cube.grids))  # type: ignore[arg-type]
    assert maximize(table, cube, taken, taken, np.random.default_rng(0)) is None


def test_taken_points_are_not_returned_from_large_cubes() -> None:
    grid = np.linspace(0, 1, 20)
    cube = Cube(grids=(grid,) * 3, is_categorical=np.zeros(3, bool))
    centre = grid[[3, 7, 11]]
    bowl = Bowl(centre, cube.is_categorical)
    x = maximize(bowl, cube, centre[None], centre[None], np.random.default_rng(0))
    assert x is not None
    assert np.abs(x - centre).sum() == pytest.approx(grid[1])


def test_the_way_leads_over_taken_points() -> None:
    grid = np.linspace(0, 1, 20)
    cube = Cube(grids=(grid,) * 5, is_categorical=np.zeros(5, bool))
    best = np.array([3, 7, 0, 5, 2])
    away = np.array(list(product(range(-2, 3), repeat=5)))
    index = best + away[np.abs(away).sum(axis=1) <= 2]
    taken = grid[index[((index >= 0) & (index < 20)).all(axis=1)]]
    bowl = Bowl(grid[best], cube.is_categorical)
    nothing = np.empty((0, 5))
    x = maximize(bowl, cube, nothing, taken, np.random.default_rng(0))
    assert x is not None
    # The nearest free points are three steps off.
    assert np.abs(x - grid[best]).sum() < 4.5 * grid[1]


def test_same_generator_same_point() -> None:
    cube = Cube(grids=(None,) * 3, is_categorical=np.zeros(3, bool))
    bowl = Bowl(np.array([0.3, 0.9, 0.1]), cube.is_categorical)
    points = [
        maximize(bowl, cube, NOTHING, NOTHING, np.random.default_rng(seed)) for seed in (0, 0)
    ]
    np.testing.assert_array_equal(points[0], points[1])


@dataclass
class Branches:
    """Category 0 has a valley along coordinate 1, category 1 a better one along coordinate 2."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.with_gradient(x)[0]

    def with_gradient(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # Each point has what its category has, and nothing else.
        np.testing.assert_array_equal(np.isnan(x[:, 1]), x[:, 0] == 1)
        np.testing.assert_array_equal(np.isnan(x[:, 2]), x[:, 0] == 0)
        away = np.nan_to_num(x - [0.0, 0.2, 0.7])
        away[:, 0] = 0.0
        return x[:, 0] - (away**2).sum(axis=1), -2 * away


@pytest.mark.parametrize("grid", [None, np.linspace(0, 1, 11), np.linspace(0, 1, 2001)])
def test_points_without_some_coordinates(grid: np.ndarray | None) -> None:
    X = np.array([[0, 0.1, np.nan], [1, np.nan, 0.2]])
    is_categorical = np.array([True, False, False])
    activity = learn(X, np.ones(2), is_categorical, np.array([True, False, False]))
    cube = Cube((np.arange(2.0), grid, grid), is_categorical, activity)
    anchors = np.array([[0, 0.2, 0.5]])
    x = maximize(Branches(), cube, anchors, np.array([[0, 0.2, np.nan]]), np.random.default_rng(0))
    np.testing.assert_allclose(x, [1.0, np.nan, 0.7], atol=1e-3)
    taken = cube.points() if grid is not None and len(grid) == 11 else None
    if taken is not None:
        assert len(taken) == 22
        left = maximize(Branches(), cube, anchors, taken[1:], np.random.default_rng(0))
        np.testing.assert_array_equal(left, taken[0])
        assert maximize(Branches(), cube, anchors, taken, np.random.default_rng(0)) is None
