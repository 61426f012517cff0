"""A parameter's range as an interval from 0 to 1."""

from __future__ import annotations

import math

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution


Value = bool | int | float | str | None


def cardinality(distribution: BaseDistribution) -> int | None:
    """Count the values of a range; :obj:`None`: it is continuous."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    if distribution.step is None:
        return None
    return round((distribution.high - distribution.low) / distribution.step) + 1


def value_at(distribution: BaseDistribution, u: float) -> Value:
    """Find the value at a position.

    Args:
        distribution: The range.
        u: Position from 0 to 1. Ranges of k values are divided into k equal parts, except for
            those on a logarithmic scale, whose parts are as wide as their values are rare.

    Returns:
        The value there, as the trial would have it.
    """
    if isinstance(distribution, CategoricalDistribution):
        n = len(distribution.choices)
        return distribution.choices[min(int(u * n), n - 1)]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = _ends(distribution)
    value = math.exp(low + u * (high - low)) if distribution.log else low + u * (high - low)
    if distribution.step is not None:
        steps = round((value - distribution.low) / distribution.step)
        value = distribution.low + steps * distribution.step
    value = min(max(value, distribution.low), distribution.high)
    return int(value) if isinstance(distribution, IntDistribution) else value


def position(distribution: BaseDistribution, value: Value) -> float:
    """Find the position of a value, from 0 to 1: the inverse of :func:`value_at`."""
    if isinstance(distribution, CategoricalDistribution):
        return (distribution.choices.index(value) + 0.5) / len(distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    assert isinstance(value, int | float)
    low, high = _ends(distribution)
    return ((math.log(value) if distribution.log else value) - low) / (high - low)


def _ends(distribution: FloatDistribution | IntDistribution) -> tuple[float, float]:
    """Widen a range by half a step where it has steps, on the scale that is uniform."""
    half = (distribution.step or 0) / 2
    low, high = distribution.low - half, distribution.high + half
    return (math.log(low), math.log(high)) if distribution.log else (low, high)
