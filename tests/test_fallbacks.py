"""Numerics that fail: steps are taken one after the other, and said at debug level."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import pytest

from optuna_gamma import GammaBOSampler
from optuna_gamma import GammaPrior
from optuna_gamma.bo import fit as fit_module
from optuna_gamma.bo import process as process_module
from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.fit import default_model
from optuna_gamma.bo.fit import fit
from optuna_gamma.bo.fit import LogDensity
from optuna_gamma.bo.maximize import maximize


CUBE = Cube(grids=(None, None), is_categorical=np.zeros(2, dtype=bool))
MODEL = default_model(CUBE, GammaPrior())
SPACE: dict[str, BaseDistribution] = {
    "x": FloatDistribution(-1, 1),
    "n": IntDistribution(0, 9),
}


class FailingLapack:
    """LAPACK, whose first factorisations fail."""

    def __init__(self, module: Any, failures: float) -> None:
        self._module = module
        self.failures = failures

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def dpotrf(self, *args: Any, **kwargs: Any) -> Any:
        self.failures -= 1
        factor, info = self._module.dpotrf(*args, **kwargs)
        return factor, 1 if self.failures >= 0 else info


@pytest.fixture(autouse=True)
def _debug(caplog: pytest.LogCaptureFixture) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    caplog.set_level(logging.DEBUG, logger="optuna_gamma")


def _data() -> tuple[Any, Any]:
    X = np.random.default_rng(0).random((12, 2))
    y = np.sin(5.0 * X[:, 0]) + X[:, 1]
    return X, (y - y.mean()) / y.std()


def _fit(start: Any = None) -> Any:
    X, y = _data()
    return fit(X, y, CUBE.is_categorical, MODEL, start=start)


def _is_finite(process: Any) -> bool:
    posterior = process.posterior(np.random.default_rng(1).random((9, 2)))
    return bool(np.isfinite([posterior.location, posterior.scale]).all())


def _prior_theta() -> Any:
    X, y = _data()
    return LogDensity(X, y, CUBE.is_categorical, MODEL).starts()[0]


def test_first_the_jitter_is_raised(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    undisturbed = _fit()
    lapack = FailingLapack(process_module.lapack, 3)
    monkeypatch.setattr(process_module, "lapack", lapack)
    process = _fit()
    np.testing.assert_array_equal(process.theta, undisturbed.theta)
    np.testing.assert_allclose(process.alpha, undisturbed.alpha, rtol=0.1)
    assert [r.levelname for r in caplog.records] == ["DEBUG"] * 3
    assert "jitter is raised to 1e-06" in caplog.text


def test_duplicates_without_noise_need_no_more_than_jitter() -> None:
    X, y = np.full((5, 2), 0.3), np.arange(5.0)
    theta = np.array([0.0, 0.0, 0.0, -800.0])
    process = process_module.condition(X, y, CUBE.is_categorical, theta, GammaPrior(), True)
    assert _is_finite(process)


@pytest.mark.parametrize("broken", ["raises", "not a number", "improbable"])
def test_then_the_search_starts_elsewhere(
    broken: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first search ends nowhere, or where the process cannot be conditioned."""
    starts = []
    minimize = fit_module.minimize

    def break_first(objective: Any, start: Any, **options: Any) -> Any:
        result = minimize(objective, start, **options)
        starts.append(start)
        if len(starts) == 1 and broken == "not a number":
            result.x = result.x * np.nan
        if len(starts) == 1 and broken == "improbable":
            result.fun = 1e25
        return result

    monkeypatch.setattr(fit_module, "minimize", break_first)
    if broken == "raises":
        lapack = FailingLapack(process_module.lapack, 10)  # for all that jitter can do
        monkeypatch.setattr(process_module, "lapack", lapack)
    process = _fit()
    assert len(starts) == 2
    assert not np.array_equal(*starts)
    assert _is_finite(process)
    assert "it starts elsewhere" in caplog.text
    assert "prior" not in caplog.text


def test_then_hyper_parameters_are_those_of_the_prior(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(objective: Any, start: Any, **options: Any) -> Any:
        class Result:
            x, fun = start * np.nan, np.nan

        return Result

    monkeypatch.setattr(fit_module, "minimize", fail)
    process = _fit()
    np.testing.assert_array_equal(process.theta, _prior_theta())
    assert _is_finite(process)
    assert "the prior's are used" in caplog.text


def test_an_earlier_fit_that_is_not_finite_is_no_start() -> None:
    np.testing.assert_array_equal(_fit(np.full(4, np.nan)).theta, _fit().theta)


def _objective(trial: optuna.Trial) -> float:
    return trial.suggest_float("x", -1, 1) ** 2 + trial.suggest_int("n", 0, 9)


def _study(n_trials: int, n_startup_trials: int = 4) -> optuna.Study:
    sampler = GammaBOSampler(seed=0, n_startup_trials=n_startup_trials)
    study = optuna.create_study(study_name="s", sampler=sampler)
    study.optimize(_objective, n_trials)
    return study


def test_then_a_sobol_point_is_proposed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    study = _study(8)
    lapack = FailingLapack(process_module.lapack, np.inf)
    monkeypatch.setattr(process_module, "lapack", lapack)
    asked = [study.ask(SPACE).params for _ in range(4)]
    assert len({params["x"] for params in asked}) == 4
    assert "a start-up point is proposed" in caplog.text
    for record in caplog.records:
        assert record.levelno == logging.DEBUG
    assert asked == [t.params for t in _study(12, n_startup_trials=99).trials[8:]]


def test_a_last_fit_of_no_use_is_fitted_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    study = _study(9)  # the tenth rests on the fit to eight
    lapack = FailingLapack(process_module.lapack, 10)
    monkeypatch.setattr(process_module, "lapack", lapack)
    study.ask(SPACE)
    assert "it is fitted again" in caplog.text
    assert "start-up" not in caplog.text


@pytest.mark.parametrize("share", [0.5, 1.0])
@pytest.mark.parametrize(
    "grids", [(None, None), (None, np.arange(3) / 2), (np.arange(3) / 2,) * 2]
)
def test_values_that_are_not_numbers_are_not_chosen(share: float, grids: tuple[Any, Any]) -> None:
    cube = Cube(grids=grids, is_categorical=np.zeros(2, dtype=bool))

    class Sometimes:
        def __call__(self, x: Any) -> Any:
            return np.where(x[:, 0] <= share, np.nan, 0.0)

        def with_gradient(self, x: Any) -> Any:
            return self(x), np.zeros_like(x)

    anchors = taken = np.empty((0, 2))
    x = maximize(Sometimes(), cube, anchors, taken, np.random.default_rng(0))
    assert x is not None
    assert np.isfinite(x).all()
    assert x[0] > share or share == 1.0
    np.testing.assert_array_equal(cube.snap(x[None])[0], x)
