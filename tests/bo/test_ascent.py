from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from optuna_gamma.bo.ascent import ascend


def quadratics(k: int, d: int, seed: int):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((k, d, d)) / np.sqrt(d)
    A = root @ root.transpose(0, 2, 1) + 0.1 * np.eye(d)
    centre = rng.uniform(-0.5, 1.5, size=(k, d))  # the box cuts many of the maxima off

    def function(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        difference = x - centre
        pull = np.einsum("kij,kj->ki", A, difference)
        return -0.5 * np.einsum("ki,ki->k", difference, pull), -pull

    return function


@pytest.mark.parametrize("d", [1, 2, 7])
def test_agrees_with_scipy_on_each_problem(d: int) -> None:
    k = 5
    function = quadratics(k, d, seed=d)
    start = np.random.default_rng(0).random((k, d))
    x, value = ascend(
        function, start, low=0.0, high=1.0, first_step=0.05, rounds=200, tolerance=1e-14
    )
    assert ((x >= 0) & (x <= 1)).all()
    np.testing.assert_array_equal(value, function(x)[0])
    for i in range(k):

        def negated(flat: np.ndarray, i: int = i) -> tuple[float, np.ndarray]:
            points = start.copy()
            points[i] = flat
            values, gradients = function(points)
            return -values[i], -gradients[i]

        expected = minimize(negated, start[i], jac=True, method="L-BFGS-B", bounds=[(0, 1)] * d)
        assert value[i] == pytest.approx(-expected.fun, abs=1e-6)


def test_problems_do_not_feel_each_other() -> None:
    function = quadratics(4, 3, seed=0)
    start = np.random.default_rng(1).random((4, 3))

    def second_only(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, gradients = function(np.repeat(x, 4, axis=0))
        return values[1:2], gradients[1:2]

    options = {"low": 0.0, "high": 1.0, "first_step": 0.05, "rounds": 12, "tolerance": 1e-9}
    together, _ = ascend(function, start, **options)  # type: ignore[arg-type]
    alone, _ = ascend(second_only, start[1:2], **options)  # type: ignore[arg-type]
    np.testing.assert_allclose(together[1], alone[0], atol=1e-12)


def test_values_never_fall_and_cliffs_do_no_harm() -> None:
    def function(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # Steep, with a region of minus infinity beyond 0.7 and a point without a slope.
        values = np.where(x[:, 0] > 0.7, -np.inf, 1e3 * x[:, 0] - 1e5 * (x[:, 1] - 0.5) ** 2)
        gradients = np.stack([np.full(len(x), 1e3), -2e5 * (x[:, 1] - 0.5)], axis=1)
        return values, gradients

    start = np.array([[0.1, 0.1], [0.6, 0.5], [0.69, 0.9], [0.9, 0.5]])
    before = function(start)[0]
    with np.errstate(all="ignore"):
        x, value = ascend(
            function, start, low=0.0, high=1.0, first_step=0.05, rounds=60, tolerance=1e-6
        )
    assert (value[:3] > before[:3]).all()
    assert (value[:2] > 650).all()
    np.testing.assert_array_equal(x[3], start[3])
