"""Optuna's own tests of samplers; run them from the root of the registry."""

from __future__ import annotations

from collections.abc import Callable

import optuna
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase
from optuna.testing.pytest_samplers import MultiObjectiveSamplerTestCase
from optuna.testing.pytest_samplers import RelativeSamplerTestCase
import optunahub
import pytest


package = optunahub.load_local_module(package="samplers/gamma_bo", registry_root="package/")


class TestGammaBOSampler(
    BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase
):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        # Without start-up trials, as those tests complete few.
        return lambda: package.GammaBOSampler(seed=0, n_startup_trials=0)


def test_the_prior_is_used() -> None:
    def propose(sampler: BaseSampler) -> list[float]:
        study = optuna.create_study(study_name="prior", sampler=sampler)
        study.optimize(lambda trial: (trial.suggest_float("x", -5, 5) - 2) ** 2, n_trials=10)
        return [trial.params["x"] for trial in study.trials]

    flat = package.GammaBOSampler(seed=0)
    strict = package.GammaBOSampler(seed=0, prior=package.GammaPrior(shape=50))
    assert propose(flat) != propose(strict)
