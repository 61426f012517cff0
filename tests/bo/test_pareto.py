from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest

from optuna_gamma.bo.pareto import is_non_dominated
from optuna_gamma.bo.pareto import non_dominated_boxes
from optuna_gamma.bo.pareto import reference_point
from optuna_gamma.bo.pareto import usual_worst


def points(m: int, most: int = 12) -> st.SearchStrategy[list[list[int]]]:
    """Points on a small grid, so that many coordinates are equal."""
    return st.lists(st.lists(st.integers(0, 6), min_size=m, max_size=m), min_size=1, max_size=most)


objectives = st.integers(1, 3).flatmap(points)


@given(st.integers(1, 5).flatmap(points))
def test_non_dominated_as_defined(rows: list[list[int]]) -> None:
    Y = np.array(rows, dtype=float)
    found = is_non_dominated(Y)
    for i, y in enumerate(Y):
        dominated = any((z >= y).all() and (z > y).any() for z in Y)
        repeated = any((z == y).all() for z in Y[:i])
        assert found[i] == (not dominated and not repeated)


def test_the_usual_worst_is_of_the_front_alone_and_not_its_very_end() -> None:
    front = np.array([[float(i), -(float(i) ** 3)] for i in range(9)])
    dominated = np.array([[-100.0, -1000.0], [2.5, -99.0]])
    np.testing.assert_array_equal(usual_worst(np.concatenate([dominated, front])), [1.0, -343.0])
    few = front[[0, 3, 8]]
    np.testing.assert_array_equal(usual_worst(few), [0.0, -512.0])
    np.testing.assert_array_equal(usual_worst(np.array([[-np.inf, np.inf]])), [-np.inf, np.inf])


def test_memory_does_not_grow_with_the_square_of_the_points() -> None:
    Y = np.random.default_rng(0).normal(size=(4000, 3))
    tracemalloc.start()
    is_non_dominated(Y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * Y.nbytes


@given(objectives)
@settings(max_examples=300)
def test_boxes_cover_what_is_not_dominated_and_nothing_twice(rows: list[list[int]]) -> None:
    Y = np.array(rows, dtype=float)
    front = Y[is_non_dominated(Y)]
    n, m = front.shape
    lower, upper = non_dominated_boxes(front, np.full(m, -1.0))
    assert len(lower) <= (2 * n + 1 if m == 3 else n + 1)
    assert (lower < upper).all()
    cells = np.stack(np.meshgrid(*[np.arange(-1, 8) + 0.5] * m), axis=-1).reshape(-1, m)
    inside = ((cells[:, None] > lower) & (cells[:, None] < upper)).all(axis=2).sum(axis=1)
    dominated = (front[:, None] > cells).all(axis=2).any(axis=0)
    np.testing.assert_array_equal(inside, ~dominated)


def test_points_on_the_border_take_no_volume() -> None:
    lower, upper = non_dominated_boxes(np.array([[0.0, 2.0], [2.0, 0.0]]), np.zeros(2))
    np.testing.assert_array_equal(lower, [[0.0, 0.0]])
    assert np.isinf(upper).all()


def test_reference_point() -> None:
    np.testing.assert_allclose(reference_point(np.array([[0.0, 11.0], [2.0, 1.0]])), [-0.5, 0.0])
    np.testing.assert_allclose(reference_point(np.array([[3.0, 5.0]])), [2.5, 4.5])


@pytest.mark.parametrize("n", [1, 50, 200])
def test_number_of_boxes_grows_with_the_front_alone(n: int) -> None:
    normal = np.abs(np.random.default_rng(0).normal(size=(n, 3)))
    front = normal / np.sqrt((normal**2).sum(axis=1))[:, None]
    lower, _ = non_dominated_boxes(front, np.zeros(3))
    assert len(lower) == 2 * n + 1
