"""Proposals that several workers make at the same moment.

What another worker proposes can be seen once it is written, and so only after one's own. Who then
sees another at the same point goes elsewhere. Of two at one point the one who wrote later sees the
other, so that not both can stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray
from optuna_gamma.history import Observations


CLOSE = 1e-3
"""Points that differ by no more in any coordinate of the cube are one."""

_SAME = 1e-9
"""A point seen twice differs by no more: encoded with others, its last digit may be another."""

_MOST_MOVES = 8


def settle(
    look: Callable[[], Observations],
    propose: Callable[[Observations], Array],
    share: Callable[[Array], None],
    number: int,
) -> tuple[Array, Observations]:
    """Propose a point that no other worker proposes at the same moment.

    So that workers who all see each other part, each passes over as many points as there are
    trials of lower numbers at its own.

    Args:
        look: Returns what the study has seen by now, without the trial that is being sampled.
        propose: From what was seen to the next point, (d,).
        share: Shows a point to the others.
        number: Number of the trial.

    Returns:
        The point, (d,), shared, and what had been seen when it was proposed. After
        :data:`_MOST_MOVES` moves others are put up with.
    """
    seen = look()
    x = propose(seen)
    share(x)
    for _ in range(_MOST_MOVES):
        now = look()
        is_rival = _near(now.pending, x, CLOSE) & _unknown(now.pending, seen)
        has_ended = ~np.isin(now.numbers, seen.numbers)
        ended = now.X[has_ended]
        if not is_rival.any() and not (_near(ended, x, CLOSE) & _unknown(ended, seen)).any():
            break
        seen = now
        for _ in range(1 + np.count_nonzero(now.running[is_rival] < number)):
            x = propose(now)
            now = replace(
                now,
                pending=np.concatenate([now.pending, x[None]]),
                running=np.append(now.running, number),
            )
        share(x)
    return x, seen


def _unknown(points: Array, seen: Observations) -> BoolArray:
    """Tell which points (k, d) were not pending before, (k,)."""
    return np.array([not _near(seen.pending, p, _SAME).any() for p in points], dtype=np.bool_)


def _near(points: Array, x: Array, tolerance: float) -> BoolArray:
    is_near = (np.abs(points - x) <= tolerance) | (np.isnan(points) & np.isnan(x))
    near: BoolArray = np.logical_and.reduce(is_near, axis=1)
    return near
