"""Which model of scikit-learn, and with which hyper-parameters: they depend on the model.

A support vector machine has no depth and a forest no ``C``. Write the space as you would write the
program, with an ``if``: the sampler learns from the trials which parameters there are when.
Cross-validation is reported fold by fold, and given up early where it goes badly: a pruned trial
teaches the sampler, too, by what it has reported.

Run it with ``python examples/sklearn_tuning.py``. It needs scikit-learn:
``pip install scikit-learn``.
"""

from __future__ import annotations

import numpy as np
import optuna
from optuna.trial import TrialState
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from optuna_gamma import GammaBOSampler


x, x_test, y, y_test = train_test_split(
    *load_breast_cancer(return_X_y=True), test_size=150, random_state=0
)


def build(trial: optuna.trial.BaseTrial) -> ClassifierMixin:
    kind = trial.suggest_categorical("model", ["svm", "forest", "neighbours"])
    if kind == "svm":
        C = trial.suggest_float("C", 1e-3, 1e3, log=True)
        gamma = trial.suggest_float("gamma", 1e-5, 1.0, log=True)
        return make_pipeline(StandardScaler(), SVC(C=C, gamma=gamma))
    if kind == "forest":
        depth = trial.suggest_int("max_depth", 1, 16, log=True)
        features = trial.suggest_float("max_features", 0.05, 1.0)
        return RandomForestClassifier(50, max_depth=depth, max_features=features, random_state=0)
    n = trial.suggest_int("n_neighbors", 1, 50, log=True)
    weights = trial.suggest_categorical("weights", ["uniform", "distance"])
    return make_pipeline(StandardScaler(), KNeighborsClassifier(n, weights=weights))


def objective(trial: optuna.Trial) -> float:
    model = build(trial)
    scores = []
    for train, valid in StratifiedKFold(5, shuffle=True, random_state=0).split(x, y):
        scores.append(model.fit(x[train], y[train]).score(x[valid], y[valid]))
        trial.report(float(np.mean(scores)), step=len(scores))
        if trial.should_prune():
            raise optuna.TrialPruned
    return float(np.mean(scores))


if __name__ == "__main__":
    study = optuna.create_study(
        direction="maximize",
        sampler=GammaBOSampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_warmup_steps=2),
    )
    study.optimize(objective, n_trials=30)
    n_pruned = len(study.get_trials(states=[TrialState.PRUNED]))
    print(f"{n_pruned} of {len(study.trials)} trials were pruned")
    print(f"best in cross-validation {study.best_value:.3f} with {study.best_params}")
    best = build(study.best_trial).fit(x, y)
    print(f"test accuracy {best.score(x_test, y_test):.3f}")
