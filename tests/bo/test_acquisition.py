from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from optuna_gamma.bo.acquisition import conjugate_log_ei
from optuna_gamma.bo.acquisition import log_ei
from optuna_gamma.bo.acquisition import log_h
from optuna_gamma.bo.acquisition import make_acquisition
from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.fit import default_model
from optuna_gamma.bo.fit import fit
from optuna_gamma.bo.process import GammaPrior
from optuna_gamma.bo.process import Posterior


DFS = [1.01, 1.5, 2.0, 3.0, 5.5, 10.0, 33.0, 99.0, 101.0, 500.0, 2e3, 1e4, 1e6]
US = [-1e20, -1e10, -1e4, -100, -37, -10, -8.001, -8, -7.999, -3, -1, -1e-3, 0, 0.5, 2, 10, 1e6]


def hyp2f1_one(a: mpmath.mpf, c: mpmath.mpf, x: mpmath.mpf) -> mpmath.mpf:
    """Sum 2F1(a, 1; c; x) term by term where mpmath's own choice of formula does not converge."""
    if x > 0.995:
        return mpmath.hyp2f1(a, 1, c, x)
    total = term = mpmath.mpf(1)
    k = 0
    while abs(term) > abs(total) * mpmath.mpf(10) ** -40:
        term *= (a + k) / (c + k) * x
        total += term
        k += 1
    return total


