from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
import pytest

from benchmarks.samplers.contenders import CONTENDERS
from benchmarks.samplers.rivals.axis import cardinality
from benchmarks.samplers.rivals.axis import position
from benchmarks.samplers.rivals.axis import value_at
from benchmarks.samplers.rivals.grid import grid
from benchmarks.samplers.setting import Setting


KINDS: list[BaseDistribution] = [
    FloatDistribution(-5, 5),
    FloatDistribution(1e-5, 10, log=True),
    FloatDistribution(0, 1, step=0.25),
    IntDistribution(3, 9),
    IntDistribution(0, 10, step=5),
    IntDistribution(1, 64, log=True),
    CategoricalDistribution(["a", "b", "c"]),
    CategoricalDistribution([True, None]),
]
SPACE = {f"p{j}": kind for j, kind in enumerate(KINDS)}


@pytest.mark.parametrize("kind", KINDS, ids=str)
@given(u=st.floats(0, 1))
def test_axis_is_inverted(kind: BaseDistribution, u: float) -> None:
    value = value_at(kind, u)
    assert kind._contains(kind.to_internal_repr(value))
    back = position(kind, value)
    assert 0 <= back <= 1
    n = cardinality(kind)
    if n is None:
        assert back == pytest.approx(u, abs=1e-9)
    else:
        assert value_at(kind, back) == value


def test_axis_gives_steps_equal_parts() -> None:
    middles = (np.arange(7) + 0.5) / 7
    assert [value_at(IntDistribution(3, 9), u) for u in middles] == list(range(3, 10))
    assert [cardinality(kind) for kind in KINDS] == [None, None, 5, 7, 3, 64, 3, 2]


@pytest.mark.parametrize("size", [12, 30, 50, 100, 200])
def test_grid_is_of_the_budgets_size(size: int) -> None:
    plane = {"x": FloatDistribution(-5, 5), "y": FloatDistribution(-5, 5)}
    levels = grid(plane, size)
    n = sorted(map(len, levels.values()))
    assert n[1] - n[0] <= 1
    assert (n[1] - 1) * n[0] < size <= n[0] * n[1]
    assert math.prod(map(len, grid(SPACE, size).values())) in range(size, 2 * size)


def test_grid_by_hand() -> None:
    space = {"x": FloatDistribution(0, 3), "c": CategoricalDistribution("ab")}
    assert grid(space, 6) == {"x": [0.5, 1.5, 2.5], "c": ["a", "b"]}
    assert grid({"c": CategoricalDistribution("ab")}, 12) == {"c": ["a", "b"]}


@pytest.mark.parametrize("sampler", [n for n, c in CONTENDERS.items() if not c.is_slow])
def test_contenders_on_a_mixed_space(sampler: str) -> None:
    def params() -> list[dict[str, object]]:
        study = optuna.create_study(
            study_name="mixed", sampler=CONTENDERS[sampler].make(Setting(SPACE, 7, 6))
        )
        for n in range(6):
            study.tell(study.ask(SPACE), float(n))
        return [trial.params for trial in study.trials]

    first = params()
    assert all(list(p) == list(SPACE) for p in first)
    assert len({str(p) for p in first}) == 6
    assert first == params()


@pytest.mark.parametrize(("sampler", "trials"), [("botorch", 6), ("smac", 4)])
def test_slow_contenders_on_a_mixed_space(
    sampler: str, trials: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = {"x": FloatDistribution(1e-3, 1, log=True), "n": IntDistribution(1, 3), "c": KINDS[-1]}
    pytest.importorskip(sampler)
    if sampler == "botorch":
        monkeypatch.setattr("benchmarks.samplers.rivals.botorch.N_RAW", 8)
        monkeypatch.setattr("benchmarks.samplers.rivals.botorch.N_RESTARTS", 1)
    study = optuna.create_study(sampler=CONTENDERS[sampler].make(Setting(space, 7, trials)))
    for _ in range(trials):
        trial = study.ask(space)
        study.tell(trial, abs(math.log(trial.params["x"]) + 3) + trial.params["n"])
    assert len({str(trial.params) for trial in study.trials}) >= trials - 1


def test_hebo_without_its_environment_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEBO_PYTHON", raising=False)
    with pytest.raises(RuntimeError, match=r"requirements-hebo\.txt"):
        CONTENDERS["hebo"].make(Setting(SPACE, 0, 3))
