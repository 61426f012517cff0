from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import numpy as np

from optuna_gamma.bo.activity import Activity
from optuna_gamma.bo.activity import fill_in
from optuna_gamma.bo.activity import learn


NAN = np.nan


def rule(X: np.ndarray, *, categorical: list[int], discrete: list[int]) -> Activity:
    is_categorical = np.isin(np.arange(X.shape[1]), categorical)
    is_discrete = is_categorical | np.isin(np.arange(X.shape[1]), discrete)
    return learn(X, np.ones(len(X)), is_categorical, is_discrete)


def program(u: np.ndarray) -> np.ndarray:
    """Say what an objective that is defined by run would ask for.

    Coordinates: a model, a depth in {0, 0.5, 1}, three widths, a booster (model 1 only), a rate
    (booster 1 only), a coefficient (models 0 and 2).
    """
    x = u.copy()
    depth, model = u[:, 1], u[:, 0]
    x[depth < 0.5, 3] = NAN
    x[depth < 1, 4] = NAN
    x[model != 1, 5] = NAN
    x[(model != 1) | (u[:, 5] != 1), 6] = NAN
    x[model == 1, 7] = NAN
    return x


def draw(m: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    u = rng.random((m, 8))
    u[:, 0] = rng.integers(3, size=m)
    u[:, 1] = rng.integers(3, size=m) / 2
    u[:, 5] = rng.integers(2, size=m)
    return u


@given(st.integers(0, 10_000))
def test_what_an_objective_asks_for_is_learned(seed: int) -> None:
    learned = rule(program(draw(60, seed)), categorical=[0, 5], discrete=[1])
    points = draw(40, seed + 1)
    np.testing.assert_array_equal(learned(points), program(points))
    np.testing.assert_array_equal(learned(program(points)), program(points))
    assert learned.deciders == [0, 1, 5]


@given(st.lists(st.tuples(*[st.sampled_from([NAN, 0.0, 0.5, 1.0])] * 4), min_size=1, max_size=12))
def test_any_history_is_survived_and_what_is_always_there_stays(rows: list[list[float]]) -> None:
    X = np.array(rows)
    learned = rule(X, categorical=[0], discrete=[1])
    points = learned(np.random.default_rng(0).integers(3, size=(20, 4)) / 2)
    always, never = ~np.isnan(X).any(axis=0), np.isnan(X).all(axis=0)
    assert not np.isnan(points[:, always]).any()
    assert np.isnan(points[:, never]).all()


def test_what_decides_is_rather_a_category_than_a_threshold() -> None:
    # All three coordinates would explain whether there is the fourth.
    X = np.array([[0.1, 0.0, 0, NAN], [0.2, 0.0, 0, NAN], [0.7, 1.0, 1, 0.3], [0.8, 1.0, 1, 0.4]])
    assert rule(X, categorical=[2], discrete=[1]).deciders == [2]
    assert rule(X[:, [0, 1, 3]], categorical=[], discrete=[1]).deciders == [1]
    assert rule(X[:, [0, 3]], categorical=[], discrete=[]).deciders == [0]


def test_what_broke_off_counts_little() -> None:
    X = np.array([[0.0, 0.5], [0.0, NAN], [0.0, NAN], [1.0, NAN]])
    weights = np.array([1.0, 1e-3, 1e-3, 1e-3])
    is_categorical = np.array([True, False])
    learned = learn(X, weights, is_categorical, is_categorical)
    assert not np.isnan(learned(np.array([[0.0, 0.1]]))).any()
    assert np.isnan(learned(np.array([[1.0, 0.1]]))).any()


def test_inactive_coordinates_are_filled_in_with_what_was_good() -> None:
    X = np.array([[0, 0.1, NAN, NAN], [0, 0.2, NAN, NAN], [1, NAN, 0.4, NAN], [1, NAN, 0.5, NAN]])
    expected = [[0, 0.1, 0.4, 0], [0, 0.2, 0.4, 0], [1, 0.1, 0.4, 0], [1, 0.1, 0.5, 0]]
    np.testing.assert_array_equal(fill_in(X, X), expected)
