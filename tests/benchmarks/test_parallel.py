from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.parallel import run as parallel
from benchmarks.parallel.simulate import Job
from benchmarks.parallel.simulate import simulate
from benchmarks.pool import Attempt
from benchmarks.samplers.problem import Outcome
from benchmarks.samplers.suites.bbob import Bbob


PROBLEM = Bbob(1, 1, 2)


class Watched(Bbob):
    """A problem that remembers what was evaluated."""

    def start(self, seed: int):  # type: ignore[no-untyped-def]
        calls = self.__dict__.setdefault("calls", [])

        def evaluate(params):  # type: ignore[no-untyped-def]
            calls.append(tuple(params.values()))
            return Outcome(0.0, 1.0 / len(calls))

        return evaluate


def test_time_passes_as_workers_would_have_it() -> None:
    times = {}
    for workers in (1, 4):
        steps = simulate(Job("random", "", Watched(1, 1, 2), workers, 40, 0))
        assert len(steps) == 40
        times[workers] = np.array(steps)[:, 0]
        assert (np.diff(times[workers]) >= 0.0).all()
    assert 40 * 0.8 < times[1][-1] < 40 * 1.25
    assert times[4][-1] < times[1][-1] / 3.0


def test_all_samplers_meet_the_same_times() -> None:
    ends = [
        [time for time, _ in simulate(Job(sampler, "", Watched(1, 1, 2), 4, 12, 0))]
        for sampler in ("random", "tpe")
    ]
    assert ends[0] == ends[1]


def test_one_worker_is_a_study_as_always() -> None:
    steps = simulate(Job("gamma", "", PROBLEM, 1, 12, 0))
    assert steps[-1][1] < 1.0


def test_the_command_goes_on_where_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []

    def attempts(function, jobs, processes, set_up):  # type: ignore[no-untyped-def]
        for job in jobs:
            done.append(job)
            yield Attempt(job, function(job))

    monkeypatch.setattr(parallel, "attempt_all", attempts)
    command = ["parallel", "--samplers", "gamma,random", "--out", str(tmp_path)]
    for _ in range(2):
        assert CliRunner().invoke(app, command).exit_code == 0
        assert len(done) == 4
    files = sorted(path.name.partition("@")[0] for path in (tmp_path / "parallel").iterdir())
    assert files == ["gamma", "random"]
    rows = json.loads((tmp_path / "parallel-smoke.json").read_text())["rows"]
    assert [row["sampler"] for row in rows] == ["gamma", "random"] * 2
    assert (tmp_path / "parallel-smoke.png").exists()
    assert CliRunner().invoke(app, [*command[:2], "gama"]).exit_code != 0
