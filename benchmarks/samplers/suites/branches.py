"""Random functions whose parameters depend on each other, at no cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
import math
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.trial import BaseTrial
from optuna.trial import FixedTrial

from benchmarks.samplers.problem import DefineByRun
from benchmarks.samplers.problem import Evaluate
from benchmarks.samplers.problem import Outcome


@lru_cache
def met(problem: DefineByRun, n: int = 300) -> dict[str, BaseDistribution]:
    """List the parameters that random trials meet, and their ranges.

    Args:
        problem: What the trials ask.
        n: Number of trials.
    """
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    found: dict[str, BaseDistribution] = {}
    for _ in range(n):
        trial = study.ask()
        problem.suggest(trial)
        found |= trial.distributions
    return found


@dataclass(frozen=True)
class _Term:
    """One parameter's share: a valley, some with ripples.

    Args:
        kind: ``"float"``, ``"int"`` or ``"choice"``.
        best: Where it is lowest, in [0, 1].
        weight: Depth of the valley.
        ripple: Height of the ripples.
    """

    kind: str
    best: float
    weight: float
    ripple: float

    @property
    def best_value(self) -> float | int | str:
        """The value of the parameter where the valley is lowest."""
        if self.kind == "choice":
            return "abc"[int(3 * self.best)]
        return round(20 * self.best) if self.kind == "int" else self.best

    def suggest(self, trial: BaseTrial, name: str) -> float:
        """Ask for the parameter; returns what it adds to the value."""
        if self.kind == "choice":
            chosen = trial.suggest_categorical(name, ["a", "b", "c"])
            return 0.0 if chosen == self.best_value else 0.3 * self.weight
        if self.kind == "int":
            away = (trial.suggest_int(name, 0, 20) - round(20 * self.best)) / 20
        else:
            away = trial.suggest_float(name, 0, 1) - self.best
        ripple = self.ripple * (1 - math.cos(6 * math.pi * away))
        return self.weight * away**2 + ripple


@dataclass(frozen=True)
class Branches:
    """A function with two to four branches, each with parameters of its own, beside shared ones.

    Args:
        instance: Number of the function.
    """

    instance: int

    suite = "conditional-other"
    source = "1"
    optimum = 0.0

    n_objectives = 1

    @property
    def name(self) -> str:
        """Name, unique in its suite."""
        return f"branches-{self.instance:03d}"

    @property
    def dimension(self) -> int:
        """Number of parameters, of which no trial has all."""
        return len(self.space)

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """Parameters that trials may have, and their ranges."""
        return met(self)

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Ask a trial for the parameters that it has."""
        self._value(trial)
        return trial.params

    def start(self, seed: int) -> Evaluate:
        """Begin a run; there is no noise."""
        del seed

        def evaluate(params: Mapping[str, Any]) -> Outcome:
            value = self._value(FixedTrial(dict(params)))
            return Outcome(value, value)

        return evaluate

    def _value(self, trial: BaseTrial) -> float:
        levels, shared, own, depths = _draw(self.instance)
        branch = trial.suggest_categorical("branch", [f"b{k}" for k in range(len(levels))])
        k = int(branch[1:])
        value = levels[k] + sum(term.suggest(trial, f"s{j}") for j, term in enumerate(shared))
        n = len(own[k])
        if depths[k]:
            n = trial.suggest_int(f"b{k}_depth", 1, n)
            value += 0.2 * abs(n - depths[k])
        return value + sum(term.suggest(trial, f"b{k}_{j}") for j, term in enumerate(own[k][:n]))


@lru_cache
def _draw(
    instance: int,
) -> tuple[list[float], list[_Term], list[list[_Term]], list[int]]:
    """Draw levels, shared terms, own terms, and the best depth where depth is a parameter."""
    rng = np.random.default_rng(instance)

    def term() -> _Term:
        kind = str(rng.choice(["float", "float", "int", "choice"]))
        ripple = 0.1 if rng.random() < 0.3 else 0.0
        return _Term(kind, float(rng.random()), float(10 ** rng.uniform(-0.5, 0.7)), ripple)

    n = int(rng.integers(2, 5))
    levels = rng.exponential(0.3, size=n)
    levels -= levels.min()
    shared = [term() for _ in range(rng.integers(0, 3))]
    own = [[term() for _ in range(rng.integers(1, 5))] for _ in range(n)]
    depths = [int(rng.integers(1, len(t) + 1)) if rng.random() < 0.3 else 0 for t in own]
    return levels.tolist(), shared, own, depths
