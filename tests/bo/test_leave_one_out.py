from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from optuna_gamma.bo.leave_one_out import log_density
from optuna_gamma.bo.leave_one_out import studentized
from optuna_gamma.bo.process import condition
from optuna_gamma.bo.process import GammaPrior


@pytest.mark.parametrize("has_mean", [True, False])
def test_each_value_is_predicted_from_the_others(has_mean: bool) -> None:
    rng = np.random.default_rng(0)
    X = rng.random((7, 2))
    y = np.sin(5 * X[:, 0]) + X[:, 1]
    theta = np.log([0.4, 0.7, 1.0, 0.01])
    extra = np.array([0, 0, 0.5, 0, 0, 0, 0])
    nominal = np.zeros(2, dtype=bool)
    process = condition(X, y, nominal, theta, GammaPrior(), has_mean, extra)
    t, scale = studentized(process)
    densities = log_density(process)
    naive = []
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        other = condition(X[rest], y[rest], nominal, theta, GammaPrior(), has_mean, extra[rest])
        seen = other.posterior(X[i : i + 1])
        noise = (0.01 + extra[i]) * other.variance
        expected = np.sqrt(seen.scale[0] ** 2 + noise)
        assert scale[i] == pytest.approx(expected, rel=1e-6)
        assert t[i] == pytest.approx(abs(y[i] - seen.location[0]) / expected, rel=1e-5)
        naive.append(stats.t.logpdf(y[i], seen.df, seen.location[0], expected))
    # A constant, one half of ln π, is left out.
    np.testing.assert_allclose(densities - 0.5 * np.log(np.pi), naive, rtol=1e-5)
