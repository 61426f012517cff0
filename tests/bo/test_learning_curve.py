from __future__ import annotations

import warnings

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.learning_curve import impute


NAN = np.nan


def study(rng: np.random.Generator, n: int = 20, m: int = 4) -> tuple[Array, Array]:
    """Make tame curves that rise by similar amounts; the worse ones are stopped early."""
    level = rng.uniform(size=n)
    reports = level[:, None] + np.arange(m) + 0.1 * rng.normal(size=(n, m))
    finals = reports[:, -1] + 1.0
    for j in range(m):
        worst = np.argsort(reports[:, j])[: n // 8]
        reports[worst, j + 1 :], finals[worst] = NAN, NAN
    return finals, reports


def naive(finals: Array, reports: Array) -> dict[int, float]:
    """Regress step by step, in plain loops and without drawing anything in."""
    y, found = dict(enumerate(finals)), {}
    m = reports.shape[1]
    for j in reversed(range(m)):
        ended = [i for i in y if not np.isnan(y[i]) and not np.isnan(reports[i, j])]
        all_x = [x for x in reports[:, j] if not np.isnan(x)]
        mean_x = sum(reports[i, j] for i in ended) / len(ended)
        mean_y = sum(y[i] for i in ended) / len(ended)
        variance = sum((x - sum(all_x) / len(all_x)) ** 2 for x in all_x) / len(all_x)
        cov = sum((reports[i, j] - mean_x) * (y[i] - mean_y) for i in ended)
        square = sum((reports[i, j] - mean_x) ** 2 for i in ended)
        b = (variance + cov) / (variance + square)
        for i in range(len(finals)):
            stopped = j + 1 == m or np.isnan(reports[i, j + 1])
            if np.isnan(y[i]) and not np.isnan(reports[i, j]) and stopped:
                found[i] = mean_y + b * (reports[i, j] - mean_x)
        y.update(found)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_estimates_equal_those_of_a_naive_regression(seed: int) -> None:
    finals, reports = study(np.random.default_rng(seed))
    values, noise = impute(finals, reports)
    expected = naive(finals, reports)
    assert sorted(expected) == np.flatnonzero(np.isnan(finals)).tolist()
    for i, value in expected.items():
        assert values[i] == pytest.approx(min(value, np.nanmax(finals)))
    ended = ~np.isnan(finals)
    np.testing.assert_array_equal(values[ended], finals[ended])
    assert not noise[ended].any()
    assert (noise[~ended] > 0).all()


def test_a_training_that_rises_like_the_others_ends_as_much_higher() -> None:
    finals = np.array([5.0, 6.0, 7.0, NAN, NAN])
    reports = np.array([[2.0, 4.0], [3.0, 5.0], [4.0, 6.0], [1.5, 3.5], [2.5, NAN]])
    np.testing.assert_allclose(impute(finals, reports)[0][3:], [4.5, 5.5])


def test_none_is_better_than_the_best_that_ended() -> None:
    values, _ = impute(np.array([1.0, 2.0, NAN]), np.array([[0.0], [1.0], [9.0]]))
    assert values[2] == 2.0


def test_early_reports_that_tell_little_bear_more_noise() -> None:
    rng = np.random.default_rng(0)
    finals = np.append(rng.normal(size=30), [NAN, NAN])
    early = rng.normal(size=32)
    late = np.append(finals[:30] + 0.01 * rng.normal(size=30), [0.0, NAN])
    _, noise = impute(finals, np.stack([early, late], axis=1))
    assert 0 < 10 * noise[30] < noise[31]


def test_what_cannot_be_compared_is_as_bad_as_a_failure() -> None:
    inf = np.inf
    none, late = np.array([[NAN], [NAN]]), np.array([[NAN], [1.0]])
    for finals, reports in (
        ([1.0, NAN], none),  # it reported nothing
        ([1.0, NAN], late),  # nothing else had reported by then
        ([-inf, NAN], np.array([[1.0], [1.0]])),  # nothing that is finite has ended
        ([1.0, NAN], np.array([[1.0], [-inf]])),  # it had diverged
        ([1.0, NAN], np.empty((2, 0))),
    ):
        values, noise = impute(np.array(finals), np.asarray(reports))
        assert values[1] == -inf
        assert not noise.any()


@given(st.integers(0, 9), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_estimates_move_with_the_values(seed: int, scale: float, shift: float) -> None:
    finals, reports = study(np.random.default_rng(seed))
    values, noise = impute(finals, reports)
    moved, moved_noise = impute(scale * finals + shift, scale * reports + shift)
    np.testing.assert_allclose(moved, scale * values + shift, rtol=1e-5, atol=1e-5 * scale)
    np.testing.assert_allclose(moved_noise, noise, rtol=1e-5)


def test_noise_of_trainings_that_end_alike_is_bounded() -> None:
    finals = np.array([0.0, 1e-155, 2e-155, NAN])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, noise = impute(finals, np.array([[0.0], [1.0], [2.0], [5.0]]))
    np.testing.assert_array_equal(noise, [0.0, 0.0, 0.0, 100.0])


SIZES = st.sampled_from([0.0, 1.0, 1.5, -2.0, 1e-320, 1e300, -1e300, 1.7e308, -1.7e308])
ANY = SIZES | st.floats()


@given(st.data(), st.integers(1, 6), st.integers(0, 3))
def test_values_of_any_size_neither_raise_nor_warn(data: st.DataObject, n: int, m: int) -> None:
    finals = data.draw(arrays(np.float64, n, elements=ANY))
    reports = data.draw(arrays(np.float64, (n, m), elements=ANY))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values, noise = impute(finals, reports)
    ended = ~np.isnan(finals)
    np.testing.assert_array_equal(values[ended], finals[ended])
    assert not np.isnan(values).any()
    assert (values[~ended] < np.inf).all()
    assert np.isfinite(noise).all()
    assert (noise >= 0).all()
