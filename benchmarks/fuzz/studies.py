"""Random studies: what they are drawn from.

Hypothesis draws what a study is like, so that it can simplify one that fails; a seed among what it
draws fills in the trials, of which there may be hundreds.
"""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Any
from typing import get_args
from typing import Literal

from hypothesis import strategies as st
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from optuna_gamma.bo.acquisition import Acquisition


Direction = Literal["minimize", "maximize"]

NUMBERS = ("normal", "constant", "huge", "tiny", "spread", "infinite", "tied", "any")
"""Kinds of the values of objectives and constraints."""

CHOICES: tuple[Any, ...] = (None, True, False, 7, -2, 0.5, 1e300, math.inf, "", "a", "None", "ü")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a random study.

    Args:
        name: Its name.
        distributions: Its ranges, one for categorical ones; which of them a trial meets is drawn.
        parent: Number of the parameter on whose value it depends whether a trial has this one;
            -1: all trials have it.
    """

    name: str
    distributions: tuple[BaseDistribution, ...]
    parent: int = -1


@dataclass(frozen=True)
class RandomStudy:
    """What a random study is like.

    Args:
        parameters: Its parameters; what one depends on comes before it.
        directions: A direction for each of its objectives.
        n_constraints: Number of constraints, of which a trial may have set any.
        n_trials: Number of trials in its history.
        n_source: Number of source trials.
        values: Kind of the values of objectives and constraints, of :data:`NUMBERS`.
        share_other: Share of trials that are not completed: failed, pruned, running, waiting.
        share_repeated: Share of trials at a point that was evaluated before.
        n_asked: Number of trials that are then asked for.
        is_partially_fixed: Whether its first parameter is fixed, by Optuna's PartialFixedSampler.
        sampler: Arguments of the sampler but for source trials.
        seed: What fills in the trials.
    """

    parameters: tuple[Parameter, ...]
    directions: tuple[Direction, ...]
    n_constraints: int
    n_trials: int
    n_source: int
    values: str
    share_other: float
    share_repeated: float
    n_asked: int
    is_partially_fixed: bool
    sampler: dict[str, Any]
    seed: int


def _ordered(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(numbers, min_size=2, max_size=2).map(sorted)


_ENDS = st.one_of(
    st.sampled_from(
        [[0.0, 1.0], [-5.0, 5.0], [1.0, 1.0 + 2**-52], [-1e308, 1e308], [0.0, 5e-324]]
    ),
    _ordered(st.floats(-10, 10)),
    _ordered(st.floats(allow_nan=False, allow_infinity=False)),
)

_POSITIVE_ENDS = st.one_of(
    st.sampled_from([[1e-5, 1.0], [5e-324, 1e308], [1e-300, 1e-299], [1.0, 1.0 + 2**-52]]),
    _ordered(st.floats(1e-8, 1e8)),
    _ordered(st.floats(5e-324, 1e308)),
)

_FLOATS = st.one_of(
    _ENDS.map(lambda ends: FloatDistribution(ends[0], ends[1])),
    st.builds(
        lambda low, step, n: FloatDistribution(low, low + step * n, step=step),
        st.integers(-100, 100).map(lambda low: low / 8),
        st.sampled_from([0.125, 0.25, 1.0, 7.5]),
        st.integers(0, 30),
    ),
    st.builds(
        lambda step, n: FloatDistribution(0.0, round(step * n, 9), step=step),
        st.sampled_from([0.1, 1e-3, 0.3]),
        st.integers(0, 30),
    ),
)

_LOG_FLOATS = _POSITIVE_ENDS.map(lambda ends: FloatDistribution(ends[0], ends[1], log=True))

_INTS = st.one_of(
    _ordered(st.integers(-20, 20)).map(lambda ends: IntDistribution(ends[0], ends[1])),
    _ordered(st.integers(-(2**53), 2**53)).map(lambda ends: IntDistribution(ends[0], ends[1])),
    st.builds(
        lambda low, step, n: IntDistribution(low, low + step * n, step=step),
        st.integers(-50, 50),
        st.integers(2, 9),
        st.integers(0, 12),
    ),
)

_LOG_INTS = st.one_of(
    _ordered(st.integers(1, 300)).map(lambda ends: IntDistribution(ends[0], ends[1], log=True)),
    _ordered(st.integers(1, 2**53)).map(lambda ends: IntDistribution(ends[0], ends[1], log=True)),
)

_CATEGORIES = st.lists(
    st.sampled_from(CHOICES), min_size=1, max_size=5, unique_by=lambda choice: repr(choice)
).map(CategoricalDistribution)

_KINDS = (_FLOATS, _LOG_FLOATS, _INTS, _LOG_INTS, _CATEGORIES)
"""Optuna does not let the ranges of a parameter differ in more than their ends."""


@st.composite
def _parameter(draw: st.DrawFn, number: int) -> Parameter:
    kind = draw(st.sampled_from(_KINDS))
    most = 1 if kind is _CATEGORIES else draw(st.sampled_from([1, 1, 1, 2]))
    distributions = draw(st.lists(kind, min_size=most, max_size=most))
    parent = draw(st.sampled_from([-1, -1, -1, *range(number)]))
    return Parameter(f"p{number}", tuple(distributions), parent)


@st.composite
def random_studies(draw: st.DrawFn) -> RandomStudy:
    """Draw what a study is like."""
    n_parameters = draw(st.sampled_from([1, 1, 2, 2, 3, 4, 6]))
    parameters = tuple(draw(_parameter(number)) for number in range(n_parameters))
    acquisition = draw(st.sampled_from(get_args(Acquisition)))
    n_source = 0 if acquisition == "conjugate" else draw(st.sampled_from([0, 0, 0, 1, 5, 120]))
    takes_one = acquisition == "conjugate" or n_source > 0
    n_objectives = 1 if takes_one else draw(st.sampled_from([1, 1, 1, 2, 3]))
    directions = draw(st.tuples(*[st.sampled_from(get_args(Direction))] * n_objectives))
    return RandomStudy(
        parameters=parameters,
        directions=directions,
        n_constraints=draw(st.sampled_from([0, 0, 0, 1, 2])),
        n_trials=draw(st.sampled_from([0, 1, 1, 2, 3, 5, 5, 9, 9, 15, 15, 25, 40, 80, 320])),
        n_source=n_source,
        values=draw(st.sampled_from(NUMBERS)),
        share_other=draw(st.sampled_from([0.0, 0.2, 0.5, 1.0])),
        share_repeated=draw(st.sampled_from([0.0, 0.3, 1.0])),
        n_asked=draw(st.integers(1, 4)),
        is_partially_fixed=draw(st.sampled_from([False] * 7 + [True])),
        sampler={
            "acquisition": acquisition,
            "seed": draw(st.sampled_from([0, 1, None])),
            "n_startup_trials": draw(st.sampled_from([0, 1, 4, 12])),
            "deterministic_objective": draw(st.sampled_from([None, False, True])),
            "warn_independent_sampling": False,
        },
        seed=draw(st.integers(0, 2**32 - 1)),
    )
