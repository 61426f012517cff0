"""Proposals that several workers make at the same moment.

What another worker proposes can be seen once it is written, and so only after one's own. Who then
sees another at the same point goes elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray
from optuna_gamma.history import Observations
from optuna_gamma.pending import params_in
from optuna_gamma.pending import share
from optuna_gamma.space import Space


CLOSE = 1e-3
"""Points that differ by no more in any coordinate of the cube are one."""

_SAME = 1e-9
"""Points seen twice differ by no more: encoded with others, the last digit may be another."""

_MOST_MOVES = 3


def settle(
    study: Study,
    trial: FrozenTrial,
    space: Space,
    seen: Observations,
    propose: Callable[[Observations], Array],
) -> Array:
    """Propose a point that no other worker proposes at the same moment, and share it.

    Of several workers at one point each that sees the others moves; not all may. So that those who
    do part, each passes over as many points as there are trials of lower numbers among them.

    Args:
        study: The study.
        trial: The trial that is being sampled.
        space: Its space.
        seen: What the study has seen.
        propose: From what was seen to the next point, (d,).

    Returns:
        The point, (d,). After :data:`_MOST_MOVES` moves others are put up with.
    """
    x = propose(seen)
    for _ in range(_MOST_MOVES):
        share(study, trial, space, space.decode(x))
        numbers, points = _others(study, trial, space)
        is_new = np.array([not _near(seen.pending, p, _SAME).any() for p in points], dtype=bool)
        is_rival = _near(points, x, CLOSE) & is_new
        if not is_rival.any():
            return x
        seen = _pend(seen, points[is_new])
        guess = seen
        for _ in range(1 + np.count_nonzero(numbers[is_rival] < trial.number)):
            x = propose(guess)
            guess = _pend(guess, x[None])
    share(study, trial, space, space.decode(x))
    return x


def _others(study: Study, trial: FrozenTrial, space: Space) -> tuple[Array, Array]:
    """Return numbers and points of all other running trials, (k,) and (k, d)."""
    states = (TrialState.RUNNING,)
    running = study._get_trials(deepcopy=False, states=states, use_cache=False)
    known = {t.number: params_in(t, space) for t in running if t.number != trial.number}
    points = {number: params for number, params in known.items() if params is not None}
    return np.array(list(points), dtype=np.float64), space.encode(list(points.values()))


def _near(points: Array, x: Array, tolerance: float) -> BoolArray:
    near: BoolArray = np.logical_and.reduce(np.abs(points - x) <= tolerance, axis=1)
    return near


def _pend(seen: Observations, points: Array) -> Observations:
    return replace(seen, pending=np.concatenate([seen.pending, points]))
