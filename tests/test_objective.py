from __future__ import annotations

import math
import re
from typing import Any
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from optuna_gamma import kappa


accuracies = st.floats(0, 1)
losses = st.floats(0, 1e6) | st.sampled_from([0.0, 1e-300, math.inf, math.nan])
lams = st.floats(1e-3, 1)
variants = st.sampled_from(["original", "improved"])


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("original", 90 - 0.05 * math.log(0.3)),
        ("improved", 8100 - math.log(0.3) / 0.05),
    ],
)
def test_formula(variant: Literal["original", "improved"], expected: float) -> None:
    assert kappa(0.9, 0.3, variant=variant) == pytest.approx(expected, rel=1e-14)


@given(accuracies, losses, lams, variants)
def test_value_is_finite_and_not_negative(
    accuracy: float, loss: float, lam: float, variant: Literal["original", "improved"]
) -> None:
    value = kappa(accuracy, loss, lam=lam, variant=variant)
    assert isinstance(value, float)
    assert math.isfinite(value)
    assert value >= 0


@given(accuracies, accuracies, losses, losses, lams, variants)
def test_better_networks_never_score_lower(
    a: float, b: float, k: float, m: float, lam: float, variant: Literal["original", "improved"]
) -> None:
    worse_loss = max(k, m) if math.isfinite(k) and math.isfinite(m) else math.inf
    better_loss = min(k, m) if math.isfinite(k) and math.isfinite(m) else 0.0
    worse = kappa(min(a, b), worse_loss, lam=lam, variant=variant)
    better = kappa(max(a, b), better_loss, lam=lam, variant=variant)
    assert better >= worse


@given(st.lists(st.tuples(accuracies, losses), min_size=1, max_size=8), variants)
def test_arrays_agree_with_numbers(
    pairs: list[tuple[float, float]], variant: Literal["original", "improved"]
) -> None:
    accuracy, loss = (np.array(column) for column in zip(*pairs, strict=True))
    values = kappa(accuracy, loss, variant=variant)
    assert isinstance(values, np.ndarray)
    assert values.tolist() == [kappa(a, k, variant=variant) for a, k in pairs]


def test_broadcasts() -> None:
    values = kappa([[0.5], [0.9]], [0.1, 0.2, math.inf])
    assert isinstance(values, np.ndarray)
    assert values.shape == (2, 3)
    assert (values[:, 2] == 0).all()


def test_gate_floor_and_non_finite_loss() -> None:
    assert kappa(0.02, 2.0) == 0.0  # M_a = M_l: the gate is shut
    assert kappa(0.1, math.nan) == kappa(0.1, math.inf) == 0.0
    assert kappa(1.0, 0.0) == kappa(1.0, 1e-4) > kappa(1.0, 1.1e-4)
    assert kappa(0.03, 2.9, lam=0.01) == 0.0  # 9 - ln(2.9)/0.01 < 0


@pytest.mark.parametrize(
    ("accuracy", "loss", "options", "said"),
    [
        (98.0, 0.1, {}, "98"),
        (-0.1, 0.1, {}, "-0.1"),
        (math.nan, 0.1, {}, "nan"),
        ([0.5, 1.5], 0.1, {}, "1.5"),
        (0.5, -1.0, {}, "-1"),
        (0.5, 0.1, {"lam": 0.0}, "0.0"),
        (0.5, 0.1, {"lam": 1.01}, "1.01"),
        (0.5, 0.1, {"lam": math.nan}, "nan"),
        (0.5, 0.1, {"variant": "best"}, "best"),
    ],
)
def test_bad_input_is_refused_and_named(
    accuracy: float, loss: float, options: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        kappa(accuracy, loss, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize("given", ["a", [0.1, "b"], {"accuracy": 0.9}, [[0.1, 0.2], [0.3]]])
@pytest.mark.parametrize("name", ["accuracy", "loss"])
def test_what_is_no_number_is_named(name: str, given: Any) -> None:
    said = f"`{name}` must be a number or an array of numbers, but got {given!r}."
    with pytest.raises(TypeError, match=re.escape(said)):
        kappa(**{"accuracy": 0.9, "loss": 0.1, name: given})
