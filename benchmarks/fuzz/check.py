"""Run a random study, and say what went wrong."""

from __future__ import annotations

import math
from typing import Any
import warnings

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.samplers import PartialFixedSampler
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from benchmarks.fuzz.studies import RandomStudy
from optuna_gamma import GammaBOSampler


OTHER_STATES = (TrialState.FAIL, TrialState.PRUNED, TrialState.RUNNING, TrialState.WAITING)

MAX_ATTR_LENGTH = 2045


def check(case: RandomStudy) -> optuna.Study:
    """Run a study as it is described.

    Args:
        case: The description.

    Returns:
        The study; its last trials are those that were asked for.

    Raises:
        AssertionError: If a parameter is not what its distribution allows.
        Exception: Whatever the sampler raises, and warnings, those of Optuna excepted.
    """
    rng = np.random.default_rng(case.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module=r"optuna\.")
        warnings.simplefilter("ignore", ExperimentalWarning)
        source = _history(case, case.n_source, rng)
        plain = GammaBOSampler(source_trials=source, **case.sampler)
        sampler = _wrapped(plain, case, rng)
        study = optuna.create_study(directions=case.directions, sampler=sampler)
        study.add_trials(_history(case, case.n_trials, rng))
        for _ in range(case.n_asked):
            _ask(study, case, rng)
    return study


def _wrapped(sampler: BaseSampler, case: RandomStudy, rng: np.random.Generator) -> BaseSampler:
    if not case.is_partially_fixed:
        return sampler
    parameter = case.parameters[0]
    return PartialFixedSampler({parameter.name: _draw(parameter.distributions[0], rng)}, sampler)


def _ask(study: optuna.Study, case: RandomStudy, rng: np.random.Generator) -> None:
    trial = study.ask()
    enqueued = study._storage.get_trial_system_attrs(trial._trial_id).get("fixed_params", {})
    values: list[Any] = []
    for parameter in case.parameters:
        if not _has(parameter.parent, values):
            values.append(None)
            continue
        distribution = _any(parameter.distributions, rng)
        value = trial._suggest(parameter.name, distribution)
        # Optuna takes enqueued and fixed values out of range, too.
        is_fixed = case.is_partially_fixed and parameter is case.parameters[0]
        if parameter.name not in enqueued and not is_fixed:
            assert is_legal(value, distribution), f"{value!r} is not in {distribution}."
        values.append(value)
    for name, attr in study._storage.get_trial_system_attrs(trial._trial_id).items():
        assert len(str(attr)) <= MAX_ATTR_LENGTH, f"{name} is too long."
    for key, value in _constraints(case, rng).items():
        trial.set_constraint(key, value)
    outcome = rng.random()
    if outcome < 0.6:
        study.tell(trial, _values(case, rng))
    elif outcome < 0.8:
        study.tell(trial, state=TrialState.FAIL)


def is_legal(value: Any, distribution: BaseDistribution) -> bool:
    """Tell whether a value is one of a distribution's, of Python's own type."""
    if isinstance(distribution, CategoricalDistribution):
        return any(value is choice for choice in distribution.choices)
    if isinstance(distribution, IntDistribution):
        return (
            type(value) is int
            and distribution.low <= value <= distribution.high
            and (value - distribution.low) % distribution.step == 0
        )
    assert isinstance(distribution, FloatDistribution)
    if type(value) is not float or not distribution.low <= value <= distribution.high:
        return False
    steps = 0.0 if distribution.step is None else (value - distribution.low) / distribution.step
    return abs(steps - round(steps)) < 1e-8


def _has(parent: int, values: list[Any]) -> bool:
    """Tell whether a trial has a parameter, by the value of another that it depends on."""
    if parent < 0:
        return True
    value = values[parent]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value > 0
    return value not in (None, False, "a")


def _history(case: RandomStudy, n: int, rng: np.random.Generator) -> list[FrozenTrial]:
    trials: list[FrozenTrial] = []
    for _ in range(n):
        is_other = rng.random() < case.share_other
        state = _any(OTHER_STATES, rng) if is_other else TrialState.COMPLETE
        params, distributions = _point(case, rng)
        if trials and rng.random() < case.share_repeated:
            known = _any(trials, rng)
            params, distributions = known.params, known.distributions
        enqueued = {}
        if state == TrialState.WAITING:
            enqueued, params, distributions = {"fixed_params": params}, {}, {}
        elif state == TrialState.RUNNING:
            names = list(params)[: int(rng.integers(len(params) + 1))]
            params = {name: params[name] for name in names}
            distributions = {name: distributions[name] for name in names}
        reported = {}
        # Optuna lets no trial with several objectives report.
        if len(case.directions) == 1 and (state == TrialState.PRUNED or rng.random() < 0.2):
            reported = {s: _value(case.values, rng) for s in range(int(rng.integers(4)))}
            if rng.random() < 0.1:
                reported[9] = math.nan
        trials.append(
            optuna.create_trial(
                state=state,
                values=_values(case, rng) if state == TrialState.COMPLETE else None,
                params=params,
                distributions=distributions,
                intermediate_values=reported,
                constraints=_constraints(case, rng) if state != TrialState.WAITING else None,
                system_attrs=enqueued,
            )
        )
    return trials


def _point(
    case: RandomStudy, rng: np.random.Generator
) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    params: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}
    values: list[Any] = []
    for parameter in case.parameters:
        if not _has(parameter.parent, values):
            values.append(None)
            continue
        distribution = _any(parameter.distributions, rng)
        value = _draw(distribution, rng)
        values.append(value)
        params[parameter.name], distributions[parameter.name] = value, distribution
    return params, distributions


def _draw(distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return _any(distribution.choices, rng)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high, u = distribution.low, distribution.high, float(rng.random())
    if rng.random() < 0.2:
        u = float(u > 0.5)
    if isinstance(distribution, IntDistribution):
        n = (high - low) // distribution.step
        return low + min(round(u * n), n) * distribution.step
    if distribution.step is not None:
        return min(low + round(u * (high - low) / distribution.step) * distribution.step, high)
    if distribution.log:
        value = math.exp(math.log(low) * (1.0 - u) + math.log(high) * u)
    else:
        value = low * (1.0 - u) + high * u
    return min(max(value, low), high)


def _values(case: RandomStudy, rng: np.random.Generator) -> list[float]:
    return [_value(case.values, rng) for _ in case.directions]


def _constraints(case: RandomStudy, rng: np.random.Generator) -> dict[str, float]:
    """Draw what a trial says of its constraints, in any order and not of all of them."""
    numbers = rng.permutation(case.n_constraints)
    return {f"c{k}": _value(case.values, rng) for k in numbers if rng.random() < 0.8}


def _value(kind: str, rng: np.random.Generator) -> float:
    """Draw a value of a kind."""
    if kind == "any":
        kind = _any(("normal", "constant", "huge", "tiny", "spread", "infinite", "tied"), rng)
    normal = float(rng.standard_normal())
    if kind == "constant":
        return 7.0
    if kind == "huge":
        return normal * 1e300
    if kind == "tiny":
        return normal * 1e-300
    if kind == "spread":
        return math.copysign(10.0 ** float(rng.uniform(-300, 300)), normal)
    if kind == "infinite":
        return (math.inf, -math.inf, normal)[int(rng.integers(3))]
    if kind == "tied":
        return float(round(normal))
    return normal


def _any(choices: Any, rng: np.random.Generator) -> Any:
    return choices[int(rng.integers(len(choices)))]
