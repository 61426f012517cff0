"""Search spaces whose parameters are not in every trial, or not always with one range.

In a study that is defined by run nobody says which parameters there are, nor when: both are
learned from the trials.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
import math
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_gamma.bo.activity import learn
from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray
from optuna_gamma.space import Space


_BROKEN_OFF = 1e-3
"""What a trial that was not completed counts when it comes to which parameters there are: it may
have ended before it asked for all of them."""


class Union:
    """The parameters of a study's finished trials; each trial is looked at once."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._merged: dict[str, BaseDistribution | None] = {}
        self._completed: dict[str, int] = {}
        self._n_completed = 0
        self._broken_off: set[frozenset[str]] = set()

    def search_space(
        self, trials: Iterable[FrozenTrial], common: Mapping[str, BaseDistribution]
    ) -> dict[str, BaseDistribution]:
        """Return the parameters that any finished trial has, if any was completed.

        Args:
            trials: Trials of the study; those seen before may be among them.
            common: What every completed one has, with the same range. If there are no others,
                this is what is returned.

        Returns:
            Parameters in the order of their names, each with the union of its ranges. Parameters
            that differ in more than their range are left out.
        """
        self._look(trials)
        merged = {name: kind for name, kind in self._merged.items() if kind is not None}
        if self._n_completed == 0 or merged.keys() <= common.keys():
            return dict(common)
        return dict(sorted(merged.items()))

    def optional(self, trials: Iterable[FrozenTrial], names: Iterable[str]) -> AbstractSet[str]:
        """Return those of some parameters that trials did without.

        A trial that was not completed did without those that it lacks if it has another that not
        all completed ones have; else it may just have ended before it asked for them.
        """
        self._look(trials)
        lacking = {n for n, k in self._completed.items() if k < self._n_completed}
        for had in [had for had in self._broken_off if not had.isdisjoint(lacking)]:
            lacking |= self._completed.keys() - had
        return lacking.intersection(names)

    def _look(self, trials: Iterable[FrozenTrial]) -> None:
        for trial in trials:
            if trial.number in self._seen or not trial.state.is_finished():
                continue
            self._seen.add(trial.number)
            is_complete = trial.state == TrialState.COMPLETE
            self._n_completed += is_complete
            if not is_complete:
                self._broken_off.add(frozenset(trial.distributions))
            for name, kind in trial.distributions.items():
                known = self._merged.get(name, kind)
                self._merged[name] = None if known is None else merge(known, kind)
                self._completed[name] = self._completed.get(name, 0) + is_complete


def merge(a: BaseDistribution, b: BaseDistribution) -> BaseDistribution | None:
    """Return the smallest range that has the values of two, or nothing if they do not fit."""
    if a == b:
        return a
    if isinstance(a, IntDistribution) and isinstance(b, IntDistribution) and a.log == b.log:
        step = math.gcd(a.step, b.step, a.low - b.low)
        return IntDistribution(min(a.low, b.low), max(a.high, b.high), log=a.log, step=step)
    if isinstance(a, FloatDistribution) and isinstance(b, FloatDistribution) and a.log == b.log:
        low, high = min(a.low, b.low), max(a.high, b.high)
        step = a.step if a.step == b.step else None
        if step is not None and not math.isclose(
            (a.low - b.low) / step, round((a.low - b.low) / step), abs_tol=1e-8
        ):
            step = None
        return FloatDistribution(low, high, log=a.log, step=step)
    return None


def conditional_cube(
    space: Space, X: Array, is_complete: BoolArray, fixed: Mapping[str, Any], asked: str = ""
) -> Cube:
    """Build the cube of a space whose points have the coordinates that the seen ones teach.

    Args:
        space: The space.
        X: Points seen, NaN where a parameter is missing, (n, d).
        is_complete: Which of them are of completed trials, (n,).
        fixed: Values of parameters that are given. These there are in any case.
        asked: A parameter that there is in any case, too.
    """
    cube, names = space.cube, list(space.distributions)
    if fixed:
        grids = [
            Space({name: space.distributions[name]}).encode([fixed])[0] if name in fixed else grid
            for name, grid in zip(names, cube.grids, strict=True)
        ]
        cube = replace(cube, grids=tuple(grids))
    if not np.isnan(X).any():
        return cube
    weights = np.where(is_complete, 1.0, _BROKEN_OFF)
    is_discrete = np.array([grid is not None for grid in space.cube.grids])
    forced = np.array([name in fixed or name == asked for name in names])
    activity = learn(X, weights, cube.is_categorical, is_discrete)
    return replace(cube, activity=replace(activity, forced=forced))
