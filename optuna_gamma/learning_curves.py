"""What finished trials of a study reported, side by side."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from collections.abc import Sequence
import math

import numpy as np

from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray


MAX_STEPS = 32
"""Trials are compared at so many steps at most."""


class LearningCurves:
    """Reports of finished trials, by number.

    Args:
        sign: What makes values to be maximised of them.
    """

    def __init__(self, sign: float) -> None:
        self._sign = sign
        self._reports: dict[int, Mapping[int, float]] = {}
        self._sorted: dict[int, tuple[list[int], list[float]]] = {}

    def add(self, number: int, reports: Mapping[int, float]) -> None:
        """Add the reports of a finished trial, from step to value."""
        if reports:
            self._reports[number] = reports

    def at_last_steps(self, numbers: Sequence[int], is_pruned: BoolArray) -> Array:
        """Return what had been reported when trials were pruned.

        Args:
            numbers: Which trials, (n,).
            is_pruned: Which of them were pruned, (n,).

        Returns:
            The last report until a step, at the last steps of pruned trials, in ascending order,
            evenly thinned to :data:`MAX_STEPS`. −∞ if it was NaN; NaN if there was none yet, or
            if the trial ended before; of trials that reported nothing everywhere, (n, m).
        """
        curves = [self._curve(number) for number in numbers]
        pruned = (curves[i][0] for i in np.flatnonzero(is_pruned).tolist())
        steps = sorted({own[-1] for own in pruned if own})
        if len(steps) > MAX_STEPS:
            chosen = np.linspace(0, len(steps) - 1, MAX_STEPS).round().astype(np.intp)
            steps = [steps[i] for i in chosen.tolist()]
        table = np.full((len(curves), len(steps)), np.nan)
        for i, (own, values) in enumerate(curves):
            for j, step in enumerate(steps if own else ()):
                if own[-1] < step:
                    break
                if (k := bisect_right(own, step)) > 0:
                    table[i, j] = values[k - 1]
        return table

    def _curve(self, number: int) -> tuple[list[int], list[float]]:
        """Return steps in ascending order, and values."""
        if number not in self._sorted:
            reports = self._reports.get(number, {})
            steps = sorted(reports)
            values = [self._sign * reports[step] for step in steps]
            self._sorted[number] = steps, [-math.inf if math.isnan(v) else v for v in values]
        return self._sorted[number]
