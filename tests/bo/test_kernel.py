from __future__ import annotations

import numpy as np
import pytest

from optuna_gamma.bo.kernel import matern52
from optuna_gamma.bo.kernel import PRESENCE
from optuna_gamma.bo.kernel import squared_differences
from optuna_gamma.bo.kernel import squared_distances


def test_correlation_and_derivative() -> None:
    r2 = np.geomspace(1e-8, 1e3, 50)
    r = np.sqrt(r2)
    correlation, derivative = matern52(r2)
    expected = (1 + np.sqrt(5) * r + 5 * r2 / 3) * np.exp(-np.sqrt(5) * r)
    np.testing.assert_allclose(correlation, expected, rtol=1e-12)
    step = 1e-5 * r2
    numeric = (matern52(r2 + step)[0] - matern52(r2 - step)[0]) / (2 * step)
    np.testing.assert_allclose(derivative[20:], numeric[20:], rtol=1e-6, atol=1e-12)
    assert matern52(np.zeros(1))[0] == 1.0
    assert matern52(np.zeros(1))[1] == pytest.approx(-5 / 6)


def naive_r2(a: np.ndarray, b: np.ndarray, w: np.ndarray, is_categorical: np.ndarray) -> float:
    total = 0.0
    for j, categorical in enumerate(is_categorical):
        off = np.isnan([a[j], b[j]])
        if off.all():
            continue
        if off.any():
            active = np.where(off[0], b[j], a[j])
            total += w[j] * (1.0 if categorical else (active - 0.5) ** 2 + PRESENCE**2)
        else:
            total += w[j] * (float(a[j] != b[j]) if categorical else (a[j] - b[j]) ** 2)
    return total


@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_distances_agree_with_the_definition(missing: float) -> None:
    rng = np.random.default_rng(0)
    is_categorical = np.array([False, True, False, True])

    def draw(m: int) -> np.ndarray:
        points = np.where(is_categorical, rng.integers(3, size=(m, 4)), rng.random((m, 4)))
        return np.where(rng.random((m, 4)) < missing, np.nan, points)

    x, X, w = draw(7), draw(5), rng.random(4) * 10
    expected = [[naive_r2(a, b, w, is_categorical) for b in X] for a in x]
    np.testing.assert_allclose(squared_distances(x, X, w, is_categorical), expected, atol=1e-12)

    first, second = np.triu_indices(5, 1)
    D2 = squared_differences(X, first, second, is_categorical)
    pairs = [naive_r2(X[i], X[j], w, is_categorical) for i, j in zip(first, second, strict=True)]
    np.testing.assert_allclose(w @ D2, pairs, atol=1e-12)


def test_inactive_coordinates_leave_the_kernel_positive_definite() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        X = np.where(rng.random((30, 3)) < 0.4, np.nan, rng.random((30, 3)))
        X = np.unique(X, axis=0)
        w = 10 ** rng.uniform(-1, 3, size=3)
        R = matern52(squared_distances(X, X, w, np.zeros(3, dtype=bool)))[0]
        assert np.linalg.eigvalsh(R).min() > -1e-7


def test_distances_of_equal_points_are_never_negative() -> None:
    rng = np.random.default_rng(1)
    x = rng.random((50, 3))
    r2 = squared_distances(x, x, np.full(3, 4e4), np.zeros(3, dtype=bool))
    assert (r2 >= 0).all()
    assert r2.diagonal().max() < 1e-10
