from __future__ import annotations

import math

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest

from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.fit import default_model
from optuna_gamma.bo.fit import fit
from optuna_gamma.bo.fit import LogDensity
from optuna_gamma.bo.fit import LogNormal
from optuna_gamma.bo.kernel import matern52
from optuna_gamma.bo.kernel import squared_distances
from optuna_gamma.bo.process import condition
from optuna_gamma.bo.process import GammaPrior
from optuna_gamma.bo.process import JITTER
from optuna_gamma.bo.transfer import SOURCE
from optuna_gamma.bo.transfer import TARGET
from optuna_gamma.bo.transfer import Target
from optuna_gamma.bo.transfer import TASK_LENGTH_SCALE
from optuna_gamma.bo.transfer import TASK_OFFSET
from optuna_gamma.bo.transfer import with_task
from optuna_gamma.bo.transfer import with_tasks
from optuna_gamma.bo.transform import standardize
from optuna_gamma.bo.transform import standardize_beside


CUBE = Cube(grids=(None, None), is_categorical=np.zeros(2, dtype=bool))
IS_CATEGORICAL = np.array([False, False, True])
THETA = np.log([0.4, 0.6, 2.0, 1.0, 0.01])


def data(n: int = 5, m: int = 9) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = np.concatenate(
        [with_task(rng.random((n, 2)), TARGET), with_task(rng.random((m, 2)), SOURCE)]
    )
    return X, np.sin(4 * X[:, 0]) + X[:, 1] + 2 * X[:, 2]


def covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation of the points times that of the tasks' means, point by point."""
    r2 = squared_distances(a, b, np.exp(-2 * THETA[:-2]), IS_CATEGORICAL)
    return matern52(r2)[0] + [[TASK_OFFSET * (p[-1] == q[-1]) for q in b] for p in a]


def test_the_target_agrees_with_the_textbook() -> None:
    X, y = data()
    prior = GammaPrior()
    target = Target(condition(X, y, IS_CATEGORICAL, THETA, prior, True, None, TASK_OFFSET))
    x = np.random.default_rng(1).random((4, 2))
    queries = with_task(x, TARGET)
    n = len(y)
    K_inv = np.linalg.inv(covariance(X, X) + (0.01 + JITTER) * np.eye(n))
    r, H = covariance(queries, X), np.ones(n)
    beta = (H @ K_inv @ y) / (H @ K_inv @ H)
    S = (y - beta) @ K_inv @ (y - beta)
    c = covariance(queries, queries).diagonal() - np.einsum("mi,ij,mj->m", r, K_inv, r)
    c += (1 - r @ K_inv @ H) ** 2 / (H @ K_inv @ H)
    variance = (prior.b0 + S / 2) / (prior.shape + (n - 1) / 2)
    posterior = target.posterior(x)
    np.testing.assert_allclose(posterior.location, beta + r @ K_inv @ (y - beta), rtol=1e-7)
    np.testing.assert_allclose(posterior.scale, np.sqrt(variance * c), rtol=1e-6)
    assert target.incumbent == pytest.approx(target.posterior(X[:5, :2]).location.max(), rel=1e-6)
    np.testing.assert_array_equal(target.y, y[:5])


def test_gradients_of_the_target() -> None:
    X, y = data()
    target = Target(
        condition(X, y, IS_CATEGORICAL, THETA, GammaPrior(), True, None, TASK_OFFSET)
    ).pend(np.array([[0.3, 0.3]]))
    x = np.array([[0.2, 0.7], [0.9, 0.4]])
    posterior, d_location, d_scale = target.posterior_with_gradient(x)
    for j in range(2):
        step = 1e-6 * np.eye(2)[j]
        up, down = target.posterior(x + step), target.posterior(x - step)
        np.testing.assert_allclose(
            d_location[:, j], (up.location - down.location) / 2e-6, rtol=1e-5
        )
        np.testing.assert_allclose(d_scale[:, j], (up.scale - down.scale) / 2e-6, rtol=1e-4)
    assert (target.pend(x).posterior(x).scale < posterior.scale).all()


def test_gradient_of_the_density_of_two_tasks() -> None:
    X, y = data()
    model = with_tasks(default_model(CUBE, GammaPrior()), 2)
    density = LogDensity(X, y, IS_CATEGORICAL, model)
    _, gradient = density(THETA)
    for j in (0, 1, 2, 4):
        step = 1e-5 * np.eye(5)[j]
        numeric = (density(THETA + step)[0] - density(THETA - step)[0]) / 2e-5
        assert gradient[j] == pytest.approx(numeric, rel=1e-6)


