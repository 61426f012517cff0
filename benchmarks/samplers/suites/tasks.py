"""Five tuning tasks on the data that come with scikit-learn, over mixed spaces.

Every value is a mean over cross-validation folds that are the same for all trials, of a model
whose own randomness is fixed: a trial's value depends on its parameters alone. The optima are the
lowest values known, see :data:`KNOWN`.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any
import warnings

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from sklearn import datasets
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import cross_val_score
from sklearn.model_selection import KFold
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer
from sklearn.preprocessing import QuantileTransformer
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks.samplers.problem import Evaluate
from benchmarks.samplers.problem import Outcome
from benchmarks.samplers.problem import Problem


N_FOLDS = 3

Space = dict[str, BaseDistribution]


@dataclass(frozen=True)
class _Recipe:
    """What makes a task.

    Args:
        load: What gives data (n, d) and targets (n,).
        build: From parameters to an estimator.
        scoring: What scikit-learn calls the score; it is negated.
        space: Parameters and their ranges.
    """

    load: Callable[[], tuple[Any, Any]]
    build: Callable[[Mapping[str, Any]], Any]
    scoring: str
    space: Space


def _digits() -> tuple[Any, Any]:
    """Give 600 of the digits: a task for a fraction of a second."""
    X, y = datasets.load_digits(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(y))[:600]
    return X[chosen] / 16, y[chosen]


def _linear(params: Mapping[str, Any]) -> Any:
    return SGDClassifier(**params, tol=None, random_state=0)


def _perceptron(params: Mapping[str, Any]) -> Any:
    rest = {name: value for name, value in params.items() if name not in ("width", "depth")}
    layers = (params["width"],) * params["depth"]
    return make_pipeline(
        StandardScaler(),
        MLPClassifier(hidden_layer_sizes=layers, max_iter=25, random_state=0, **rest),
    )


def _boosting(params: Mapping[str, Any]) -> Any:
    return HistGradientBoostingClassifier(
        **params, max_bins=32, early_stopping=False, random_state=0
    )


def _trees(params: Mapping[str, Any]) -> Any:
    return ExtraTreesRegressor(**params, n_estimators=25, random_state=0)


def _logistic(params: Mapping[str, Any]) -> Any:
    scaler = {
        "standard": StandardScaler(),
        "power": PowerTransformer(),
        "quantile": QuantileTransformer(n_quantiles=50, random_state=0),
    }[params["scaler"]]
    model = LogisticRegression(
        C=params["C"],
        l1_ratio=params["l1_ratio"],
        class_weight=None if params["class_weight"] == "none" else params["class_weight"],
        fit_intercept=params["fit_intercept"],
        solver="saga",
        max_iter=params["max_iter"],
        random_state=0,
    )
    return make_pipeline(scaler, model)


RECIPES = {
    "digits-linear": _Recipe(
        load=_digits,
        build=_linear,
        scoring="neg_log_loss",
        space={
            "alpha": FloatDistribution(1e-7, 1, log=True),
            "eta0": FloatDistribution(1e-4, 10, log=True),
            "learning_rate": CategoricalDistribution(["constant", "invscaling", "adaptive"]),
            "loss": CategoricalDistribution(["log_loss", "modified_huber"]),
            "penalty": CategoricalDistribution(["l2", "l1", "elasticnet"]),
            "max_iter": IntDistribution(2, 30, log=True),
            "average": CategoricalDistribution([False, True]),
        },
    ),
    "wine-perceptron": _Recipe(
        load=lambda: datasets.load_wine(return_X_y=True),
        build=_perceptron,
        scoring="neg_log_loss",
        space={
            "learning_rate_init": FloatDistribution(1e-4, 0.3, log=True),
            "alpha": FloatDistribution(1e-6, 10, log=True),
            "width": IntDistribution(2, 64, log=True),
            "depth": IntDistribution(1, 3),
            "batch_size": IntDistribution(8, 64, log=True),
            "activation": CategoricalDistribution(["relu", "tanh", "logistic"]),
            "solver": CategoricalDistribution(["adam", "sgd"]),
        },
    ),
    "cancer-boosting": _Recipe(
        load=lambda: datasets.load_breast_cancer(return_X_y=True),
        build=_boosting,
        scoring="neg_log_loss",
        space={
            "learning_rate": FloatDistribution(1e-3, 1, log=True),
            "max_iter": IntDistribution(5, 60, log=True),
            "max_leaf_nodes": IntDistribution(2, 32, log=True),
            "min_samples_leaf": IntDistribution(1, 100, log=True),
            "l2_regularization": FloatDistribution(1e-6, 100, log=True),
            "max_features": FloatDistribution(0.1, 1),
        },
    ),
    "diabetes-trees": _Recipe(
        load=lambda: datasets.load_diabetes(return_X_y=True),
        build=_trees,
        scoring="neg_mean_squared_error",
        space={
            "max_depth": IntDistribution(1, 20),
            "max_features": FloatDistribution(0.1, 1),
            "min_samples_split": IntDistribution(2, 64, log=True),
            "min_samples_leaf": IntDistribution(1, 32, log=True),
            "ccp_alpha": FloatDistribution(1e-2, 1e3, log=True),
            "criterion": CategoricalDistribution(["squared_error", "friedman_mse"]),
            "bootstrap": CategoricalDistribution([True, False]),
        },
    ),
    "cancer-logistic": _Recipe(
        load=lambda: datasets.load_breast_cancer(return_X_y=True),
        build=_logistic,
        scoring="neg_log_loss",
        space={
            "C": FloatDistribution(1e-4, 1e3, log=True),
            "l1_ratio": FloatDistribution(0, 1),
            "max_iter": IntDistribution(2, 50, log=True),
            "scaler": CategoricalDistribution(["standard", "power", "quantile"]),
            "class_weight": CategoricalDistribution(["none", "balanced"]),
            "fit_intercept": CategoricalDistribution([True, False]),
        },
    ),
}

KNOWN = {
    "digits-linear": 0.23892493482974272,
    "wine-perceptron": 0.027451858617737357,
    "cancer-boosting": 0.07985914301078653,
    "diabetes-trees": 3015.5412875541806,
    "cancer-logistic": 0.07100804993400694,
}
"""The lowest value known of each task: of 1,450 trials of five samplers. It tells what is near the
optimum; a report lowers it to what its own runs have met, where that is lower."""


@dataclass(frozen=True)
class Task:
    """One tuning task.

    Args:
        name: Name, unique in its suite.
    """

    name: str

    suite = "sklearn"
    n_objectives = 1

    @property
    def source(self) -> str:
        """Package and version that define it."""
        return f"scikit-learn {version('scikit-learn')}"

    @property
    def dimension(self) -> int:
        """Number of parameters."""
        return len(self.space)

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """Parameters and their ranges."""
        return RECIPES[self.name].space

    @property
    def optimum(self) -> float:
        """The lowest value known; a run may yet find a lower one."""
        return KNOWN[self.name]

    def start(self, seed: int) -> Evaluate:
        """Begin a run; there is no noise."""
        del seed
        recipe, optimum = RECIPES[self.name], self.optimum
        X, y = _load(self.name)

        def evaluate(params: Mapping[str, Any]) -> Outcome:
            value = loss(recipe.build(params), X, y, recipe.scoring)
            return Outcome(value, value - optimum)

        return evaluate


def problems(dimensions: Sequence[int], instances: Sequence[int]) -> list[Problem]:
    """List all tasks."""
    del dimensions, instances
    return [Task(name) for name in RECIPES]


def loss(model: Any, X: Any, y: Any, scoring: str) -> float:
    """Return the mean negative score of a model over folds that are always the same.

    Args:
        model: What scikit-learn can fit.
        X: Data, (n, d).
        y: Targets, (n,).
        scoring: What scikit-learn calls the score.
    """
    split = KFold if scoring == "neg_mean_squared_error" else StratifiedKFold
    folds = split(N_FOLDS, shuffle=True, random_state=0)
    # One thread, so that sums are added in one order.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # fits that do not converge are part of the task
        return -float(np.mean(cross_val_score(model, X, y, scoring=scoring, cv=folds)))


@lru_cache
def _load(name: str) -> tuple[Any, Any]:
    return RECIPES[name].load()
