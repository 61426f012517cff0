"""A staged study of a scikit-learn model that learns bit by bit, with ``partial_fit``.

What a model has learned are its fitted attributes, arrays and numbers whose names end in ``_``.
These few are all that a checkpoint holds: nothing is pickled, so that it can be read with another
version of scikit-learn, and by others without trusting you. Interrupt it and run it again: it
resumes.

Run it with ``python examples/staged_partial_fit.py [DIRECTORY]``. It needs scikit-learn:
``pip install scikit-learn``.
"""

from __future__ import annotations

import sys

import numpy as np
import optuna
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from optuna_gamma import create_staged_study
from optuna_gamma import kappa
from optuna_gamma.staged import Stage


images, labels = load_digits(return_X_y=True)
x, x_test, y, y_test = train_test_split(images / 16, labels, test_size=400, random_state=0)
x_train, x_valid, y_train, y_valid = train_test_split(x, y, test_size=400, random_state=0)

FITTED = ("coef_", "intercept_", "classes_", "n_features_in_", "t_")
"""What an ``SGDClassifier`` needs to go on, or to predict."""

TRIALS = (6, 1)
EPOCHS = (5, 40)
"""Of a stage that searches and of one that trains on."""


def objective(trial: optuna.Trial, stage: Stage) -> float:
    model = SGDClassifier(
        loss="log_loss",
        learning_rate="constant",
        eta0=trial.suggest_float("lr", 1e-4, 1.0, log=True),
        alpha=trial.suggest_float("alpha", 1e-6, 1e-2, log=True),
        # The same order of images for all candidates of a stage, and another one each epoch.
        random_state=np.random.RandomState(stage.seed),
    )
    state = stage.load()  # what the best trial of the stage before has saved
    if state is not None:
        restore(model, state)
    for _ in range(EPOCHS[stage.number % 2]):
        model.partial_fit(x_train, y_train, classes=np.arange(10))
    stage.save(trial, {name: getattr(model, name) for name in FITTED})
    probabilities = model.predict_proba(x_valid)
    return kappa(
        accuracy_score(y_valid, probabilities.argmax(1)), log_loss(y_valid, probabilities)
    )


def restore(model: SGDClassifier, state: dict[str, object]) -> SGDClassifier:
    for name in FITTED:
        setattr(model, name, state[name])
    return model


if __name__ == "__main__":
    directory = sys.argv[1] if len(sys.argv) > 1 else "runs/staged-partial-fit"
    staged = create_staged_study(study_name="digits", directory=directory)
    staged.optimize(objective, n_stages=2, n_trials=TRIALS)
    for record in staged.schedule:
        print(f"stage {record.number}: {record.params}, kappa {record.value:.0f}")
    best = restore(SGDClassifier(loss="log_loss"), staged.load_best())
    print(f"test accuracy {best.score(x_test, y_test):.3f}")