def test_what_tasks_have_in_common_is_learned() -> None:
    rng = np.random.default_rng(3)
    X = np.concatenate(
        [with_task(rng.random((12, 2)), TARGET), with_task(rng.random((30, 2)), SOURCE)]
    )
    model = with_tasks(default_model(CUBE, GammaPrior()), 2)
    same = np.sin(6 * X[:, 0]) + X[:, 1]
    other = np.where(X[:, 2] == TARGET, -same, same)
    scales = [
        fit(X, (y - y.mean()) / y.std(), IS_CATEGORICAL, model).theta[2] for y in (same, other)
    ]
    assert scales[0] > TASK_LENGTH_SCALE.mu
    assert scales[1] < TASK_LENGTH_SCALE.mu - 0.5


def test_the_level_of_a_task_is_its_own() -> None:
    # With a source that lies ten standard deviations higher the target's prediction does not
    # follow it upwards, but its shape does.
    X, y = data(n=2, m=30)
    y = np.where(X[:, 2] == SOURCE, 10.0, 0.0) + np.sin(4 * X[:, 0])
    target = Target(condition(X, y, IS_CATEGORICAL, THETA, GammaPrior(), True, None, 4.0))
    x = np.column_stack([np.linspace(0.1, 0.9, 9), np.full(9, 0.5)])
    np.testing.assert_allclose(target.posterior(x).location, np.sin(4 * x[:, 0]), atol=0.35)


def test_before_the_target_has_values_the_incumbent_is_the_worst() -> None:
    X, y = data(n=0)
    target = Target(condition(X, y, IS_CATEGORICAL, THETA, GammaPrior(), True, None, TASK_OFFSET))
    assert target.incumbent == target.location.min()
    assert len(target.y) == 0


def test_a_length_scale_prior_for_all_is_extended() -> None:
    model = with_tasks(default_model(CUBE, GammaPrior()), 2)
    assert isinstance(model.length_scale, LogNormal)
    assert np.shape(model.length_scale.mu) == np.shape(model.length_scale.sigma) == (3,)


Values = st.lists(
    st.floats(allow_nan=False) | st.sampled_from([math.inf, -math.inf, 1e300, 0.0]), max_size=8
)


@settings(deadline=None)
@given(Values, Values.filter(len))
def test_values_of_two_tasks_are_finite_and_centred(
    values: list[float], source: list[float]
) -> None:
    y, y_source = standardize_beside(np.array(values), np.array(source))
    assert len(y) == len(values)
    assert np.isfinite(y).all()
    np.testing.assert_allclose(y_source, standardize(np.array(source)))
    if len(y):
        assert abs(y.mean()) < 1e-6 * max(1.0, np.abs(y).max())


def test_the_scale_goes_over_from_the_source_to_the_target() -> None:
    rng = np.random.default_rng(0)
    source = 10 * rng.standard_normal(50)
    source = source / standardize_scale(source) * 10
    one, _ = standardize_beside(np.array([3.0]), source)
    assert one.tolist() == [0.0]
    two, _ = standardize_beside(np.array([0.0, 1.0]), source)
    # Own deviation ½, the source's 10, weighted 2 to 3.
    np.testing.assert_allclose(two, np.array([-0.5, 0.5]) / (0.5**0.4 * 10**0.6))
    y, _ = standardize_beside(0.01 * rng.standard_normal(10_000), source)
    assert y.std() == pytest.approx(1.0, abs=0.01)


def test_a_source_without_a_scale_says_nothing_of_the_targets() -> None:
    values = np.array([-1e300, 1e300])
    for source in (np.array([3.0]), np.array([3.0, 3.0]), np.array([0.0, 1e-300])):
        y, y_source = standardize_beside(values, source)
        assert np.isfinite(y_source).all()
        assert 0.9 < y.std() < 1e3
    y, _ = standardize_beside(np.array([0.0, 1e-6]), np.array([-1.0, 1.0]))
    assert y.std() < 0.01  # near each other, as points near the best one are


def standardize_scale(values: np.ndarray) -> float:
    """Divide what was standardised out of the values again."""
    y = standardize(values)
    best, middle = np.argmax(values), np.argsort(values)[len(values) // 2]
    return float((values[best] - values[middle]) / (y[best] - y[middle]))
