from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import pytest

from optuna_gamma.space import Space


DISTRIBUTIONS: list[BaseDistribution] = [
    FloatDistribution(-5, 5),
    FloatDistribution(-1e308, 1e308),
    FloatDistribution(1e-7, 1.0, log=True),
    FloatDistribution(1e-300, 1e300, log=True),
    FloatDistribution(-10.2, 10.2, step=0.1),
    FloatDistribution(0, 1e6, step=0.5),
    IntDistribution(-3, 12),
    IntDistribution(0, 9, step=3),
    IntDistribution(1, 1000, log=True),
    IntDistribution(-(2**60), 2**60),
    CategoricalDistribution(["a", 3, None, 2.5, True]),
]


def contains(distribution: BaseDistribution, value: Any) -> bool:
    return distribution._contains(distribution.to_internal_repr(value))


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=str)
@given(u=st.floats(0, 1, exclude_max=True))
def test_every_point_decodes_to_a_legal_native_value(
    distribution: BaseDistribution, u: float
) -> None:
    space = Space({"p": distribution})
    x = space.cube.from_unit(np.array([[u]]))
    value = space.decode(x[0])["p"]
    assert contains(distribution, value)
    assert type(value) in (int, float, str, bool, type(None))
    if isinstance(distribution, IntDistribution):
        assert type(value) is int
    # A value survives the way there and back, but for rounding.
    again = space.decode(space.encode([{"p": value}])[0])["p"]
    if isinstance(distribution, FloatDistribution):
        scale = 1e-300 if distribution.log else distribution.high
        assert again == pytest.approx(value, rel=1e-9, abs=1e-9 * scale)
    elif isinstance(value, int) and abs(value) > 2**50:
        assert again == pytest.approx(value, rel=1e-9)
    else:
        assert again == value


@pytest.mark.parametrize("distribution", DISTRIBUTIONS[:-1], ids=str)
def test_ends_of_the_range(distribution: FloatDistribution | IntDistribution) -> None:
    space = Space({"p": distribution})
    assert space.encode([{"p": distribution.low}]).tolist() == [[0.0]]
    assert space.encode([{"p": distribution.high}]).tolist() == [[1.0]]
    low = space.decode(np.array([0.0]))["p"]
    high = space.decode(np.array([1.0]))["p"]
    assert low == pytest.approx(distribution.low, rel=1e-9)
    assert high == pytest.approx(distribution.high, rel=1e-9)
    # Values of an earlier, wider range count as the nearest bound.
    assert space.encode([{"p": float(distribution.high) * 1.5 + 1}]).tolist() == [[1.0]]


def test_grid_of_a_discrete_parameter_holds_the_encoded_values() -> None:
    for distribution in (IntDistribution(1, 10, log=True), FloatDistribution(0, 1, step=0.25)):
        space = Space({"p": distribution})
        grid = space.cube.grids[0]
        assert grid is not None
        values = [space.decode(np.array([x]))["p"] for x in grid]
        assert [space.encode([{"p": value}])[0, 0] for value in values] == grid.tolist()
        assert len(set(values)) == len(grid)


def test_coordinates_follow_the_order_of_the_parameters() -> None:
    space = Space({"b": IntDistribution(0, 1), "a": CategoricalDistribution(["x", "y"])})
    assert space.cube.is_categorical.tolist() == [False, True]
    assert space.encode([{"a": "y", "b": 0}]).tolist() == [[0.0, 1.0]]
    assert space.decode(np.array([1.0, 0.0])) == {"b": 1, "a": "x"}


def test_a_logarithmic_range_that_logarithms_cannot_tell_apart_is_linear() -> None:
    space = Space({"n": IntDistribution(2**51 - 6, 2**51 - 1, log=True)})
    values = [{"n": 2**51 - 6 + k} for k in range(6)]
    x = space.encode(values)
    assert len(np.unique(x)) == 6
    assert [space.decode(point) for point in x] == values
