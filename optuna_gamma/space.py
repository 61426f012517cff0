"""Optuna's distributions as a mixed unit cube, and back."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
import math
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.kernel import Array


MAX_GRID = 4096
"""Ordinal parameters with more values than this have no grid, and are rounded."""


_NARROW = 1e-9
"""A range of this width, relative to its lower end, is linear, whatever its scale."""


@dataclass(frozen=True)
class Space:
    """A search space and its image, the unit cube.

    Floats and integers run from 0 at ``low`` to 1 at ``high``, on a logarithmic scale if the
    distribution has one. A categorical parameter is the index of its choice. NaN stands for a
    parameter that there is not.

    Args:
        distributions: The search space.
        optional: Names of parameters that there need not be.
    """

    distributions: Mapping[str, BaseDistribution]
    optional: AbstractSet[str] = frozenset()

    @property
    def cube(self) -> Cube:
        """The cube, its coordinates in the order of the parameters."""
        kinds = self.distributions.values()
        grids = tuple(_grid(distribution) for distribution in kinds)
        return Cube(
            grids=grids,
            is_categorical=np.array([isinstance(k, CategoricalDistribution) for k in kinds]),
            rounding={
                j: _rounding(kind)
                for j, (kind, grid) in enumerate(zip(kinds, grids, strict=True))
                if grid is None and _numeric(kind).step is not None
            },
        )

    def contains(self, params: Mapping[str, Any]) -> bool:
        """Tell whether parameters have all that they need to have, each in its range."""
        return all(
            _contains(distribution, params[name]) if name in params else name in self.optional
            for name, distribution in self.distributions.items()
        )

    def encode(self, params: Sequence[Mapping[str, Any]]) -> Array:
        """Map parameters to points of the cube, (n, d); values outside a range to its bound."""
        x = np.empty((len(params), len(self.distributions)))
        if not params:
            return x
        for j, (name, distribution) in enumerate(self.distributions.items()):
            if name not in self.optional:
                x[:, j] = _encode(distribution, [p[name] for p in params])
                continue
            has = np.array([name in p for p in params])
            x[~has, j] = np.nan
            x[has, j] = _encode(distribution, [p[name] for p in params if name in p])
        return x

    def decode(self, x: Array) -> dict[str, Any]:
        """Map a point of the cube, (d,), to parameters as native Python values."""
        return {
            name: _decode(k, float(value))
            for (name, k), value in zip(self.distributions.items(), x, strict=True)
            if not math.isnan(value)
        }


def without_single(distributions: Mapping[str, BaseDistribution]) -> dict[str, BaseDistribution]:
    """Leave out parameters that can have one value only."""
    return {name: kind for name, kind in distributions.items() if not kind.single()}


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except ValueError:  # not one of the choices, or not a number
        return False


def _numeric(distribution: BaseDistribution) -> FloatDistribution | IntDistribution:
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution


def _is_log(numeric: FloatDistribution | IntDistribution) -> bool:
    """Tell whether a range has a logarithmic scale that logarithms can resolve."""
    return numeric.log and numeric.high - numeric.low > _NARROW * numeric.low


def _grid(distribution: BaseDistribution) -> Array | None:
    if isinstance(distribution, CategoricalDistribution):
        return np.arange(len(distribution.choices), dtype=np.float64)
    numeric = _numeric(distribution)
    if numeric.single():
        return np.zeros(1)
    if numeric.step is None:
        return None
    n = round((numeric.high - numeric.low) / numeric.step) + 1
    if n > MAX_GRID:
        return None
    return _encode(numeric, [numeric.low + i * numeric.step for i in range(n)])


def _rounding(distribution: BaseDistribution) -> Callable[[Array], Array]:
    """Return what moves coordinates, (m,), to those of the parameter's nearest values."""

    def rounded(x: Array) -> Array:
        nearest: Array = x.copy()
        active = ~np.isnan(x)
        values = [_decode(distribution, value) for value in x[active].tolist()]
        nearest[active] = _encode(distribution, values)
        return nearest

    return rounded


def _encode(distribution: BaseDistribution, values: Sequence[Any]) -> Array:
    if isinstance(distribution, CategoricalDistribution):
        return np.array([distribution.to_internal_repr(value) for value in values])
    numeric = _numeric(distribution)
    low, high = float(numeric.low), float(numeric.high)
    if low == high:
        return np.zeros(len(values))
    x = np.clip(np.array(values, dtype=np.float64), low, high)
    if _is_log(numeric):
        ends = np.log(np.array([low, high]))
        unit: Array = np.clip((np.log(x) - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)
        return unit
    if math.isinf(high - low):
        x, low, high = 0.5 * x, 0.5 * low, 0.5 * high
    return (x - low) / (high - low)


def _decode(distribution: BaseDistribution, x: float) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(x)]
    numeric = _numeric(distribution)
    low, high = float(numeric.low), float(numeric.high)
    if _is_log(numeric):
        value = math.exp(math.log(low) * (1.0 - x) + math.log(high) * x)
    else:
        value = low * (1.0 - x) + high * x
    if isinstance(numeric, IntDistribution):
        steps = round((value - low) / numeric.step)
        return min(max(numeric.low + steps * numeric.step, numeric.low), numeric.high)
    if numeric.step is not None:
        value = low + round((value - low) / numeric.step) * numeric.step
    return min(max(value, low), high)
