"""One run, and many over processes."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import statistics
import time
from typing import Any

import optuna

from benchmarks.pool import Attempt
from benchmarks.pool import attempt_all
from benchmarks.samplers.contenders import CONTENDERS
from benchmarks.samplers.contenders import own_version
from benchmarks.samplers.problem import DefineByRun
from benchmarks.samplers.problem import Problem
from benchmarks.samplers.problem import study_name
from benchmarks.samplers.problem import study_seed
from benchmarks.samplers.record import Key
from benchmarks.samplers.record import RunRecord
from benchmarks.samplers.record import shorten
from benchmarks.samplers.setting import Setting
from benchmarks.samplers.variants import VARIANTS


ENTRANTS = CONTENDERS | VARIANTS
"""All that can run, by the label that tables and files bear."""


@dataclass(frozen=True)
class Job:
    """A run to be done.

    Args:
        sampler: Label of the sampler.
        version: Versions of what proposes.
        problem: The problem.
        seed: Number of the repetition.
        trials: Number of trials.
    """

    sampler: str
    version: str
    problem: Problem
    seed: int
    trials: int

    @property
    def key(self) -> Key:
        """What its record will be known by."""
        return Key(
            self.sampler,
            self.version,
            self.problem.suite,
            self.problem.source,
            self.problem.name,
            self.seed,
            self.trials,
        )


def run(job: Job) -> RunRecord:
    """Run one sampler on one problem.

    The study's name and seed depend on the problem and the number of the repetition alone, so
    that all samplers meet the same noise, and each run can be repeated.

    Args:
        job: What to run.

    Returns:
        Its record.
    """
    problem = job.problem
    seed = study_seed(problem.suite, problem.name, job.seed)
    times, steps, lowest = [], [], float("inf")
    start = time.perf_counter()
    study = optuna.create_study(
        directions=["minimize"] * problem.n_objectives,
        study_name=study_name(problem.suite, problem.name, job.seed),
        sampler=ENTRANTS[job.sampler].make(Setting(problem.space, seed, job.trials)),
    )
    spent = time.perf_counter() - start
    evaluate = problem.start(seed)
    for n in range(1, job.trials + 1):
        start = time.perf_counter()
        trial, params = _ask(study, problem)
        spent += time.perf_counter() - start
        outcome = evaluate(params)
        start = time.perf_counter()
        for key, value in outcome.constraints.items():
            trial.set_constraint(key, value)
        study.tell(trial, outcome.value)
        times.append(spent + time.perf_counter() - start)
        spent = 0.0
        if outcome.regret < lowest:
            lowest = outcome.regret
            steps.append((n, shorten(lowest)))
    return RunRecord(
        sampler=job.sampler,
        version=job.version,
        suite=problem.suite,
        source=problem.source,
        problem=problem.name,
        dimension=problem.dimension,
        seed=job.seed,
        trials=job.trials,
        steps=tuple(steps),
        seconds=shorten(sum(times)),
        milliseconds=shorten(1e3 * statistics.median(times)),
    )


def _ask(study: optuna.Study, problem: Problem) -> tuple[optuna.Trial, Mapping[str, Any]]:
    if isinstance(problem, DefineByRun):
        trial = study.ask()
        return trial, problem.suggest(trial)
    trial = study.ask(problem.space)
    return trial, trial.params


def run_all(jobs: Sequence[Job], processes: int) -> Iterator[Attempt[Job, RunRecord]]:
    """Run jobs over processes; see :func:`benchmarks.pool.attempt_all`."""
    # The version is that of the sources that a process imports when it starts.
    yield from attempt_all(_run_current, jobs, processes, set_up=own_version)


def _run_current(job: Job) -> RunRecord:
    contender = ENTRANTS.get(job.sampler)
    if contender and contender.is_ours and contender.versions() != job.version:
        raise RuntimeError("The sources changed when the benchmark started: start it again.")
    return run(job)
