"""Search spaces whose parameters are not in every trial, or not always with one range.

In a study that is defined by run nobody says which parameters there are, nor when: both are
learned from the trials.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
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


_MANY = 513
"""How many values stand for a range that is not that of the space."""


_DECLINED = 3
"""A parameter is given up that so many trials were proposed and did without, since one had it: the
objective may have been changed."""


class Union:
    """The parameters of some finished trials."""

    def __init__(self) -> None:
        self._merged: dict[str, BaseDistribution | None] = {}
        self._varying: set[str] = set()
        self._completed: dict[str, int] = {}
        self._n_completed = 0
        self._broken_off: set[frozenset[str]] = set()
        self._last: dict[str, int] = {}
        self._declined: dict[str, list[int]] = {}

    def add(self, trial: FrozenTrial, proposed: AbstractSet[str] = frozenset()) -> None:
        """Add a finished trial.

        Args:
            trial: The trial.
            proposed: Parameters that it was proposed.
        """
        is_complete = trial.state == TrialState.COMPLETE
        self._n_completed += is_complete
        if not is_complete:
            self._broken_off.add(frozenset(trial.distributions))
        for name, kind in trial.distributions.items():
            known = self._merged.setdefault(name, kind)
            if known != kind:
                self._varying.add(name)
                self._merged[name] = None if known is None else merge(known, kind)
            self._completed[name] = self._completed.get(name, 0) + is_complete
            self._last[name] = max(self._last.get(name, -1), trial.number)
        # A trial that asks for something else instead is only of another branch than was thought.
        if is_complete and trial.distributions.keys() <= proposed:
            for name in proposed - trial.distributions.keys():
                self._declined.setdefault(name, []).append(trial.number)

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The parameters in the order of their names, each with the union of its ranges.

        Parameters that differ in more than their range are left out.
        """
        return {name: kind for name, kind in sorted(self._merged.items()) if kind is not None}

    def search_space(self, common: Mapping[str, BaseDistribution]) -> dict[str, BaseDistribution]:
        """Return the parameters whose range is the same in all trials, if any was completed.

        What range the others will have is not known before they are asked for. Those that are
        declined whenever they are proposed are left out until a trial has them again.

        Args:
            common: What every completed trial has, with the same range. If there are no others,
                this is what is returned.
        """
        left_out = self._varying | self._given_up()
        steady = {n: kind for n, kind in self.distributions.items() if n not in left_out}
        if self._n_completed == 0 or steady.keys() <= common.keys():
            return dict(common)
        return steady

    def _given_up(self) -> set[str]:
        return {
            name
            for name, numbers in self._declined.items()
            if sum(number > self._last.get(name, -1) for number in numbers) >= _DECLINED
        }

    def optional(self, names: Iterable[str]) -> AbstractSet[str]:
        """Return those of some parameters that trials did without.

        A trial that was not completed did without those that it lacks if it has another that not
        all completed ones have; else it may just have ended before it asked for them.
        """
        lacking = {n for n, k in self._completed.items() if k < self._n_completed}
        for had in [had for had in self._broken_off if not had.isdisjoint(lacking)]:
            lacking |= self._completed.keys() - had
        return lacking.intersection(names)


def merge(a: BaseDistribution, b: BaseDistribution) -> BaseDistribution | None:
    """Return the smallest range that has the values of two, or nothing if they do not fit."""
    if a == b:
        return a
    if isinstance(a, IntDistribution) and isinstance(b, IntDistribution) and a.log == b.log:
        gcd = math.gcd(a.step, b.step, a.low - b.low)
        return IntDistribution(min(a.low, b.low), max(a.high, b.high), log=a.log, step=gcd)
    if isinstance(a, FloatDistribution) and isinstance(b, FloatDistribution) and a.log == b.log:
        step = a.step if a.step == b.step else None
        # Halves keep the distance of the widest ranges finite.
        if step is not None and abs(math.remainder(a.low / 2 - b.low / 2, step / 2)) > 1e-8 * step:
            step = None
        return FloatDistribution(min(a.low, b.low), max(a.high, b.high), log=a.log, step=step)
    return None


def values(distribution: BaseDistribution) -> list[Any]:
    """List the values of a parameter; of many, evenly spread ones."""
    space = Space({"p": distribution})
    grid = space.cube.grids[0]
    points = np.linspace(0.0, 1.0, _MANY) if grid is None else grid
    return [space.decode(point)["p"] for point in points[:, None]]


def restricted_cube(space: Space, allowed: Mapping[str, Sequence[Any]]) -> Cube:
    """Build the cube of a space of whose parameters some may have a few values only.

    Args:
        space: The space.
        allowed: Values that parameters may have, where these are not all of their range.
    """
    if not allowed:
        return space.cube
    grids = list(space.cube.grids)
    for j, (name, kind) in enumerate(space.distributions.items()):
        alone = Space({name: kind})
        legal = [{name: v} for v in allowed.get(name, ()) if alone.contains({name: v})]
        if legal:
            grids[j] = np.unique(alone.encode(legal))
    return replace(space.cube, grids=tuple(grids))


def conditional_cube(
    space: Space,
    X: Array,
    is_complete: BoolArray,
    allowed: Mapping[str, Sequence[Any]],
    present: Collection[str],
) -> Cube:
    """Build the cube of a space whose points have the coordinates that the seen ones teach.

    Args:
        space: The space.
        X: Points seen, NaN where a parameter is missing, (n, d).
        is_complete: Which of them are of completed trials, (n,).
        allowed: Values that parameters may have, where these are not all of their range.
        present: Names of parameters that there are in any case.
    """
    cube = restricted_cube(space, allowed)
    if not np.isnan(X).any():
        return cube
    weights = np.where(is_complete, 1.0, _BROKEN_OFF)
    is_discrete = np.array([grid is not None for grid in space.cube.grids])
    forced = np.array([name in present for name in space.distributions])
    activity = learn(X, weights, cube.is_categorical, is_discrete)
    return replace(cube, activity=replace(activity, forced=forced))
