from __future__ import annotations

from collections.abc import Callable
import math

import optuna
import pytest


def mixed_objective(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", -5, 5)
    lr = trial.suggest_float("lr", 1e-5, 1, log=True)
    n = trial.suggest_int("n", 1, 64, log=True)
    step = trial.suggest_float("step", 0, 1, step=0.1)
    kind = trial.suggest_categorical("kind", ["a", "b", "c"])
    value = (x - 1) ** 2 + (math.log10(lr) + 3) ** 2 + 0.01 * abs(n - 8) + (step - 0.3) ** 2
    return value + (kind != "b")


@pytest.fixture(scope="session")
def mixed() -> Callable[[optuna.Trial], float]:
    """An objective over every kind of parameter."""
    return mixed_objective
