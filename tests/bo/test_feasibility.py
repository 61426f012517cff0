from __future__ import annotations

import math

from mpmath import mp
import numpy as np
import pytest
from scipy import special

from optuna_gamma.bo.acquisition import make_acquisition
from optuna_gamma.bo.feasibility import log_cdf
from optuna_gamma.bo.feasibility import LogFeasibility
from optuna_gamma.bo.process import condition
from optuna_gamma.bo.process import GammaPrior
from optuna_gamma.bo.process import Process
from optuna_gamma.bo.product import LogProduct


@pytest.mark.parametrize("df", [1.5, 3.0, 20.0, 300.0])
def test_log_cdf_equals_the_incomplete_beta_function(df: float) -> None:
    u = np.array([-1e8, -1e3, -50.0, -9.0, -7.9, -2.0, 0.0, 1.0, 9.0, 1e3])
    value, slope = log_cdf(u, df)
    for found, by_u, x in zip(value, slope, u.tolist(), strict=True):
        ratio = mp.mpf(df) / (df + mp.mpf(x) ** 2)
        tail = mp.betainc(df / 2, 0.5, 0, ratio, regularized=True) / 2
        cdf = tail if x < 0 else 1 - tail
        density = ratio ** ((df + 1) / 2) / (mp.sqrt(df) * mp.beta(df / 2, 0.5))
        assert found == pytest.approx(float(mp.log(cdf)), rel=1e-7, abs=1e-9)
        assert by_u == pytest.approx(float(density / cdf), rel=1e-6, abs=1e-300)


def test_log_cdf_of_the_normal_distribution() -> None:
    u = np.linspace(-60, 10, 200)
    np.testing.assert_allclose(log_cdf(u, math.inf)[0], special.log_ndtr(u), rtol=1e-8, atol=1e-9)


def process(seed: int) -> Process:
    rng = np.random.default_rng(seed)
    theta = np.array([-0.7, -0.5, 0.0, -9.0])
    X, y = rng.random((10, 2)), rng.normal(size=10)
    return condition(X, y, np.zeros(2, dtype=bool), theta, GammaPrior(), True)


def test_it_is_the_product_of_the_probabilities() -> None:
    slacks = [process(0), process(1)]
    x = np.random.default_rng(3).random((20, 2))
    expected = np.zeros(20)
    for slack in slacks:
        posterior = slack.posterior(x)
        expected += np.log(special.stdtr(posterior.df, posterior.location / posterior.scale))
    np.testing.assert_allclose(LogFeasibility(slacks)(x), expected, rtol=1e-7)


def test_gradient_in_the_point() -> None:
    improvement = make_acquisition("gamma", process(2), GammaPrior())
    acquisition = LogProduct([improvement, LogFeasibility([process(0), process(1)])])
    x = np.random.default_rng(3).random((20, 2))
    value, gradient = acquisition.with_gradient(x)
    np.testing.assert_allclose(value, acquisition(x))
    for j in range(2):
        step = np.zeros(2)
        step[j] = 1e-6
        slope = (acquisition(x + step) - acquisition(x - step)) / 2e-6
        np.testing.assert_allclose(gradient[:, j], slope, rtol=1e-4, atol=1e-4)
