from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from optuna_gamma.bo import outliers
from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.fit import default_model
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.outliers import fit_trusted
from optuna_gamma.bo.outliers import improbability
from optuna_gamma.bo.process import condition
from optuna_gamma.bo.process import GammaPrior
from optuna_gamma.bo.process import Process
from optuna_gamma.bo.transform import standardize


CUBE = Cube(grids=(None, None), is_categorical=np.zeros(2, dtype=bool))
NUMERICAL = CUBE.is_categorical


def data(n: int = 24) -> tuple[Array, Array]:
    X = np.random.default_rng(0).random((n, 2))
    return X, -((X - 0.4) ** 2).sum(axis=1)


@pytest.mark.parametrize("mean_is_unknown", [True, False])
def test_improbability_is_that_of_leaving_each_out(mean_is_unknown: bool) -> None:
    X, y = data(9)
    y[3] += 0.5
    theta = np.array([math.log(0.5), math.log(0.9), 0.0, math.log(0.01)])
    extra = np.where(np.arange(9) == 5, 2.0, 0.0)
    prior = GammaPrior()
    found = improbability(condition(X, y, NUMERICAL, theta, prior, mean_is_unknown, extra))
    for i in range(9):
        rest = np.arange(9) != i
        process = condition(
            X[rest], y[rest], NUMERICAL, theta, prior, mean_is_unknown, extra[rest]
        )
        posterior = process.posterior(X[i : i + 1])
        scale = math.hypot(posterior.scale[0], math.sqrt(process.variance * (0.01 + extra[i])))
        t = abs(y[i] - posterior.location[0]) / scale
        assert found[i] == pytest.approx(18 * stats.t.sf(t, process.df), rel=1e-4)


def trust(X: Array, values: Array, suspect: bool = True) -> list[int]:
    n = len(values)
    _, trusted = fit_trusted(
        X,
        lambda chosen: standardize(values[chosen]),
        NUMERICAL,
        default_model(CUBE, GammaPrior()),
        extra=np.zeros(n),
        is_suspect=np.full(n, suspect),
    )
    return np.flatnonzero(~trusted).tolist()


@pytest.mark.parametrize("wrong", [{4: 3.0}, {4: -3.0}, {4: 3.0, 11: -2.0, 17: 1.0}])
def test_wrong_values_are_left_out(wrong: dict[int, float]) -> None:
    X, values = data()
    for i, error in wrong.items():
        values[i] += error
    assert trust(X, values) == sorted(wrong)
    assert trust(X, values, suspect=False) == []


@pytest.mark.parametrize("seed", [12, 29])
def test_wrong_values_that_explain_each_other_are_left_out_together(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    X = rng.random((40, 2))
    values = -((X - 0.4) ** 2).sum(axis=1)
    wrong = np.sort(rng.choice(40, 6, replace=False))
    errors = 0.3 * rng.standard_cauchy(6)
    values[wrong] += errors
    found = wrong[np.abs(errors) > 0.15].tolist()
    assert trust(X, values) == found
    monkeypatch.setattr(outliers, "masked", lambda process, *_: np.zeros(len(process.y), bool))
    assert set(trust(X, values)) < set(found)


def test_many_values_are_judged_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outliers, "MAX_FITTED", 40)
    sizes = []

    def fit(X: Array, *args: Any, **kwargs: Any) -> Process:
        sizes.append(len(X))
        return whole_fit(X, *args, **kwargs)

    whole_fit = outliers.fit
    monkeypatch.setattr(outliers, "fit", fit)
    X, values = data(100)
    wrong = [7, 8, 30, 55, 99]
    values[wrong] += [2.0, -2.0, -1.0, -1.0, -3.0]
    assert trust(X, values) == wrong
    assert sizes[-1] == 95
    assert max(sizes[:-1]) == 34


def test_rough_functions_are_believed() -> None:
    for seed in range(5):
        X = np.random.default_rng(seed).random((40, 2))
        values = -((X - 0.4) ** 2).sum(axis=1) - 0.2 * np.cos(20 * X).sum(axis=1)
        assert trust(X, values) == []


def test_right_values_are_believed() -> None:
    X, values = data()
    assert trust(X, values) == []
    noisy = values + 0.05 * np.random.default_rng(1).standard_normal(len(values))
    assert trust(X, noisy) == []
    assert trust(X, np.zeros(len(values))) == []
    assert trust(X[:3], values[:3]) == []


@pytest.mark.parametrize("n", [6, 10, 20])
@pytest.mark.parametrize("spread", [0.0, 0.001])
def test_one_good_value_among_bad_ones_is_believed(n: int, spread: float) -> None:
    rng = np.random.default_rng(0)
    X = rng.random((n, 2))
    values = 0.1 + spread * rng.standard_normal(n)
    values[2] = 0.9
    assert trust(X, values) == []


def test_a_good_value_is_left_out_once_its_neighbours_contradict() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((10, 2))
    X = np.concatenate([X, X[2] + [[0.05, 0.0], [-0.05, 0.0], [0.0, 0.05], [0.0, -0.05]]])
    values = 0.1 + 0.001 * rng.standard_normal(len(X))
    values[2] = 0.9
    assert trust(X[:10], values[:10]) == []
    assert trust(X, values) == [2]


def test_a_value_is_kept_where_the_prior_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Array:
        raise np.linalg.LinAlgError("no Cholesky factor")

    X, values = data()
    values[4] += 3.0
    monkeypatch.setattr(outliers, "precisions", fail)
    assert trust(X, values) == []