def reference(u: float, df: float) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Return ln h and T/h with 60 digits."""
    with mpmath.workdps(60):
        nu, z = mpmath.mpf(df), abs(mpmath.mpf(u))
        half = mpmath.mpf(1) / 2
        x = nu / (nu + z * z)
        c = mpmath.gamma((nu + 1) / 2) / (mpmath.sqrt(nu * mpmath.pi) * mpmath.gamma(nu / 2))
        h = c / (nu - 1) * x ** ((nu - 1) / 2) * hyp2f1_one((nu - 1) / 2, nu / 2 + 1, x)
        # I_x(ν/2, 1/2)/2 with its own hypergeometric series
        lower = c * mpmath.sqrt(1 - x) * x ** (nu / 2) / mpmath.sqrt(nu)
        lower *= hyp2f1_one((nu + 1) / 2, nu / 2 + 1, x) if z else 0
        lower = lower if z else half
        return (mpmath.log(u + h), (1 - lower) / (u + h)) if u > 0 else (mpmath.log(h), lower / h)


@pytest.mark.parametrize("df", DFS)
def test_log_h_against_high_precision(df: float) -> None:
    value, slope = log_h(np.array(US, dtype=float), df)
    for u, v, s in zip(US, value, slope, strict=True):
        log_value, log_slope = reference(u, df)
        # h itself within 1e-9, but where ln h is so large that its last digit is more than that.
        assert abs(v - log_value) <= 1e-9 * max(1, 1e-3 * abs(log_value)), (df, u)
        assert abs(s / log_slope - 1) <= 1e-9, (df, u)


@pytest.mark.parametrize("u", [-1e6, -100, -37, -10, -8.001, -8, -7.999, -3, -1, 0, 0.5, 2, 10])
def test_gaussian_log_h_against_high_precision(u: float) -> None:
    with mpmath.workdps(60):
        upper = mpmath.erfc(-mpmath.mpf(u) / mpmath.sqrt(2)) / 2
        if u < -1e3:
            expected = mpmath.log(mpmath.npdf(u)) - 2 * mpmath.log(-u) - 3 / mpmath.mpf(u) ** 2
            slope = -mpmath.mpf(u) - 2 / mpmath.mpf(u)
        else:
            h = mpmath.npdf(u) + u * upper
            expected, slope = mpmath.log(h), upper / h
    value, derivative = log_h(np.array([u], dtype=float), math.inf)
    assert abs(value[0] - expected) <= 1e-9 * max(1, 1e-3 * abs(expected))
    assert abs(derivative[0] / slope - 1) <= 1e-9


def test_many_degrees_of_freedom_agree_with_the_gaussian() -> None:
    u = np.linspace(-5, 5, 101)
    value, slope = log_h(u, 1e7)
    gaussian_value, gaussian_slope = log_h(u, math.inf)
    np.testing.assert_allclose(value, gaussian_value, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(slope, gaussian_slope, rtol=1e-4)


@pytest.mark.parametrize("df", [*DFS, 1e9, math.inf])
def test_log_h_is_finite_and_increasing_everywhere(df: float) -> None:
    u = np.concatenate(
        [-np.geomspace(1e100, 1e-100, 400), [0.0], np.geomspace(1e-100, 1e100, 400)]
    )
    value, slope = log_h(u, df)
    assert np.isfinite(value).all()
    assert np.isfinite(slope).all()
    assert (slope > 0).all()
    assert (np.diff(value) >= -1e-9 * np.abs(value[1:])).all()


@pytest.mark.parametrize("df", [1.01, 3.0, 40.0, math.inf])
@pytest.mark.parametrize("scale", [1e-6, 0.1, 1.0, 30.0])
def test_expected_improvement_is_the_integral(df: float, scale: float) -> None:
    posterior = Posterior(np.array([0.3]), np.array([scale]), df)
    value = log_ei(posterior, best=0.5, xi=0.1)[0][0]
    with mpmath.workdps(40):
        u = (mpmath.mpf(0.3) - mpmath.mpf(0.5) - mpmath.mpf(0.1)) / scale

        def density(w: mpmath.mpf) -> mpmath.mpf:
            if math.isinf(df):
                return mpmath.npdf(w)
            nu = mpmath.mpf(df)
            c = mpmath.gamma((nu + 1) / 2) / mpmath.gamma(nu / 2) / mpmath.sqrt(nu * mpmath.pi)
            return c * (1 + w * w / nu) ** (-(nu + 1) / 2)

        if df < 2 or u < -1e3:
            expected = scale * mpmath.exp(
                reference(float(u), df)[0]
                if math.isfinite(df)
                else log_h(np.array([float(u)]), df)[0][0]
            )
        else:
            expected = scale * mpmath.quad(
                lambda w: (w + u) * density(w), [-u, -u + 1, -u + 5, -u + 50, mpmath.inf]
            )
        log_expected = float(mpmath.log(expected))
    assert value == pytest.approx(log_expected, rel=1e-8)


@pytest.mark.parametrize("df", [1.01, 3.0, 40.0, 1e4, math.inf])
@pytest.mark.parametrize("name", ["log_ei", "conjugate"])
def test_derivatives(name: str, df: float) -> None:
    rng = np.random.default_rng(0)
    location, scale = rng.standard_normal(200) * 3, np.exp(rng.standard_normal(200) * 1.5)
    y = rng.standard_normal(7)

    def criterion(m: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if name == "conjugate":
            return conjugate_log_ei(Posterior(m, s, df), y, 1.0, 1.0, 0.7, 0.01)
        return log_ei(Posterior(m, s, df), 0.7, 0.01)

    value, by_location, by_scale = criterion(location, scale)
    step = 1e-6
    slope = (criterion(location + step, scale)[0] - criterion(location - step, scale)[0]) / 2e-6
    np.testing.assert_allclose(by_location, slope, rtol=1e-5, atol=1e-7)
    step = 1e-6 * scale
    slope = criterion(location, scale + step)[0] - criterion(location, scale - step)[0]
    np.testing.assert_allclose(by_scale, slope / (2 * step), rtol=1e-4, atol=1e-6)
    assert np.isfinite(value).all()


def test_conjugate_agrees_with_its_equations() -> None:
    y = np.array([0.3, -1.2, 0.8])
    m, s, a0, b0, best, xi = 0.4, 0.6, 1.0, 1.0, 0.5, 0.01
    noise = (b0 + 0.5 * np.sum((y - m) ** 2)) / (a0 + len(y) / 2)
    shifted = (m / s**2 + y.sum() / noise) / (1 / s**2 + len(y) / noise)
    z = (shifted - best - xi) / s
    cdf, pdf = 0.5 * math.erfc(-z / math.sqrt(2)), math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    expected = math.log((shifted - best - xi) * cdf + s * pdf)
    posterior = Posterior(np.array([m]), np.array([s]), math.inf)
    assert conjugate_log_ei(posterior, y, a0, b0, best, xi)[0][0] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["gamma", "gaussian", "conjugate"])
def test_gradient_in_the_point(name: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.random((9, 2))
    y = np.sin(6 * X[:, 0]) - X[:, 1]
    cube = Cube(grids=(None, None), is_categorical=np.zeros(2, bool))
    model = default_model(cube, GammaPrior())
    process = fit(X, (y - y.mean()) / y.std(), cube.is_categorical, model)
    acquisition = make_acquisition(name, process, GammaPrior(), 0.01)  # type: ignore[arg-type]
    x = rng.random((30, 2))
    value, gradient = acquisition.with_gradient(x)
    np.testing.assert_array_equal(value, acquisition(x))
    for j in range(2):
        step = 1e-6 * np.eye(2)[j]
        slope = (acquisition(x + step) - acquisition(x - step)) / 2e-6
        np.testing.assert_allclose(gradient[:, j], slope, rtol=1e-4, atol=1e-4)
