"""Runs of a study with source trials, and what they leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import json
from pathlib import Path

from benchmarks.lines import add_line
from benchmarks.lines import read_lines
from benchmarks.lines import versioned
from benchmarks.samplers.problem import Problem
from benchmarks.samplers.problem import study_name
from benchmarks.samplers.problem import study_seed
from benchmarks.samplers.record import shorten
from benchmarks.samplers.setting import Setting
from benchmarks.transfer.methods import METHODS
from benchmarks.transfer.source import Source
from benchmarks.transfer.source import TRIALS


Steps = tuple[tuple[int, float], ...]
"""Where the lowest regret so far fell: number of trials until then, regret."""


@dataclass(frozen=True)
class Job:
    """A run to be done.

    Args:
        method: What is done with the source trials, of :data:`METHODS`.
        version: Versions of what proposes.
        target: What is to be solved.
        source: Where the source trials are from; none, there are none.
        seed: Number of the repetition.
        trials: Number of trials.
    """

    method: str
    version: str
    target: Problem
    source: Source | None
    seed: int
    trials: int

    @property
    def key(self) -> str:
        """What stored steps are known by."""
        content = {
            "target": [self.target.suite, self.target.source, self.target.name],
            "source": self.source
            and [
                self.source.problem.suite,
                self.source.problem.name,
                self.source.sampler,
                self.source.values,
                TRIALS,
            ],
            "seed": self.seed,
            "trials": self.trials,
        }
        return json.dumps(content)


def run(job: Job) -> Steps:
    """Run a study; its name and seed, and the source trials, are the same for all methods.

    Raises:
        RuntimeError: If the sources of the sampler changed since the job was planned.
    """
    method, target = METHODS[job.method], job.target
    if method.versions() != job.version:
        raise RuntimeError("The sources changed when the benchmark started: start it again.")
    seed = study_seed(target.suite, target.name, job.seed)
    trials = job.source.trials(job.seed) if job.source else []
    name = study_name(target.suite, target.name, job.seed)
    study = method.study(name, Setting(target.space, seed, job.trials), trials)
    evaluate = target.start(seed)
    steps: list[tuple[int, float]] = []
    for n in range(1, job.trials + 1):
        trial = study.ask(target.space)
        outcome = evaluate(trial.params)
        study.tell(trial, outcome.value)
        regret = shorten(outcome.regret)
        if not steps or regret < steps[-1][1]:
            steps.append((n, regret))
    return tuple(steps)


class Store:
    """Steps in a folder: a file for each version of each method, a line for each run.

    Args:
        folder: Where the files are; made when the first steps come.
        is_read_only: Whether of methods without runs of the current version the version last
            stored is read.
    """

    def __init__(self, folder: Path, is_read_only: bool) -> None:
        self._folder = folder
        self._is_read_only = is_read_only

    def read(self, jobs: Sequence[Job]) -> dict[Job, Steps]:
        """Return what there is of some jobs."""
        paths = {job: self._path(job) for job in jobs}
        known = {
            (path, line["key"]): tuple((int(n), float(regret)) for n, regret in line["steps"])
            for path in dict.fromkeys(paths.values())
            for line in read_lines(path)
        }
        found = ((job, known.get((path, job.key))) for job, path in paths.items())
        return {job: steps for job, steps in found if steps is not None}

    def add(self, job: Job, steps: Steps) -> None:
        """Add steps, on disk on return."""
        add_line(self._path(job), {"key": job.key, "steps": steps})

    def _path(self, job: Job) -> Path:
        return versioned(self._folder, job.method, job.version, self._is_read_only)
