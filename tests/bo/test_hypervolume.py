from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from optuna_gamma.bo.acquisition import log_ei
from optuna_gamma.bo.acquisition import log_h
from optuna_gamma.bo.hypervolume import BoxedLogEHVI
from optuna_gamma.bo.hypervolume import DirectedLogEHVI
from optuna_gamma.bo.hypervolume import expected_improvement
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.pareto import is_non_dominated
from optuna_gamma.bo.process import condition
from optuna_gamma.bo.process import GammaPrior
from optuna_gamma.bo.process import Posterior
from optuna_gamma.bo.table import tabulated_log_h


DF = [2.5, 4.0, 30.0, math.inf]


def volume(front: Array, reference: Array) -> float:
    """Hypervolume by inclusion and exclusion along the last coordinate: slow and plain."""
    if len(front) == 0:
        return 0.0
    if front.shape[1] == 1:
        return float((front - reference).max())
    order = front[np.argsort(-front[:, -1])]
    levels = np.append(order[:, -1], reference[-1])
    return sum(
        (levels[i] - levels[i + 1]) * volume(order[: i + 1, :-1], reference[:-1])
        for i in range(len(order))
    )


def sphere(n: int, m: int, seed: int = 0) -> Array:
    normal = np.abs(np.random.default_rng(seed).normal(size=(n, m))) + 0.05
    return normal / np.sqrt((normal**2).sum(axis=1))[:, None]


def predictions(m: int, q: int, df: float, seed: int = 1) -> list[Posterior]:
    rng = np.random.default_rng(seed)
    return [Posterior(rng.uniform(0, 1.2, q), rng.uniform(0.1, 0.6, q), df) for _ in range(m)]


def draws(posteriors: list[Posterior], n: int) -> Array:
    """Draw from predictions; (n, q, m)."""
    rng = np.random.default_rng(2)
    drawn = [
        p.location
        + p.scale
        * (
            rng.normal(size=(n, len(p.scale)))
            if math.isinf(p.df)
            else rng.standard_t(p.df, size=(n, len(p.scale)))
        )
        for p in posteriors
    ]
    return np.stack(drawn, axis=2)


@pytest.mark.parametrize("df", DF)
def test_table_equals_the_function(df: float) -> None:
    u = np.concatenate([np.linspace(-9, 9, 3001), [-1e6, -40.0, -8.0, 8.0, 40.0, 1e8]])
    value, slope = tabulated_log_h(u, df)
    exact_value, exact_slope = log_h(u, df)
    np.testing.assert_allclose(value, exact_value, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(slope, exact_slope, rtol=1e-5)


@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize("df", [4.0, math.inf])
def test_boxes_equal_monte_carlo(m: int, df: float) -> None:
    front, reference = sphere(6, m), np.zeros(m)
    front = front[is_non_dominated(front)]
    posteriors = predictions(m, 3, df)
    samples = draws(posteriors, 4000)
    before = volume(front, reference)
    gains = [
        [
            volume(np.concatenate([front, f[None]]), reference) - before
            if (f > reference).all()
            else 0.0
            for f in np.maximum(samples[:, i], -1.0)
        ]
        for i in range(3)
    ]
    found = np.exp(BoxedLogEHVI(front, reference)(posteriors))
    errors = np.std(gains, axis=1) / math.sqrt(len(samples))
    assert (np.abs(found - np.mean(gains, axis=1)) < 4 * errors + 1e-9).all()


def test_of_one_objective_it_is_the_expected_improvement() -> None:
    posteriors = predictions(1, 50, 5.0)
    criterion = BoxedLogEHVI(np.array([[0.8]]), np.array([0.0]))
    value, by_location, by_scale = criterion.with_derivatives(posteriors)
    exact = log_ei(posteriors[0], 0.8)
    np.testing.assert_allclose(value, exact[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(by_location[0], exact[1], rtol=1e-5)
    np.testing.assert_allclose(by_scale[0], exact[2], rtol=1e-4)


@pytest.mark.parametrize("m", [2, 3])
def test_directions_agree_with_boxes(m: int) -> None:
    front, reference = sphere(10, m), np.zeros(m)
    posteriors = predictions(m, 40, 8.0)
    exact = BoxedLogEHVI(front[is_non_dominated(front)], reference)(posteriors)
    criterion = DirectedLogEHVI(front, reference, np.random.default_rng(0))
    differences = criterion(posteriors) - exact
    differences -= differences.mean()  # it is proportional only
    assert np.abs(differences).max() < 0.25
    assert np.corrcoef(criterion(posteriors), exact)[0, 1] > 0.99


def criterion_of(m: int) -> Any:
    front, reference = sphere(8, m), np.zeros(m)
    if m <= 3:
        return BoxedLogEHVI(front[is_non_dominated(front)], reference)
    return DirectedLogEHVI(front, reference, np.random.default_rng(0))


@pytest.mark.parametrize("m", [1, 2, 3, 5])
@pytest.mark.parametrize("df", DF)
def test_derivatives_equal_differences(m: int, df: float) -> None:
    criterion, posteriors = criterion_of(m), predictions(m, 20, df)
    value, by_location, by_scale = criterion.with_derivatives(posteriors)
    np.testing.assert_array_equal(value, criterion(posteriors))
    step = 1e-5
    for j in range(m):
        for name, derivative in (("location", by_location[j]), ("scale", by_scale[j])):
            sides = []
            for sign in (1, -1):
                moved = list(posteriors)
                changed = vars(moved[j]) | {name: getattr(moved[j], name) + sign * step}
                moved[j] = Posterior(**changed)
                sides.append(criterion(moved))
            slope = (sides[0] - sides[1]) / (2 * step)
            np.testing.assert_allclose(derivative, slope, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("m", [2, 3, 5])
@pytest.mark.parametrize("df", DF)
def test_it_is_finite_everywhere(m: int, df: float) -> None:
    criterion = criterion_of(m)
    locations = np.array([-1e6, -1e2, -3.0, 0.0, 0.5, 3.0, 1e6])
    for scale in (1e-7, 1e-3, 1.0, 1e4):
        posteriors = [Posterior(locations, np.full(7, scale), df) for _ in range(m)]
        parts = criterion.with_derivatives(posteriors)
        if math.isinf(df) and scale < 1e-2:
            assert not np.isnan(parts[0]).any()
        else:
            assert all(np.isfinite(part).all() for part in parts)
        assert (np.diff(parts[0]) >= -1e-6 * np.abs(parts[0][1:])).all()


@pytest.mark.parametrize("m", [2, 3, 4])
def test_gradient_in_the_point(m: int) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.random((12, 3)), rng.normal(size=(12, m))
    theta = np.array([-0.7, -0.5, -0.6, 0.0, -9.0])
    is_categorical = np.zeros(3, dtype=bool)
    processes = [condition(X, y, is_categorical, theta, GammaPrior(), True) for y in Y.T]
    acquisition = expected_improvement(processes, Y[is_non_dominated(Y)], rng)
    x = rng.random((9, 3))
    value, gradient = acquisition.with_gradient(x)
    np.testing.assert_array_equal(value, acquisition(x))
    for j in range(3):
        step = np.zeros(3)
        step[j] = 1e-5
        slope = (acquisition(x + step) - acquisition(x - step)) / 2e-5
        np.testing.assert_allclose(gradient[:, j], slope, rtol=1e-4, atol=1e-4)
