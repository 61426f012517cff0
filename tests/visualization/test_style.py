from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import pytest

from optuna_gamma.visualization.style import counting_axis
from optuna_gamma.visualization.style import focus
from optuna_gamma.visualization.style import listed
from optuna_gamma.visualization.style import text
from optuna_gamma.visualization.style import thinned


@given(st.integers(0, 5000), st.integers(2, 300), st.data())
def test_an_even_choice(n: int, most: int, data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.integers(0, n - 1), max_size=3)) if n else []
    chosen = thinned(n, most, kept).tolist()
    assert chosen == sorted(set(chosen))
    assert len(chosen) <= most + len(kept)
    assert set(kept) <= set(chosen)
    assert not n or {0, n - 1} <= set(chosen)
    assert n > most or len(chosen) == n


@given(st.text())
def test_nothing_in_a_text_is_markup(said: str) -> None:
    assert not {"<", ">", "$"} & set(text(said))
    assert len(text("x" * 1000)) == 60


def test_a_long_list_ends() -> None:
    said = listed({f"p{i}": i for i in range(100)})
    assert said.count("<br>") == 15
    assert said.endswith("85 more")


@given(
    st.lists(st.floats(allow_nan=False), max_size=20), st.lists(st.floats(-1e3, 1e3), max_size=5)
)
def test_what_is_wanted_is_in_focus(others: list[float], wanted: list[float]) -> None:
    low, high = focus([*others, *wanted], wanted)
    assert low < high
    assert all(low <= value <= high for value in wanted)


@pytest.mark.parametrize(("n", "step"), [(0, 1), (1, 1), (9, 1), (12, 1), (30, 5), (1000, 100)])
def test_an_axis_that_counts_has_few_ticks(n: int, step: int) -> None:
    assert counting_axis(n)["dtick"] == step
    assert n / step <= 12
