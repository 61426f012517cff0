from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import optuna
from optuna.distributions import FloatDistribution

from optuna_gamma import GammaBOSampler
from optuna_gamma import surrogate
from optuna_gamma.fits import MAX_ATTR_LENGTH
from optuna_gamma.fits import read_fits
from optuna_gamma.fits import THETA_KEY
from optuna_gamma.fits import write_fits
from optuna_gamma.space import Space
from optuna_gamma.surrogate import Fitted


def fit(n: int, d: int, k: int) -> Fitted:
    rng = np.random.default_rng(n)
    return Fitted(n, rng.normal(size=d).round(4), np.arange(k, dtype=np.intp))


def kept(fits: dict[str, Fitted]) -> tuple[dict[str, Fitted], dict[str, str]]:
    study = optuna.create_study()
    trial = study.ask()
    write_fits(study, study.trials[0], fits)
    study.tell(trial, 1.0)
    return read_fits(study.trials, 1, Space({})), study.trials[0].system_attrs


@given(
    st.dictionaries(
        st.text(max_size=9), st.tuples(st.integers(0, 99), st.integers(2, 20), st.integers(0, 99))
    )
)
@settings(deadline=None, max_examples=50)
def test_what_is_written_is_read(shapes: dict[str, tuple[int, int, int]]) -> None:
    fits = {name: fit(*shape) for name, shape in shapes.items()}
    read, attrs = kept(fits)
    assert read.keys() == fits.keys()
    for name, found in read.items():
        assert found.n == fits[name].n
        np.testing.assert_array_equal(found.theta, fits[name].theta)
        np.testing.assert_array_equal(found.distrusted, fits[name].distrusted)
    assert all(len(attr) <= MAX_ATTR_LENGTH for attr in attrs.values())


def test_what_is_too_long_is_left_out() -> None:
    assert kept({"": fit(3, 400, 0)}) == ({}, {})
    assert kept({"": fit(3, 4, 0), "long": fit(4, 400, 0), "b": fit(5, 4, 0)})[0].keys() == {
        "",
        "b",
    }


def test_the_only_column_is_kept_as_it_was_before_there_were_others() -> None:
    _, attrs = kept({"": Fitted(7, np.array([0.5, -1.0]), np.array([2], dtype=np.intp))})
    assert attrs == {THETA_KEY: '{"n":7,"theta":[0.5,-1.0],"distrusted":[2],"trial":0}'}


def test_fits_that_came_with_a_copy_are_not_read() -> None:
    first = optuna.create_study()
    for _ in range(2):
        trial = first.ask()
        write_fits(first, first.trials[-1], {"": fit(trial.number, 4, 1)})
        first.tell(trial, 1.0)
    copied = optuna.create_study()
    copied.add_trials(first.trials[1:])  # number 1 has become number 0
    assert read_fits(first.trials, 2, Space({}))
    assert read_fits(copied.trials, 1, Space({})) == {}


def test_of_trials_that_are_asked_for_at_once_one_is_fitted_to() -> None:
    study = optuna.create_study(sampler=GammaBOSampler(seed=0))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1) ** 2, n_trials=8)
    space = {"x": FloatDistribution(0, 1)}
    with patch.object(surrogate, "fit_trusted", wraps=surrogate.fit_trusted) as fit_trusted:
        for _ in range(4):
            study.ask(space)
    assert fit_trusted.call_count == 1
