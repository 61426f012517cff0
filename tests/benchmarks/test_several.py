"""Suites with several objectives or constraints."""

from __future__ import annotations

from itertools import pairwise
import json
import math
from pathlib import Path

import numpy as np
import optuna
from optuna.samplers import RandomSampler
import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.record import Preset
from benchmarks.samplers.plan import jobs
from benchmarks.samplers.plan import PLANS
from benchmarks.samplers.problem import Problem
from benchmarks.samplers.run import Job
from benchmarks.samplers.run import run
from benchmarks.samplers.suites import select
from benchmarks.samplers.suites.coco import best_parameter
from benchmarks.samplers.suites.constrained import Constrained
from benchmarks.samplers.suites.constrained import problems as constrained_problems
from benchmarks.samplers.suites.multi import Dtlz2
from benchmarks.samplers.suites.multi import hypervolume
from benchmarks.samplers.suites.multi import Pair
from benchmarks.samplers.suites.multi import ZDT
from benchmarks.samplers.suites.multi import Zdt


def at(problem: Problem, x: list[float]) -> dict[str, float]:
    return dict(zip(problem.space, x, strict=True))


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_hypervolume_is_what_is_counted(m: int) -> None:
    rng = np.random.default_rng(m)
    for _ in range(10):
        values = rng.integers(0, 7, (12, m)) / 5.0
        cells = np.stack(np.meshgrid(*[np.arange(6)] * m), axis=-1).reshape(-1, m) / 5.0
        covered = (values[:, None] <= cells).all(axis=2).any(axis=0).sum() / 5.0**m
        assert hypervolume(values, np.full(m, 1.2)) == pytest.approx(covered)


@pytest.mark.parametrize("function", ZDT)
def test_the_front_of_zdt_is_all_there_is(function: str) -> None:
    evaluate = Zdt(function, 3).start(0)
    for x in np.linspace(0, 1, 1001).tolist():
        outcome = evaluate({"x00": x, "x01": 0.0, "x02": 0.0})
    assert 0.0 <= outcome.regret < 0.02


def test_the_front_of_dtlz2_is_a_sphere() -> None:
    rng = np.random.default_rng(0)
    for m in (2, 3):
        problem = Dtlz2(m, 4)
        evaluate = problem.start(0)
        for row in rng.random((80, m - 1)).tolist():
            outcome = evaluate(at(problem, [*row, *[0.5] * (5 - m)]))
            assert isinstance(outcome.value, tuple)
            assert len(outcome.value) == m
            assert math.hypot(*outcome.value) == pytest.approx(1.0)
        assert 0.0 < outcome.regret < 0.25


def test_pairs_are_measured_between_ideal_and_nadir() -> None:
    problem = Pair(1, 2, 2)  # two spheres: along the line between their centres lies the front
    pair = optuna.create_study(directions=["minimize"] * 2, sampler=RandomSampler(seed=0))
    evaluate, missed = problem.start(0), []
    for _ in range(300):
        missed.append(evaluate(pair.ask(problem.space).params).regret)
    assert all(a > b - 1e-12 for a, b in pairwise(missed))
    assert 1 - 5 / 6 < missed[-1] < 0.3  # of spheres the front leaves a sixth
    assert missed[0] > missed[-1]


def test_constrained_optimum() -> None:
    for problem in constrained_problems((2,), (1, 3)):
        assert isinstance(problem, Constrained)
        evaluate = problem.start(0)
        best = evaluate(at(problem, best_parameter(problem._open())))
        assert best.regret == 0.0
        assert max(best.constraints.values()) <= 1e-6
        rng = np.random.default_rng(0)
        for row in rng.uniform(-5, 5, (10, 2)).tolist():
            outcome = evaluate(at(problem, row))
            if max(outcome.constraints.values()) <= 0.0:
                assert isinstance(outcome.value, float)
                assert outcome.value >= problem.optimum


def test_a_run_tells_values_and_constraints() -> None:
    record = run(Job("random", "1", Dtlz2(3, 4), 0, 5))
    assert record.steps[0][0] == 1
    constrained = select("bbob-constrained", (2,), (1,), ["f01-*"])[0]
    assert run(Job("tpe", "1", constrained, 0, 5)).regret(5) < math.inf


def test_who_takes_part() -> None:
    versions = {"gamma": "1", "cmaes": "1", "nsga2": "1"}
    for suite, absent in (("zdt", "cmaes"), ("bbob-constrained", "cmaes"), ("bbob", "nsga2")):
        listed = jobs(suite, PLANS[Preset.smoke][suite], versions)
        assert {job.sampler for job in listed} == versions.keys() - {absent}


def test_command_end_to_end(tmp_path: Path) -> None:
    command = ["samplers", "--samplers", "random,tpe", "--out", str(tmp_path), "--jobs", "1"]
    for suite in ("zdt", "bbob-constrained"):
        command += ["--suite", suite]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    for suite in ("zdt", "bbob-constrained"):
        content = json.loads((tmp_path / f"samplers-{suite}-smoke.json").read_text())
        assert {row["sampler"] for row in content["rows"]} == {"random", "tpe"}
