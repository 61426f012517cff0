"""Workers that evaluate trials at the same time, by a clock that nobody waits for."""

from __future__ import annotations

from dataclasses import dataclass
import heapq

import numpy as np
import optuna

from benchmarks.samplers.contenders import CONTENDERS
from benchmarks.samplers.problem import Problem
from benchmarks.samplers.problem import study_name
from benchmarks.samplers.problem import study_seed
from benchmarks.samplers.record import shorten
from benchmarks.samplers.setting import Setting


SIGMA = 0.5
"""Standard deviation of the logarithm of evaluation times, which are log-normal with mean one."""


@dataclass(frozen=True)
class Job:
    """A run to be done.

    Args:
        sampler: Label of the sampler.
        version: Versions of what proposes.
        problem: The problem.
        workers: Number of workers.
        trials: Number of trials.
        seed: Number of the repetition.
    """

    sampler: str
    version: str
    problem: Problem
    workers: int
    trials: int
    seed: int


def simulate(job: Job) -> list[tuple[float, float]]:
    """Run a study whose trials take random times, each worker asking when its last one has ended.

    Evaluation times are by the trial's number and the same for all samplers; proposing takes none.

    Args:
        job: What to run.

    Returns:
        Where the lowest regret so far fell: time, in mean evaluation times, and regret.
    """
    problem, seed = job.problem, study_seed(job.problem.suite, job.problem.name, job.seed)
    sigmas = np.random.default_rng(seed).standard_normal(job.trials)
    durations = np.exp(SIGMA * sigmas - 0.5 * SIGMA**2)
    study = optuna.create_study(
        study_name=study_name(problem.suite, problem.name, job.seed),
        sampler=CONTENDERS[job.sampler].make(Setting(problem.space, seed, job.trials)),
    )
    evaluate = problem.start(seed)
    running: list[tuple[float, int, optuna.Trial]] = []
    now, lowest = 0.0, float("inf")
    steps = []
    for number in range(job.trials + job.workers):
        if number >= job.workers:
            now, _, ended = heapq.heappop(running)
            outcome = evaluate(ended.params)
            study.tell(ended, outcome.value)
            if outcome.regret < lowest:
                lowest = outcome.regret
                steps.append((shorten(now), shorten(lowest)))
        if number < job.trials:
            trial = study.ask(problem.space)
            heapq.heappush(running, (now + float(durations[number]), number, trial))
    return steps
