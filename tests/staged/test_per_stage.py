from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optuna_gamma.staged.per_stage import PerStage


def test_numbers_take_turns() -> None:
    numbers = PerStage.of("n_trials", [6, 1])
    assert [numbers[k] for k in range(5)] == [6, 1, 6, 1, 6]
    assert numbers.total(1, 4) == 8
    assert numbers.plain == (6, 1)
    assert PerStage.of("n_trials", 3).plain == 3


def test_numbers_of_numpy_become_plain() -> None:
    for given in (np.int64(3), (np.int32(3),)):
        numbers = PerStage.of("n_trials", given).numbers  # type: ignore[arg-type]
        assert numbers == (3,)
        assert type(numbers[0]) is int


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (0, ValueError),
        ((2, -1), ValueError),
        ((), ValueError),
        (True, TypeError),
        (1.0, TypeError),
        ("3", TypeError),
        (None, TypeError),
    ],
)
def test_others_are_refused(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"`n_trials` must be an int of at least 1"):
        PerStage.of("n_trials", given)
