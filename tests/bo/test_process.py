from __future__ import annotations

from dataclasses import replace
import math
from typing import Literal

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy import stats

from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.fit import default_model
from optuna_gamma.bo.fit import fit
from optuna_gamma.bo.fit import informative
from optuna_gamma.bo.fit import LogDensity
from optuna_gamma.bo.fit import LogNormal
from optuna_gamma.bo.fit import Model
from optuna_gamma.bo.kernel import matern52
from optuna_gamma.bo.kernel import squared_distances
from optuna_gamma.bo.process import condition
from optuna_gamma.bo.process import GammaPrior
from optuna_gamma.bo.process import JITTER


PRECISIONS = [GammaPrior(), GammaPrior(shape=1.5, rate=3.0), None]
MEANS = ["constant", "zero"]


def unit_cube(d: int) -> Cube:
    return Cube(grids=(None,) * d, is_categorical=np.zeros(d, dtype=bool))


def data(
    n: int = 12, d: int = 3, seed: int = 0, missing: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    is_categorical = np.arange(d) == d - 1
    X = np.where(is_categorical, rng.integers(3, size=(n, d)).astype(float), rng.random((n, d)))
    y = np.sin(5 * X[:, 0]) + X[:, -1] + 0.1 * rng.standard_normal(n)
    X = np.where(rng.random((n, d)) < missing, np.nan, X)
    return X, (y - y.mean()) / y.std(), is_categorical


def flat_model(
    precision: GammaPrior | None, mean: Literal["constant", "zero"], main_effects: float = 0.0
) -> Model:
    return Model(None, LogNormal(-3, 1e6), precision, mean, main_effects=main_effects)


def model_with(main_effects: float) -> Model:
    return replace(default_model(unit_cube(3), GammaPrior()), main_effects=main_effects)


def theta_of(model: Model, d: int) -> np.ndarray:
    amplitude = 0.0 if model.precision else math.log(1.7)
    return np.array([math.log(0.3 + 0.2 * j) for j in range(d)] + [amplitude, math.log(0.05)])


def covariance(
    X: np.ndarray, is_categorical: np.ndarray, theta: np.ndarray, main_effects: float = 0.0
) -> np.ndarray:
    r2 = squared_distances(X, X, np.exp(-2 * theta[:-2]), is_categorical)
    K = np.exp(theta[-2]) * matern52(r2)[0]
    for j, nominal in enumerate(is_categorical):
        if nominal:
            same = X[:, None, j] == X[:, j]
        else:
            legendre = [np.polynomial.Legendre.basis(k, [0, 1])(X[:, j]) for k in (1, 2)]
            same = sum((2 * k + 1) / 2 * np.outer(p, p) for k, p in enumerate(legendre, 1))
        K += main_effects / len(is_categorical) * same
    return K


@pytest.mark.parametrize("main_effects", [0.0, 0.4])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("mean", MEANS)
def test_marginal_likelihood_agrees_with_its_integral(
    precision: GammaPrior | None, mean: Literal["constant", "zero"], main_effects: float
) -> None:
    # The naive twin: a multivariate Student-t (or normal) of the contrasts, which do not feel a
    # mean under a flat prior. Removing the mean leaves an orthonormal basis of the rest.
    X, y, is_categorical = data()
    n = len(y)
    model = flat_model(precision, mean, main_effects)
    theta = theta_of(model, 3)
    noise = math.exp(theta[-1]) + JITTER * math.exp(theta[-2])
    K = covariance(X, is_categorical, theta, main_effects) + noise * np.eye(n)
    B = np.eye(n)
    if mean == "constant":
        B = np.linalg.svd(np.ones((1, n)))[2][1:]
    if precision is None:
        expected = stats.multivariate_normal(cov=B @ K @ B.T).logpdf(B @ y)
    else:
        expected = stats.multivariate_t(
            shape=precision.b0 / precision.shape * (B @ K @ B.T), df=2 * precision.shape
        ).logpdf(B @ y)
    if mean == "constant":
        # A flat prior on the mean integrates over it, the basis over its unit vector: 1/√n.
        expected -= 0.5 * math.log(n)
    value, _ = LogDensity(X, y, is_categorical, model)(theta)
    assert value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("main_effects", [0.0, 0.4])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("length_scale", [None, LogNormal(-0.5, 1.0)])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_gradient_of_the_density(
    precision: GammaPrior | None,
    mean: Literal["constant", "zero"],
    length_scale: LogNormal | None,
    missing: float,
    main_effects: float,
) -> None:
    X, y, is_categorical = data(missing=missing)
    model = Model(length_scale, LogNormal(-3, 1), precision, mean, main_effects=main_effects)
    density = LogDensity(X, y, is_categorical, model)
    theta = theta_of(model, 3)
    _, gradient = density(theta)
    for j in range(len(theta)):
        step = 1e-5 * np.eye(len(theta))[j]
        numeric = (density(theta + step)[0] - density(theta - step)[0]) / 2e-5
        if j == 3 and precision is not None:
            continue  # the amplitude is fixed where the precision is unknown
        assert gradient[j] == pytest.approx(numeric, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("main_effects", [0.0, 0.4])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("mean", MEANS)
def test_posterior_agrees_with_the_textbook(
    precision: GammaPrior | None, mean: Literal["constant", "zero"], main_effects: float
) -> None:
    X, y, is_categorical = data()
    n = len(y)
    theta = theta_of(flat_model(precision, mean), 3)
    model = flat_model(precision, mean, main_effects)
    process = model.condition(X, y, is_categorical, theta, np.zeros(n))
    x = data(n=6, seed=1)[0]
    both = covariance(np.concatenate([X, x]), is_categorical, process.theta, main_effects)
    noise = math.exp(process.theta[-1]) + JITTER * math.exp(process.theta[-2])
    K_inv = np.linalg.inv(both[:n, :n] + noise * np.eye(n))
    r = both[n:, :n]
    c = both.diagonal()[n:] - np.einsum("mi,ij,mj->m", r, K_inv, r)
    beta = 0.0
    if mean == "constant":
        H = np.ones(n)
        beta = (H @ K_inv @ y) / (H @ K_inv @ H)
        c = c + (1 - r @ K_inv @ H) ** 2 / (H @ K_inv @ H)
    S = (y - beta) @ K_inv @ (y - beta)
    variance, df = 1.0, math.inf
    if precision is not None:
        p = 1 if mean == "constant" else 0
        a_n, b_n = precision.shape + (n - p) / 2, precision.b0 + S / 2
        variance, df = b_n / a_n, 2 * a_n

    posterior = process.posterior(x)
    assert posterior.df == df
    np.testing.assert_allclose(posterior.location, beta + r @ K_inv @ (y - beta), rtol=1e-8)
    np.testing.assert_allclose(posterior.scale, np.sqrt(variance * c), rtol=1e-7)


@pytest.mark.parametrize("main_effects", [0.0, 0.4])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_gradients_of_the_posterior(missing: float, main_effects: float) -> None:
    X, y, is_categorical = data(missing=missing)
    process = fit(X, y, is_categorical, model_with(main_effects))
    x = data(n=20, seed=1, missing=missing)[0]
    posterior, d_location, d_scale = process.posterior_with_gradient(x)
    np.testing.assert_array_equal(posterior.scale, process.posterior(x).scale)
    for j in range(3):
        step = 1e-6 * np.eye(3)[j] * ~is_categorical
        upper, lower = process.posterior(x + step), process.posterior(x - step)
        slope = (upper.location - lower.location) / 2e-6
        np.testing.assert_allclose(d_location[:, j], slope, rtol=1e-5, atol=1e-8)
        slope = (upper.scale - lower.scale) / 2e-6
        np.testing.assert_allclose(d_scale[:, j], slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("main_effects", [0.0, 0.4])
def test_pending_points_act_like_observations_of_the_location(main_effects: float) -> None:
    X, y, is_categorical = data()
    process = fit(X, y, is_categorical, model_with(main_effects))
    pending = data(n=2, seed=2)[0]
    pended = process.pend(pending)
    x = data(n=8, seed=3)[0]

    # The naive twin: condition on the location as if it had been observed.
    believed = np.concatenate([y, process.posterior(pending).location])
    points = np.concatenate([X, pending])
    model = model_with(main_effects)
    twin = model.condition(points, believed, is_categorical, process.theta, np.zeros(14))

    np.testing.assert_allclose(
        pended.posterior(x).location, process.posterior(x).location, rtol=1e-10
    )
    np.testing.assert_allclose(twin.posterior(x).location, process.posterior(x).location, 1e-8)
    shrink = math.sqrt(process.variance / twin.variance)
    np.testing.assert_allclose(pended.posterior(x).scale, twin.posterior(x).scale * shrink, 1e-8)
    assert (pended.posterior(pending).scale < process.posterior(pending).scale).all()
    assert pended.posterior(x).df == process.posterior(x).df


def test_noise_of_one_observation_is_what_its_variance_says() -> None:
    X, y, is_categorical = data()
    theta = np.array([math.log(0.5)] * 3 + [0.0, math.log(0.05)])
    extra = np.where(np.arange(len(y)) == 2, 4.0, 0.0)
    process = condition(X, y, is_categorical, theta, None, False, extra)
    R = matern52(squared_distances(X, X, np.exp(-2 * theta[:3]), is_categorical))[0]
    K = R + np.diag(0.05 + extra)
    np.testing.assert_allclose(process.posterior(X).location, R @ np.linalg.solve(K, y), rtol=1e-6)
    np.testing.assert_allclose(process.location, R @ np.linalg.solve(K, y), rtol=1e-6)
    model = flat_model(None, "zero")
    value = LogDensity(X, y, is_categorical, model, extra)(theta)[0]
    naive = stats.multivariate_normal(np.zeros(len(y)), K).logpdf(y)
    assert value == pytest.approx(naive, abs=1e-6)


@pytest.mark.parametrize("main_effects", [0.0, 0.4])
def test_the_known_points_have_their_location(main_effects: float) -> None:
    X, y, is_categorical = data()
    process = fit(X, y, is_categorical, model_with(main_effects))
    pended = process.pend(data(n=2, seed=2)[0])
    for known in (process, pended):
        np.testing.assert_allclose(known.location, known.posterior(known.X).location, atol=1e-7)


@given(st.integers(1, 50), st.integers(2, 60), st.integers(0, 2**32 - 1))
def test_informative_observations_are_the_best_and_others(n: int, m: int, seed: int) -> None:
    y = np.random.default_rng(seed).standard_normal(n)
    chosen = informative(y, m)
    assert len(chosen) == min(n, m)
    assert (np.diff(chosen) > 0).all()
    assert set(np.argsort(-y)[: min(n, m // 2)]) <= set(chosen)


def test_fit_finds_the_length_scale_and_ignores_a_bad_start() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((60, 2))
    r2 = squared_distances(X, X, 1 / np.array([0.2, 2.0]) ** 2, np.zeros(2, bool))
    y = np.linalg.cholesky(matern52(r2)[0] + 1e-8 * np.eye(60)) @ rng.standard_normal(60)
    y = (y - y.mean()) / y.std()
    cold = fit(X, y, np.zeros(2, bool), default_model(unit_cube(2), GammaPrior()))
    bad = np.array([5.0, -5.0, 0.0, 2.0])
    warm = fit(X, y, np.zeros(2, bool), default_model(unit_cube(2), GammaPrior()), start=bad)
    assert 0.1 < math.exp(cold.theta[0]) < 0.5
    assert math.exp(cold.theta[1]) > 0.8
    density = LogDensity(X, y, np.zeros(2, bool), default_model(unit_cube(2), GammaPrior()))
    assert density(warm.theta)[0] == pytest.approx(density(cold.theta)[0], abs=0.05)


def test_a_large_shape_comes_close_to_a_gaussian_process() -> None:
    X, y, is_categorical = data()
    theta = np.array([math.log(0.5)] * 3 + [0.0, math.log(0.05)])
    known, nearly = None, GammaPrior(shape=1e7)
    values = [
        LogDensity(X, y, is_categorical, flat_model(precision, "constant"))(theta)[0]
        for precision in (known, nearly)
    ]
    assert values[0] == pytest.approx(values[1], abs=1e-3)
    a = condition(X, y, is_categorical, theta, known, True)
    b = condition(X, y, is_categorical, theta, nearly, True)
    np.testing.assert_allclose(a.posterior(X).scale, b.posterior(X).scale, rtol=1e-4)


@given(
    st.integers(1, 8),
    st.integers(1, 4),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 1e-12, 1e-6, 1.0]),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_any_points_can_be_fitted(n: int, d: int, seed: int, spread: float, equal: bool) -> None:
    rng = np.random.default_rng(seed)
    X = 0.5 + spread * (rng.random((n, d)) - 0.5)
    y = np.zeros(n) if equal else rng.standard_normal(n)
    process = fit(X, y, np.zeros(d, bool), default_model(unit_cube(d), GammaPrior()))
    posterior = process.pend(X[:1]).posterior(rng.random((4, d)))
    assert np.isfinite(process.theta).all()
    assert np.isfinite(posterior.location).all()
    assert (np.isfinite(posterior.scale) & (posterior.scale > 0)).all()


@pytest.mark.parametrize("arguments", [(1.0,), (0.5,), (math.nan,), (2.0, 0.0), (2.0, -1.0)])
def test_prior_out_of_range(arguments: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        GammaPrior(*arguments)


def test_prior_mean_of_the_variance_is_one_by_default() -> None:
    prior = GammaPrior(shape=4)
    assert prior.b0 / (prior.shape - 1) == 1
