"""Several objectives: accurate random forests, and small ones.

``constraints.py`` knows how large a forest may be. If you do not know that, look at the Pareto
front: the forests of which none of the others is both smaller and more accurate. Each trial is
placed where the front is expected to move on most.

Run it with ``python examples/several_objectives.py``. It needs scikit-learn:
``pip install scikit-learn``.
"""

from __future__ import annotations

import optuna
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from optuna_gamma import GammaBOSampler


x_train, x_valid, y_train, y_valid = train_test_split(
    *load_digits(return_X_y=True), test_size=600, random_state=0
)


def objective(trial: optuna.Trial) -> tuple[float, float]:
    forest = RandomForestClassifier(
        n_estimators=trial.suggest_int("n_estimators", 5, 100, log=True),
        max_leaf_nodes=trial.suggest_int("max_leaf_nodes", 5, 200, log=True),
        max_features=trial.suggest_float("max_features", 0.05, 1.0, log=True),
        random_state=0,
    )
    forest.fit(x_train, y_train)
    accuracy = forest.score(x_valid, y_valid)
    return accuracy, sum(tree.tree_.node_count for tree in forest.estimators_)


if __name__ == "__main__":
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=GammaBOSampler(seed=0)
    )
    study.set_metric_names(["accuracy", "nodes"])
    study.optimize(objective, n_trials=30)
    print("accuracy  nodes  forest")
    for trial in sorted(study.best_trials, key=lambda trial: trial.values[1]):
        accuracy, nodes = trial.values
        print(f"{accuracy:8.3f}  {nodes:5.0f}  {trial.params}")
