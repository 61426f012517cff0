"""GammaBOSampler in an ordinary Optuna study: tune a support vector machine on real images.

Run it with ``python examples/sampler.py``. It needs scikit-learn: ``pip install scikit-learn``.
"""

from __future__ import annotations

import optuna
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

from optuna_gamma import GammaBOSampler


X, y = load_digits(return_X_y=True)


def objective(trial: optuna.Trial) -> float:
    model = SVC(
        C=trial.suggest_float("C", 1e-3, 1e3, log=True),
        gamma=trial.suggest_float("gamma", 1e-6, 1.0, log=True),
    )
    return float(cross_val_score(model, X[:600], y[:600], cv=3).mean())


if __name__ == "__main__":
    study = optuna.create_study(direction="maximize", sampler=GammaBOSampler(seed=0))
    study.optimize(objective, n_trials=20)
    print(f"best accuracy {study.best_value:.3f} with {study.best_params}")
