from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import optuna
import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.record import Preset
from benchmarks.record import Purpose
from benchmarks.samplers.setting import Setting
from benchmarks.samplers.suites.bbob import Bbob
from benchmarks.samplers.suites.tables import Table
from benchmarks.transfer.jobs import Job
from benchmarks.transfer.jobs import run
from benchmarks.transfer.methods import BEST
from benchmarks.transfer.methods import METHODS
from benchmarks.transfer.plan import Plan
from benchmarks.transfer.plan import PLANS
from benchmarks.transfer.report import Comparison
from benchmarks.transfer.report import summary
from benchmarks.transfer.source import SHIFT
from benchmarks.transfer.source import Shifted
from benchmarks.transfer.source import Source
from benchmarks.transfer.source import TRIALS


TARGET = Bbob(1, 1, 2)


def test_source_trials_are_those_of_a_study_and_their_values_are_spoilt() -> None:
    source = Source(TARGET, "random")
    trials = source.trials(0)
    values = [trial.value for trial in trials]
    evaluate = TARGET.start(0)
    assert len(trials) == TRIALS
    assert values == [evaluate(trial.params).value for trial in trials]
    assert values != [trial.value for trial in source.trials(1)]
    negated = [trial.value for trial in Source(TARGET, "random", "negated").trials(0)]
    shuffled = [trial.value for trial in Source(TARGET, "random", "shuffled").trials(0)]
    np.testing.assert_array_equal(negated, -np.array(values, dtype=float))
    assert sorted(shuffled) == sorted(values)  # type: ignore[type-var]
    assert shuffled != values


def test_the_optimum_of_a_shifted_function_lies_a_little_elsewhere() -> None:
    optimum = np.array(TARGET.function_object.optimum.x)
    evaluate = Shifted(TARGET).start(0)
    regrets = [
        evaluate(dict(zip(TARGET.space, optimum - SHIFT * np.array(signs), strict=True))).regret
        for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1))
    ]
    assert min(regrets) == pytest.approx(0.0, abs=1e-9)
    assert sorted(regrets)[1] > 0.1


def test_the_best_source_trials_are_enqueued() -> None:
    trials = Source(TARGET, "random").trials(0)
    setting = Setting(TARGET.space, 0, 5)
    study = METHODS["enqueued"].study("s", setting, trials)
    params = [study.ask(TARGET.space).params for _ in range(BEST)]
    assert params == [t.params for t in sorted(trials, key=lambda t: t.value or 0.0)[:BEST]]


def test_cma_es_does_without_categorical_parameters() -> None:
    spaces = [Table("hpobench", "car").space, Table("nasbench201", "cifar10").space]
    fits = [METHODS["cmaes"].fits(Setting(space, 0, 5)) for space in spaces]
    assert fits == [True, False]


def test_runs_without_a_source_are_shared_by_all_sources() -> None:
    plan = PLANS[Preset.cpu][Purpose.final]
    jobs = plan.jobs()
    without = [job for job in jobs if job.method == "none"]
    targets = {pair.target for pair in plan.pairs()}
    assert len(without) == len(targets) * len(plan.seeds)
    assert len({(job.method, job.key) for job in jobs}) == len(jobs)


def test_nothing_is_chosen_on_what_is_judged_by() -> None:
    choose, final = (PLANS[Preset.cpu][purpose] for purpose in Purpose)
    problems = [
        {
            getattr(problem, "original", problem)
            for p in plan.pairs()
            for problem in (p.target, p.problem)
        }
        for plan in (choose, final)
    ]
    assert not problems[0] & problems[1]
    assert not set(choose.seeds) & set(final.seeds)


def test_a_run_depends_on_its_job_alone() -> None:
    source = Source(Shifted(TARGET), "random")
    job = Job("source", METHODS["source"].versions(), TARGET, source, 0, 6)
    assert run(job) == run(job)
    with pytest.raises(RuntimeError, match="changed"):
        run(Job("source", "before", TARGET, source, 0, 6))


def test_trials_are_counted_to_what_the_run_without_a_source_has() -> None:
    without = ((1, 5.0), (7, 2.0), (20, 1.0))
    compared = Comparison(TARGET, without, ((1, 3.0), (3, 2.0)))
    assert compared.needed(12) == 3 / 12
    assert compared.needed(30) == np.inf
    assert compared.log_ratio(12) == 0.0
    assert compared.log_ratio(30) == pytest.approx(np.log(2.0))


def test_a_source_that_halves_the_trials_meets_the_aim() -> None:
    plan = Plan([], (1,), (2,), (1, 2), range(3), 50, ("random",))
    runs = {
        job: ((1, 5.0), (6, 1.0)) if job.source else ((1, 5.0), (12, 1.0)) for job in plan.jobs()
    }
    rows = {row["source"]: row for row in summary(plan, runs)}
    assert rows["shifted"]["needed 12"] == "0.50"
    assert rows["shifted"]["aim"] == "12: met, 30: met"
    assert rows["other instance"]["aim"] == "12: met, 30: met, 50: met"
    assert rows["none, other seed"]["needed 12"] == "1.00"
    assert rows["none, a trial later"]["needed 12"] == "1.08"


def test_the_command_goes_on_where_it_ended(tmp_path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    command = ["transfer", "--preset", "smoke", "--jobs", "1", "--out", str(tmp_path)]
    assert CliRunner().invoke(app, command).exit_code == 0
    files = sorted((tmp_path / "transfer").glob("*.jsonl"))
    assert [path.name.partition("@")[0] for path in files] == sorted(METHODS)
    before = [path.read_text() for path in files]
    rows = json.loads((tmp_path / "transfer-final-smoke.json").read_text())["rows"]

    lines = before[0].splitlines(keepends=True)
    files[0].write_text("".join(lines[:-1]) + '{"torn')
    assert CliRunner().invoke(app, command).exit_code == 0
    assert [path.read_text() for path in files] == before
    assert json.loads((tmp_path / "transfer-final-smoke.json").read_text())["rows"] == rows
    assert (tmp_path / "transfer-final-smoke.png").exists()
    assert (tmp_path / "transfer-final-smoke-methods.md").exists()
