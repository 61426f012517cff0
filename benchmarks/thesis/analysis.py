"""Means with intervals, and what they say of a difference."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np
from scipy import stats


LEVEL = 0.95


@dataclass(frozen=True)
class Mean:
    """A mean over seeds.

    Args:
        value: The mean.
        half: Half the width of Student's interval at 95 %; NaN for a single seed.
    """

    value: float
    half: float

    @staticmethod
    def of(values: Iterable[float]) -> Mean:
        """Take the mean of one value a seed."""
        x = np.array(list(values), dtype=np.float64)
        if len(x) < 2:
            return Mean(float(x.mean()), math.nan)
        half = stats.t.ppf(0.5 + LEVEL / 2, len(x) - 1) * stats.sem(x)
        return Mean(float(x.mean()), float(half))

    def __str__(self) -> str:
        return self.text(1)

    def text(self, digits: int) -> str:
        """Write mean and interval with so many digits after the point."""
        half = "" if math.isnan(self.half) else f" ± {self.half:.{digits}f}"
        return f"{self.value:.{digits}f}{half}"

    @property
    def sign(self) -> int:
        """Which side of zero the interval is on; 0: not told from chance."""
        return int(np.sign(self.value)) if abs(self.value) > self.half else 0


def verdict(claimed: float, measured: Mean) -> str:
    """Say whether a difference is what the thesis's figures show.

    Args:
        claimed: Difference of the thesis's figures.
        measured: Paired difference over seeds.
    """
    if math.isnan(measured.half):
        return "one seed"
    if measured.sign == 0:
        return "not told from chance"
    return "reproduced" if measured.sign == np.sign(claimed) else "contradicted"


def differences(left: Sequence[float], right: Sequence[float]) -> Mean:
    """Take the mean of differences between equal seeds."""
    return Mean.of(a - b for a, b in zip(left, right, strict=True))
