"""A constraint: the most accurate random forest that fits into a small device.

How large a forest becomes is known only when it is trained. So the objective says afterwards by
how much it is too large, and the sampler learns where forests are small enough, beside where they
are accurate. A constraint is met at zero and below, and ``study.best_trial`` meets all of them.

Run it with ``python examples/constraints.py``. It needs scikit-learn:
``pip install scikit-learn``.
"""

from __future__ import annotations

import optuna
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from optuna_gamma import GammaBOSampler


ALLOWED_NODES = 2000

images, labels = load_digits(return_X_y=True)
x, x_test, y, y_test = train_test_split(images, labels, test_size=400, random_state=0)
x_train, x_valid, y_train, y_valid = train_test_split(x, y, test_size=400, random_state=0)


def train(trial: optuna.trial.BaseTrial) -> RandomForestClassifier:
    forest = RandomForestClassifier(
        n_estimators=trial.suggest_int("n_estimators", 5, 100, log=True),
        max_leaf_nodes=trial.suggest_int("max_leaf_nodes", 5, 200, log=True),
        max_features=trial.suggest_float("max_features", 0.05, 1.0, log=True),
        random_state=0,
    )
    return forest.fit(x_train, y_train)


def count_nodes(forest: RandomForestClassifier) -> int:
    return sum(tree.tree_.node_count for tree in forest.estimators_)


def objective(trial: optuna.Trial) -> float:
    forest = train(trial)
    trial.set_constraint("nodes", count_nodes(forest) - ALLOWED_NODES)
    return float(forest.score(x_valid, y_valid))


if __name__ == "__main__":
    study = optuna.create_study(direction="maximize", sampler=GammaBOSampler(seed=0))
    study.optimize(objective, n_trials=30)
    best = train(study.best_trial)
    too_large = sum(trial.constraints["nodes"] > 0 for trial in study.trials)
    print(f"{too_large} of {len(study.trials)} forests were too large")
    print(f"best {study.best_params}, {count_nodes(best)} nodes of {ALLOWED_NODES}")
    print(f"test accuracy {best.score(x_test, y_test):.3f}")
