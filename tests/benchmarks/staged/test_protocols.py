from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.staged import autolrs
from benchmarks.staged.autolrs import AutoLRS
from benchmarks.staged.autolrs import forecast
from benchmarks.staged.forms import Probed
from benchmarks.staged.forms import Staged
from benchmarks.staged.lab import Lab
from benchmarks.staged.populations import exploited
from benchmarks.staged.populations import PBT
from benchmarks.staged.populations import SuccessiveHalving
from tests.benchmarks.staged.tiny import TINY


def test_stages_of_the_thesis_are_epochs(steps: list[tuple[int, int, list[float]]]) -> None:
    list(Staged(0, averaging=False, sampler="random").candidates(Lab(TINY, 0), 2, 0))
    assert {len(rates) for *_, rates in steps} == {2}
    assert len(steps) == 18 * 2


def test_probes_take_a_third_at_most_and_the_winner_is_trained_on(
    steps: list[tuple[int, int, list[float]]],
) -> None:
    for method, expected in (
        (Probed(min_steps=5), [(0, 6)] * 6 + [(6, 108)]),  # of 4 × 36 steps
        (Probed(min_steps=20), [(0, 20)] * 2 + [(20, 104)]),
        (Probed(min_steps=50), [(0, 144)]),
        (
            Probed(2, rounds=2, min_steps=9),
            [(0, 9)] * 2 + [(9, 54)] + [(63, 9)] * 2 + [(72, 54)],
        ),
    ):
        steps.clear()
        (candidate,) = method.candidates(Lab(TINY, 0), 4, 0)
        assert [(first, len(rates)) for first, _, rates in steps] == expected
        rates = [rates[0] for *_, rates in steps]
        assert candidate.rates[-1] == rates[-1]
        assert rates[-1] in rates[:-1] or len(rates) == 1


def test_candidates_of_a_stage_begin_alike(steps: list[tuple[int, int, list[float]]]) -> None:
    list(Staged(12, averaging=True, sampler="random").candidates(Lab(TINY, 0), 3, 0))
    assert [first for first, *_ in steps] == [0] * 3 + [12] * 3 + [24] * 3
    assert len({seed for _, seed, _ in steps}) == 3


def test_population(steps: list[tuple[int, int, list[float]]]) -> None:
    candidates = list(PBT(intervals=4).candidates(Lab(TINY, 0), 5, 0))
    assert len(candidates) == 5
    assert [first for first, *_ in steps] == [0] * 5 + [9] * 5 + [18] * 5 + [27] * 5
    ratios = []
    for before, after in zip(range(0, 15, 5), range(5, 20, 5), strict=True):
        old = [steps[before + i][2][-1] for i in range(5)]
        new = [steps[after + i][2][0] for i in range(5)]
        changed = [i for i in range(5) if new[i] != old[i]]
        assert len(changed) == 1  # 20 % of 5
        ratios.append(min(abs(new[changed[0]] / rate - f) for rate in old for f in (0.8, 1.2)))
    assert max(ratios) == pytest.approx(0, abs=1e-9)


def test_truncation() -> None:
    rng = np.random.default_rng(0)
    scores = [0.5, -math.inf, 0.9, 0.8, 0.1, 0.7, 0.6, 0.4, 0.3, 0.2]
    pairs = exploited(scores, rng)
    assert {i for i, _ in pairs} == {1, 4}
    assert {j for _, j in pairs} <= {2, 3}
    assert exploited([0.2, 0.1], rng) == [(1, 0)]
    assert exploited([0.1], rng) == []


def test_halving(steps: list[tuple[int, int, list[float]]]) -> None:
    list(SuccessiveHalving().candidates(Lab(TINY, 0), 3, 0))
    by_rung = {first: [s for s in steps if s[0] == first] for first in (0, 4, 12)}
    lengths = {first: {len(rates) for *_, rates in rung} for first, rung in by_rung.items()}
    assert lengths == {0: {4}, 4: {8}, 12: {24}}
    n = [len(rung) for rung in by_rung.values()]
    assert n[1] == n[0] // 3
    assert n[2] == max(n[1] // 3, 1)
    assert all(len(set(rates)) == 1 for *_, rates in steps)


def test_autolrs(steps: list[tuple[int, int, list[float]]]) -> None:
    (candidate,) = AutoLRS().candidates(Lab(TINY, 0), 2, 0)
    assert autolrs.stages(36) == [(0, 20), (20, 36)]
    whole = [s for s in steps if len(s[2]) in (20, 16)]
    assert [first for first, *_ in whole] == [0, 20]
    assert candidate.rates == tuple(rates[0] for *_, rates in whole)
    for first, end in autolrs.stages(36):
        probes = {s[2][0] for s in steps if first <= s[0] < end and s not in whole}
        assert len(probes) == autolrs.PROBES
        assert all(1e-3 <= rate <= 0.5001 for rate in probes)


def test_stages_of_autolrs_double(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autolrs, "FIRST_STAGE", 100)
    lengths = [end - first for first, end in autolrs.stages(3_000)]
    assert lengths == [100, 200, 400, 800, 800, 700]


def test_forecast() -> None:
    t = np.arange(1.0, 11.0)
    assert forecast((2 * np.exp(-0.2 * t) + 0.5).tolist(), 100) == pytest.approx(0.5, abs=0.05)
    assert forecast([1.0, math.nan, 1.0, 1.0, 1.0], 10) == 1e6
    assert forecast([3.0, 2.0], 10) == 2.0
