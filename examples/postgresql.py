"""A staged study that resumes on PostgreSQL: kill it and run it again, as often as you like.

Trials and promotions are in the database, weights in a folder, or an object store, that all
machines reach. Give the same command on another machine, and it goes on with this one's run, or
joins it. The network is a softmax regression in NumPy, so that there is little else to look at.

Run it with ``STORAGE=postgresql+psycopg://me:secret@host/runs python examples/postgresql.py
[DIRECTORY]``. It needs a PostgreSQL server, its driver and scikit-learn:
``pip install "psycopg[binary]" scikit-learn``.
"""

from __future__ import annotations

import os
import sys

import numpy as np
import optuna
from scipy.special import log_softmax
from scipy.special import softmax
from sklearn.datasets import load_digits

from optuna_gamma import create_staged_study
from optuna_gamma import kappa
from optuna_gamma.staged import Stage


images, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(labels))
x, y = images[order] / 16, labels[order]
valid, test = slice(1000, 1400), slice(1400, None)


def score(weights: np.ndarray, part: slice) -> tuple[float, float]:
    log_p = log_softmax(x[part] @ weights, axis=1)
    accuracy = np.mean(log_p.argmax(1) == y[part])
    return float(accuracy), float(-np.mean(log_p[range(len(log_p)), y[part]]))


def objective(trial: optuna.Trial, stage: Stage) -> float:
    state = stage.load()  # what the best trial of the stage before has saved
    weights = np.zeros((64, 10)) if state is None else state["weights"]
    lr = trial.suggest_float("lr", 1e-3, 10.0, log=True)
    rng = np.random.default_rng(stage.seed)  # the same batches for all candidates of a stage
    for _ in range(5):
        for batch in np.split(rng.permutation(1000), 20):  # the first 1000 are those to train with
            error = softmax(x[batch] @ weights, axis=1) - np.eye(10)[y[batch]]
            weights = weights - lr * x[batch].T @ error / len(batch)
    stage.save(trial, {"weights": weights})
    return kappa(*score(weights, valid))


def report(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    print(f"{study.study_name}, trial {trial.number}: {trial.value:.0f}", flush=True)


if __name__ == "__main__":
    if "STORAGE" not in os.environ:
        sys.exit("Set STORAGE to the database's URL: postgresql+psycopg://me:secret@host/runs")
    staged = create_staged_study(
        study_name="digits",
        storage=os.environ["STORAGE"],
        directory=sys.argv[1] if len(sys.argv) > 1 else "runs/postgresql",
    )
    staged.optimize(objective, n_stages=3, n_trials=6, callbacks=[report])
    for record in staged.schedule:
        print(f"stage {record.number}: lr {record.params['lr']:.4f}, kappa {record.value:.0f}")
    accuracy, _ = score(staged.load_best()["weights"], test)
    print(f"test accuracy {accuracy:.3f}")
