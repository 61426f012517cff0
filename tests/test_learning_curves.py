from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
import numpy as np

from optuna_gamma.learning_curves import LearningCurves
from optuna_gamma.learning_curves import MAX_STEPS


REPORTS = st.dictionaries(
    st.integers(0, 40) | st.just(10**400), st.floats(allow_nan=True), max_size=6
)


@given(st.lists(st.tuples(REPORTS, st.booleans()), max_size=40))
def test_reports_are_the_last_until_a_step(trials: list[tuple[dict[int, float], bool]]) -> None:
    curves = LearningCurves(-1.0)
    for number, (reports, _) in enumerate(trials):
        curves.add(number, reports)
    is_pruned = np.array([pruned for _, pruned in trials], dtype=np.bool_)
    table = curves.at_last_steps(range(len(trials)), is_pruned)
    steps = sorted({max(reports) for reports, pruned in trials if reports and pruned})
    assert table.shape == (len(trials), len(steps))
    for i, (reports, _) in enumerate(trials):
        for j, step in enumerate(steps):
            until = [s for s in reports if s <= step]
            if until and max(reports) >= step:
                value = -reports[max(until)]
                assert table[i, j] == (-math.inf if math.isnan(value) else value)
            else:
                assert math.isnan(table[i, j])


def test_of_many_steps_an_even_choice_with_the_first_is_compared() -> None:
    curves, n = LearningCurves(1.0), 10 * MAX_STEPS
    for number in range(n):
        curves.add(number, {step: float(step) for step in range(number + 1)})
    table = curves.at_last_steps(range(n), np.ones(n, dtype=np.bool_))
    assert table.shape == (n, MAX_STEPS)
    assert not np.isnan(table[:, 0]).any()
    assert (np.diff(table[-1]) >= 9).all()
