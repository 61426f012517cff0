"""The figures of a report, against values worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.record import markdown
from benchmarks.samplers.analysis import compare
from benchmarks.samplers.analysis import compare_repetitions
from benchmarks.samplers.analysis import curves
from benchmarks.samplers.analysis import FLOOR
from benchmarks.samplers.analysis import mean_log10
from benchmarks.samplers.analysis import mean_ranks
from benchmarks.samplers.analysis import normalise
from benchmarks.samplers.analysis import reached
from benchmarks.samplers.analysis import rebase
from benchmarks.samplers.analysis import regrets
from benchmarks.samplers.analysis import significance
from benchmarks.samplers.record import RunRecord
from benchmarks.samplers.report import report
from benchmarks.samplers.report import summary
from benchmarks.samplers.verdict import harm
from benchmarks.samplers.verdict import verdicts


def record(
    sampler: str,
    problem: str,
    *steps: tuple[int, float],
    seed: int = 0,
    trials: int = 12,
    suite: str = "bbob",
    dimension: int = 2,
) -> RunRecord:
    return RunRecord(
        sampler, "1", suite, "hand", problem, dimension, seed, trials, steps, 0.1, 1.0
    )


def constant(sampler: str, values: list[float], **kwargs: object) -> list[RunRecord]:
    """Runs of 12 trials that end at these regrets, one a problem."""
    return [
        record(sampler, f"p{j:02}", (1, 1e6), (12, value), **kwargs)  # type: ignore[arg-type]
        for j, value in enumerate(values)
    ]


def test_regret_is_the_lowest_so_far() -> None:
    run = record("a", "p", (1, 8.0), (3, 2.0), (10, 0.0))
    assert [run.regret(n) for n in (1, 2, 3, 9, 10, 12)] == [8, 8, 2, 2, 0, 0]
    assert regrets([run], 12)["a"].tolist() == [FLOOR]
    assert regrets([run], 13).empty


def test_ranks_share_ties_and_leave_out_incomplete_blocks() -> None:
    runs = [
        *constant("a", [1.0, 0.0, 3.0, 4.0]),
        *constant("b", [2.0, 1e-9, 3.0]),
        *constant("c", [3.0, 5.0, 1.0]),
    ]
    table = regrets(runs, 12)
    assert len(table) == 4
    # p00: 1 2 3; p01: both solved, 1.5 1.5 3; p02: 2.5 2.5 1; p03: a alone.
    assert mean_ranks(table).to_dict() == {"a": 5 / 3, "b": 2.0, "c": 7 / 3}
    log3 = math.log10(3)
    assert mean_log10(table)["a"] == pytest.approx((0 - 8 + log3) / 3)
    assert mean_log10(table)["c"] == pytest.approx((log3 + math.log10(5)) / 3)


def test_comparison_by_hand() -> None:
    ours = constant("gamma", [1.0] * 6)
    rivals = [
        *constant("x", [10.0, 10**1.5, 100.0, 10**2.5, 1000.0, 10**3.5]),
        *constant("y", [10.0, 100.0, 1000.0, 0.1, 1.0]),
    ]
    tests = compare(regrets(ours + rivals, 12), "gamma", ["x", "y", "absent"])
    assert list(tests.index) == ["x", "y"]
    # x: six differences of one sign: p = 2 / 2^6.
    x, y = tests.loc["x"], tests.loc["y"]
    assert (x["problems"], x["better"], x["equal"], x["worse"]) == (6, 6, 0, 0)
    assert x["difference"] == pytest.approx(-2.25)
    assert x["p"] == pytest.approx(2 / 64)
    # y: on five problems, one of them tied.
    assert (y["problems"], y["better"], y["equal"], y["worse"]) == (5, 3, 1, 1)
    assert y["difference"] == pytest.approx((-1 - 2 - 3 + 1) / 5)
    assert y["p"] > x["p"]
    # Holm: the smaller p twice; the larger once, but not below the one before.
    assert x["p_holm"] == pytest.approx(2 * x["p"])
    assert y["p_holm"] == pytest.approx(max(y["p"], 2 * x["p"]))


def test_repetitions_of_a_problem_count_once() -> None:
    runs = [
        record("gamma", "p", (1, 1.0), seed=0),
        record("gamma", "p", (1, 100.0), seed=1),
        record("gamma", "p", (1, 1.0), seed=2),  # the rival has no such run
        record("x", "p", (1, 10.0), seed=0),
        record("x", "p", (1, 1000.0), seed=1),
    ]
    tests = compare(regrets(runs, 12), "gamma", ["x"])
    assert tests.loc["x", "problems"] == 1
    assert tests.loc["x", "difference"] == pytest.approx(-1)


def test_each_problem_is_compared_by_its_repetitions() -> None:
    runs = [
        record(sampler, problem, (1, regret), seed=seed)
        for problem, factor in (("p", 10.0), ("q", 0.1))
        for seed in range(6)
        for sampler, regret in (("gamma", 1.0 + seed), ("x", (1.0 + seed) * factor))
    ]
    tests = compare_repetitions(regrets(runs, 12), "gamma", ["x"])
    assert list(tests.index) == [("p", "x"), ("q", "x")]
    assert tests[["better", "equal", "worse"]].to_numpy().tolist() == [[6, 0, 0], [0, 0, 6]]
    assert tests["difference"].tolist() == pytest.approx([-1, 1])
    assert tests["p_holm"].tolist() == pytest.approx([2 * 2 / 64] * 2)


def test_equal_samplers_do_not_differ() -> None:
    runs = constant("gamma", [1.0, 2.0]) + constant("x", [1.0, 2.0])
    assert compare(regrets(runs, 12), "gamma", ["x"])["p_holm"].tolist() == [1.0]


def test_significance_is_symmetric_and_corrected() -> None:
    runs = [
        *constant("a", [1.0] * 8),
        *constant("b", [10.0 + j for j in range(8)]),
        *constant("c", [10.0 + j for j in range(8)]),
    ]
    matrix = significance(regrets(runs, 12))
    np.testing.assert_array_equal(matrix, matrix.T)
    assert matrix.loc["b", "c"] == 1
    assert matrix.loc["a", "b"] == pytest.approx(3 * 2 / 2**8)
    assert matrix.loc["a", "c"] == pytest.approx(3 * 2 / 2**8)


def test_a_sampler_that_runs_for_each_budget() -> None:
    runs = [
        record("grid", "p", (1, 5.0), (12, 3.0), trials=12),
        record("grid", "p", (1, 7.0), (12, 6.0), (30, 1.0), trials=30),
    ]
    assert [regrets(runs, n)["grid"].item() for n in (12, 13, 30)] == [3, 6, 1]
    assert curves(runs)["grid"].shape == (1, 30)


def test_curves_normalised_regrets_and_targets() -> None:
    runs = [
        record("a", "p", (1, 4.0), (3, 1.0), trials=4),
        record("b", "p", (1, 12.0), (2, 0.0), trials=4),
        record("b", "q", (1, 1.0), trials=4),
    ]
    unrolled = curves(runs)
    assert {name: values.tolist() for name, values in unrolled.items()} == {
        "a": [[4, 4, 1, 1]],
        "b": [[12, FLOOR, FLOOR, FLOOR]],
    }
    relative = normalise(unrolled)  # by (4 + 12) / 2
    assert relative["a"].tolist() == [[0.5, 0.5, 0.125, 0.125]]
    assert relative["b"][0, 0] == 1
    shares = reached(unrolled, np.array([10.0, 2.0, 0.1, 0.01]))
    assert shares["a"].tolist() == [0.25, 0.25, 0.5, 0.5]
    assert shares["b"].tolist() == [0, 1, 1, 1]


def test_a_lower_value_than_was_known_becomes_the_optimum() -> None:
    runs = [
        record("a", "p", (1, 3.0), (2, -1.0)),
        record("b", "p", (1, 2.0)),
        record("a", "q", (1, 2.0)),
    ]
    assert [r.steps for r in rebase(runs)] == [((1, 4.0), (2, 0.0)), ((1, 3.0),), ((1, 2.0),)]


def test_summary_by_dimension() -> None:
    runs = [*constant("a", [1.0, 1.0]), *constant("b", [10.0, 0.1])]
    runs += [record(name, "q", (1, value), dimension=5) for name, value in (("a", 1), ("b", 10))]
    rows = {(row["d"], row["sampler"]): row for row in summary(runs)}
    assert rows["all", "a"]["rank 12"] == 1.33
    assert rows["all", "a"]["runs"] == 3
    assert rows["2", "b"]["rank 12"] == 1.5
    assert rows["2", "b"]["regret 12"] == 0
    assert rows["5", "b"]["regret 12"] == 1
    assert markdown([{"x": 1, "y": "a"}]) == "| x | y |\n| --- | --- |\n| 1 | a |"


def test_verdict() -> None:
    twelve = [10.0 + j for j in range(12)]
    runs = [
        *constant("gamma", [1.0] * 12),
        *constant("gaussian", [0.1] * 12),  # no rival
        *constant("gp-3", twelve),
        *constant("tpe", [1.0, *twelve[1:]]),
        *constant("smac", [2.0] * 3),
    ]
    found = verdicts(runs, slow={"smac"})
    first = {t.suite: t for t in found if t.target.startswith("first")}
    assert first["bbob"].met
    assert first["bbob"].measured.startswith("1.04, then tpe")
    assert set(first) == {"bbob", "bbob, d = 2"}
    (slow,) = [t for t in found if "smac" in t.target]
    assert not slow.met  # three problems cannot be significant
    assert slow.measured.startswith("1.00 to 2.00")
    (margin,) = [t for t in found if "below gp-3's" in t.target]
    assert margin.met

    better = [*runs, *constant("gp", [0.5] * 12)]
    assert not next(t for t in verdicts(better) if t.suite == "bbob").met


def test_verdict_on_outliers(monkeypatch: pytest.MonkeyPatch) -> None:
    # Spoilt are the third trial and the last one, whose value teaches nothing any more.
    last = [(n in (3, 50), 0.0) for n in range(1, 51)]
    monkeypatch.setattr("benchmarks.samplers.verdict.accidents", lambda seed: iter(last))

    def runs(sampler: str, clean: float, spoilt: float) -> list[RunRecord]:
        return [
            record(sampler, f"{name}+{kind}", *steps, suite="outliers", trials=50)
            for kind, steps in (
                ("clean", ((1, 100.0), (49, 10.0 * clean), (50, clean))),
                ("inf", ((1, spoilt),)),
            )
            for name in ("f01", "f02")
        ]

    (target,) = verdicts([*runs("gamma", 1.0, 1.2), *runs("gp", 1.0, 100.0)])
    assert (target.suite, target.met) == ("outliers, inf", True)
    assert target.measured == (
        "+0.08 ± 0.00: leaving the values out costs +1.00 ± 0.00, the rest -0.92 ± 0.00; gp +2.00"
    )
    (target,) = verdicts([*runs("gamma", 1.0, 1.3), *runs("gp", 1.0, 1.0)])
    assert not target.met
    means = harm([*runs("gamma", 1.0, 1.2), *runs("gp", 1.0, 100.0)], 50)
    assert means["left out"].tolist() == pytest.approx([1.0, 1.0])


def test_report_with_missing_and_slow_runs(tmp_path: Path) -> None:
    runs = [
        *constant("gamma", [1.0, 2.0, 3.0]),
        *constant("tpe", [2.0, 3.0, 1.0]),
        *constant("random", [5.0, 6.0]),
        *constant("botorch", [1.5]),
    ]
    report(runs, {"botorch"}, tmp_path, "hand")
    text = (tmp_path / "samplers-bbob-hand.md").read_text()
    assert "| all | gamma | 2 | 1.0 |" in text
    assert "| 12 | random | 2 | 2 | 0 | 0 |" in text
    assert "| 12 | tpe | 3 | 2 | 0 | 1 |" in text
    assert "botorch, which are slow, ran `p00` only." in text
    assert "| 12 | botorch | 1 | 1 | 0 | 0 |" in text
    assert (tmp_path / "samplers-verdict-hand.md").exists()
    report(constant("botorch", [1.5]), {"botorch"}, tmp_path, "alone")
