"""Random studies of every kind; many more: ``python -m benchmarks fuzz --n 10000``."""

from __future__ import annotations

from hypothesis import given
from hypothesis import HealthCheck
from hypothesis import settings
import optuna

from benchmarks.fuzz.check import check
from benchmarks.fuzz.studies import random_studies
from benchmarks.fuzz.studies import RandomStudy


@given(random_studies())
@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
def test_random_studies_never_fail(case: RandomStudy) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    check(case)
