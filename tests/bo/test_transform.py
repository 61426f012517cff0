from __future__ import annotations

import math

from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from optuna_gamma.bo.transform import resolution
from optuna_gamma.bo.transform import slack
from optuna_gamma.bo.transform import spoilt
from optuna_gamma.bo.transform import standardize


@example([8.98e307, 8.99e307])
@given(st.lists(st.floats(allow_nan=False, width=64), min_size=1, max_size=30))
def test_any_values_become_finite_and_keep_their_order(values: list[float]) -> None:
    y = standardize(np.array(values))
    assert np.isfinite(y).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(y[order]) >= 0).all()
    if y.any():
        assert y.mean() == pytest.approx(0, abs=1e-9)
        assert y.std() == pytest.approx(1)


@example([8.98e307, 8.99e307], 1, math.nan)
@given(
    st.lists(st.floats(allow_nan=False, width=64), min_size=1, max_size=30),
    st.integers(0, 29),
    st.floats(),
)
def test_any_value_can_be_spared(values: list[float], i: int, other: float) -> None:
    given = [values[i % len(values)], math.inf if math.isnan(other) else other]
    for spared in given:
        y = standardize(np.array(values), spared)
        assert np.isfinite(y).all()
        assert (np.diff(y[np.argsort(values, kind="stable")]) >= 0).all()


def test_what_is_spared_is_told_apart_though_most_values_are_near_the_best() -> None:
    values = np.array([1.0, 1.0, 0.99, 0.98, 0.97, 0.5, 0.0, -3.0, -9.0])
    drawn_in, spared = standardize(values), standardize(values, spared=0.0)
    assert drawn_in[5] == drawn_in[6] == drawn_in[8]
    np.testing.assert_allclose(  # -0.1 is as far as it goes: a tenth beyond the span of the spared
        spared, standardize(np.maximum(values, -0.1), spared=-9.0)
    )
    assert spared[5] > spared[6] > spared[7] == spared[8]


@pytest.mark.parametrize("bad", [-1e9, -1e300, -math.inf])
def test_what_is_spoilt_is_not_spared(bad: float) -> None:
    values = np.append(np.linspace(0, 1, 10), bad)
    np.testing.assert_array_equal(standardize(values, spared=bad), standardize(values))


def test_values_without_outliers_are_only_shifted_and_scaled() -> None:
    values = np.linspace(3, 7, 9)
    np.testing.assert_allclose(standardize(values), (values - values.mean()) / values.std())


@pytest.mark.parametrize("bad", [-1e6, -1e300, -np.inf])
def test_a_diverged_run_does_not_flatten_the_rest(bad: float) -> None:
    values = np.append(np.linspace(0, 1, 10), bad)
    y = standardize(values)
    assert y[:-1].max() - y[:-1].min() > 0.8
    assert y[-1] <= y.min()


def test_minus_infinity_is_worse_than_any_value_near_the_rest() -> None:
    y = standardize(np.array([0.90, 0.91, 0.93, -np.inf]))
    assert y[3] < y[0] - (y[2] - y[0])
    y = standardize(np.array([1.0, 1.0, -np.inf]))
    assert y[0] == y[1] > y[2]


def test_equal_values() -> None:
    for value in (0.0, 5.0, -1e300, 1e-300, np.inf, -np.inf):
        assert not standardize(np.full(4, value)).any()


def test_resolution() -> None:
    assert resolution(np.array([0.0, 0.5, 0.7, 0.7 + 1e-13])) == pytest.approx(0.2)
    assert resolution(np.array([0.0, 0.5, 0.5, 0.7])) == 0.0
    assert resolution(np.zeros(3)) == 0.0


def test_spoilt_values_are_told_and_count_alike() -> None:
    clean = np.array([3.0, 1.0, 2.0, -4.0])
    absurd = standardize(np.append(clean, -1e9))
    np.testing.assert_array_equal(spoilt(np.append(clean, -1e9)), [False] * 4 + [True])
    np.testing.assert_array_equal(absurd, standardize(np.append(clean, -np.inf)))
    assert not spoilt(np.array([1.0, 1.0, -1e9])).any()  # nothing to compare with
    assert not spoilt(np.full(3, -np.inf)).any()


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=30))
def test_slack_keeps_the_boundary_and_the_order(values: list[float]) -> None:
    constraints = np.array(values)
    y = slack(constraints)
    assert np.isfinite(y).all()
    assert (y[constraints > 0.0] <= 0.0).all()
    assert (y[constraints < 0.0] >= 0.0).all()
    assert (np.diff(y[np.argsort(constraints, kind="stable")]) <= 0.0).all()


def test_slack_is_linear_near_the_boundary() -> None:
    constraints = np.linspace(-3.0, 2.0, 20)
    y = slack(constraints)
    assert y.std() == pytest.approx(1.0)
    assert np.corrcoef(y, -constraints)[0, 1] > 0.9999
