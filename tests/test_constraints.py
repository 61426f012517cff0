"""Constraints that trials set."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import math
import random
from typing import Any
import warnings

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
import pytest

from optuna_gamma import GammaBOSampler
from optuna_gamma.bo.acquisition import Acquisition


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


XY: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}


def disc(x: float, y: float) -> dict[str, float]:
    """Feasible in a small part of a disc, where the lowest value is 0.36, at (0.3, 0.6)."""
    return {"disc": (x - 0.25) ** 2 + (y - 0.7) ** 2 - 0.02, "wall": 30 * (x - 0.3)}


def value(x: float, y: float) -> float:
    return (x - 0.9) ** 2 + (y - 0.6) ** 2


def is_feasible(params: Mapping[str, float]) -> bool:
    return max(disc(**params).values()) <= 0


def constrained(trial: optuna.Trial) -> float:
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    for key, constraint in disc(x, y).items():
        trial.set_constraint(key, constraint)
    return value(x, y)


def best(study: optuna.Study) -> float:
    return min((value(**t.params) for t in study.trials if is_feasible(t.params)), default=9.0)


@pytest.mark.parametrize("acquisition", ["gamma", "gaussian", "conjugate"])
def test_the_best_feasible_point_is_found(acquisition: Acquisition) -> None:
    for seed in range(2):
        study = optuna.create_study(
            study_name="s", sampler=GammaBOSampler(seed=seed, acquisition=acquisition)
        )
        study.optimize(constrained, n_trials=30)
        assert best(study) < 0.375
        assert sum(is_feasible(t.params) for t in study.trials[10:]) >= 6


def history(
    rows: Sequence[tuple[dict[str, float], dict[str, float]]],
    score: Callable[..., Any] = value,
    n_objectives: int = 1,
    **arguments: Any,
) -> optuna.Study:
    study = optuna.create_study(
        study_name="s",
        directions=["minimize"] * n_objectives,
        sampler=GammaBOSampler(seed=0, **arguments),
    )
    for params, constraints in rows:
        values = score(**params)
        study.add_trial(
            optuna.create_trial(
                params=params,
                distributions=XY,
                values=[values] if n_objectives == 1 else values,
                constraints=constraints,
            )
        )
    return study


def grid(n: int = 12) -> list[tuple[dict[str, float], dict[str, float]]]:
    rng = np.random.default_rng(0)
    points = [dict(zip("xy", row, strict=True)) for row in rng.random((n, 2)).tolist()]
    return [(params, disc(**params)) for params in points]


def test_they_are_told_apart_by_their_keys_in_any_order() -> None:
    shuffled = []
    for params, constraints in grid():
        items = list(constraints.items())
        random.Random(repr(params)).shuffle(items)
        shuffled.append((params, dict(items)))
    assert [list(c) for _, c in shuffled] != [list(c) for _, c in grid()]
    plain, mixed = (history(rows).ask(XY).params for rows in (grid(), shuffled))
    assert plain == mixed


@pytest.mark.parametrize("lacking", ["none", "some", "infinite"])
def test_what_trials_lack_is_no_harm(lacking: str) -> None:
    rows = []
    for i, (params, constraints) in enumerate(grid(20)):
        if i % 3 == 0:
            constraints = {
                "none": {},
                "some": {"wall": constraints["wall"]},
                "infinite": {k: math.copysign(math.inf, v) for k, v in constraints.items()},
            }[lacking]
        rows.append((params, constraints))
    study = history(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(10):
            trial = study.ask(XY)
            for key, constraint in disc(**trial.params).items():
                trial.set_constraint(key, constraint)
            study.tell(trial, value(**trial.params))
    assert best(study) < 0.42


def test_it_starts_from_where_nothing_is_feasible() -> None:
    rows = [row for row in grid(40) if not is_feasible(row[0])][:8]
    study = history(rows)
    study.optimize(constrained, n_trials=12)
    assert best(study) < 0.45


def test_violation_falls_where_nothing_can_be_feasible() -> None:
    def objective(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        trial.set_constraint("c", 1.0 + (x - 0.7) ** 2 + (y - 0.2) ** 2)
        return x

    study = optuna.create_study(study_name="s", sampler=GammaBOSampler(seed=0))
    study.optimize(objective, n_trials=20)
    assert min(t.constraints["c"] for t in study.trials) < 1.02


def test_pending_trials_are_respected() -> None:
    study = history(grid(20))
    asked = [study.ask(XY).params for _ in range(5)]
    X = np.array([list(params.values()) for params in asked])
    gaps = np.abs(X[:, None] - X).max(axis=2)[~np.eye(5, dtype=bool)]
    assert gaps.min() > 1e-4


def test_with_several_objectives() -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        trial.set_constraint("low", 0.6 - y)  # cuts the front from (0.2, 0.5) to (0.8, 0.5)
        return (x - 0.2) ** 2 + (y - 0.5) ** 2, (x - 0.8) ** 2 + (y - 0.5) ** 2

    study = optuna.create_study(
        study_name="s", directions=["minimize"] * 2, sampler=GammaBOSampler(seed=0)
    )
    study.optimize(objective, n_trials=25)
    late = [t.params["y"] for t in study.trials[10:]]
    assert np.median(np.abs(np.array(late) - 0.6)) < 0.03
    assert len(study.best_trials) >= 8
    assert all(t.params["y"] >= 0.6 for t in study.best_trials)


def test_constraints_of_a_failed_trial_teach() -> None:
    def objective(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        trial.set_constraint("c", x - 0.4)
        return math.nan if x > 0.4 else (y - 0.3) ** 2 - x

    study = optuna.create_study(study_name="s", sampler=GammaBOSampler(seed=0))
    study.optimize(objective, n_trials=20)
    assert study.best_value < -0.37


def test_a_constraint_may_be_on_or_off() -> None:
    def objective(trial: optuna.Trial) -> float:
        kind = trial.suggest_categorical("kind", ["a", "b", "c"])
        x = trial.suggest_float("x", 0, 1)
        trial.set_constraint("on", 1.0 if kind == "a" or x > 0.7 else -1.0)
        return {"a": -5.0, "b": 1.0, "c": 0.0}[kind] - x

    study = optuna.create_study(study_name="s", sampler=GammaBOSampler(seed=0))
    study.optimize(objective, n_trials=30)
    feasible = [t.value for t in study.trials if t.constraints["on"] <= 0 and t.value is not None]
    assert min(feasible) < -0.6


any_constraints = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), st.floats(allow_nan=False), max_size=3
)


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.booleans(), st.floats(allow_nan=False), any_constraints),
        min_size=1,
        max_size=10,
    ),
    st.booleans(),
)
@settings(deadline=None, max_examples=30)
def test_any_constraints_are_survived(
    rows: list[tuple[float, bool, float, dict[str, float]]], several: bool
) -> None:
    space: dict[str, BaseDistribution] = {
        "x": FloatDistribution(0, 1),
        "c": CategoricalDistribution([True, False]),
    }
    study = optuna.create_study(
        directions=["minimize", "maximize"][: 1 + several],
        sampler=GammaBOSampler(seed=0, n_startup_trials=0),
    )
    for x, c, score, constraints in rows:
        study.add_trial(
            optuna.create_trial(
                params={"x": x, "c": c},
                distributions=space,
                values=[score, x][: 1 + several],
                constraints=constraints,
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trial = study.ask(fixed_distributions=space)
    for name, distribution in space.items():
        assert distribution._contains(distribution.to_internal_repr(trial.params[name]))


def test_not_a_number_is_as_none() -> None:
    """Optuna refuses it, but databases may hold it."""
    asked = []
    for constraints in ({"disc": math.nan, "wall": 0.5}, {"wall": 0.5}):
        attrs = {f"constraints:{key}": value for key, value in constraints.items()}
        study = history(grid())
        study.add_trial(
            optuna.create_trial(
                params={"x": 0.4, "y": 0.4}, distributions=XY, value=0.3, system_attrs=attrs
            )
        )
        asked.append(study.ask(XY).params)
    assert asked[0] == asked[1]
