"""Minimise a function of two numbers and a choice in thirty trials."""

from __future__ import annotations

import optuna
import optunahub


def objective(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", -5, 5)
    rate = trial.suggest_float("rate", 1e-4, 1, log=True)
    kind = trial.suggest_categorical("kind", ["flat", "round"])
    return (x - 2) ** 2 + 100 * (rate - 0.01) ** 2 + (kind == "flat")


if __name__ == "__main__":
    module = optunahub.load_module(package="samplers/gamma_bo")
    study = optuna.create_study(sampler=module.GammaBOSampler(seed=0))
    study.optimize(objective, n_trials=30)
    print(study.best_params, study.best_value)
