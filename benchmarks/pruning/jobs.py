"""Runs of a sampler with a pruner on a task, and what they leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
import json
import math
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from benchmarks.lines import add_line
from benchmarks.lines import read_lines
from benchmarks.lines import versioned
from benchmarks.pruning.methods import PRUNERS
from benchmarks.pruning.methods import SAMPLERS
from benchmarks.pruning.task import EPOCHS
from benchmarks.pruning.task import Report
from benchmarks.pruning.task import SPACE
from benchmarks.pruning.task import Task
from benchmarks.samplers.setting import Setting


@dataclass(frozen=True)
class Outcome:
    """What a run comes to.

    Args:
        steps: Where the best value of a trial that was not pruned fell: epochs spent until then,
            the value, and the test error of that trial.
        trials: Number of trials.
        pruned: Number of those that were pruned.
    """

    steps: tuple[tuple[int, float, float], ...]
    trials: int
    pruned: int

    def value(self, epochs: int) -> float:
        """Look up the best value after so many epochs; infinity before there is one."""
        return min((value for spent, value, _ in self.steps if spent <= epochs), default=math.inf)

    def epochs(self, target: float) -> float:
        """Look up the epochs that a value took; infinity if it was not reached."""
        return min((spent for spent, value, _ in self.steps if value <= target), default=math.inf)


@dataclass(frozen=True)
class Job:
    """A run to be done.

    Args:
        task: What is trained.
        sampler: Label of the sampler.
        pruner: Name of the pruner.
        seed: Seed of everything.
        epochs: Epochs that are spent.
    """

    task: Task
    sampler: str
    pruner: str
    seed: int
    epochs: int

    @property
    def key(self) -> str:
        """What a stored outcome is known by."""
        return json.dumps(asdict(self), sort_keys=True)

    def run(self) -> Outcome:
        """Start trials until the epochs are spent; what the last one does beyond counts not."""
        setting = Setting(SPACE, self.seed, self.epochs // EPOCHS)
        study = optuna.create_study(
            study_name=f"{self.task.name}, {self.seed}",
            sampler=SAMPLERS[self.sampler].make(setting),
            pruner=PRUNERS[self.pruner](),
        )
        spent = 0
        steps: list[tuple[int, float, float]] = []
        while spent < self.epochs:
            trial = study.ask(SPACE)
            state, reports = _train(trial, self.task, self.seed)
            spent += len(reports)
            value = reports[-1].valid
            study.tell(trial, value if state == TrialState.COMPLETE else None, state)
            is_best = state == TrialState.COMPLETE and (not steps or value < steps[-1][1])
            if is_best and spent <= self.epochs:
                steps.append((spent, value, reports[-1].test_error()))
        pruned = study.get_trials(deepcopy=False, states=(TrialState.PRUNED,))
        return Outcome(tuple(steps), len(study.get_trials(deepcopy=False)), len(pruned))


def _train(trial: optuna.Trial, task: Task, seed: int) -> tuple[TrialState, list[Report]]:
    reports = []
    for epoch, report in enumerate(task.train(trial.params, seed), start=1):
        reports.append(report)
        trial.report(report.valid, epoch)
        if math.isnan(report.valid):
            return TrialState.FAIL, reports
        if epoch < EPOCHS and trial.should_prune():
            return TrialState.PRUNED, reports
    return TrialState.COMPLETE, reports


class Store:
    """Outcomes in a folder: a file for each version of each sampler, a line for each run.

    Args:
        folder: Where the files are; made when the first outcome comes.
        is_read_only: Whether of samplers without runs of the current version the version last
            stored is read.
    """

    def __init__(self, folder: Path, is_read_only: bool) -> None:
        self._folder = folder
        self._is_read_only = is_read_only
        self._outcomes: dict[Path, dict[str, Outcome]] = {}

    def missing(self, jobs: Sequence[Job]) -> list[Job]:
        """List what has no outcome yet."""
        return [job for job in jobs if job.key not in self._of(job.sampler)]

    def read(self, jobs: Sequence[Job]) -> dict[Job, Outcome]:
        """Return the outcomes that there are."""
        found = ((job, self._of(job.sampler).get(job.key)) for job in jobs)
        return {job: outcome for job, outcome in found if outcome is not None}

    def add(self, job: Job, outcome: Outcome) -> None:
        """Add an outcome, on disk on return."""
        content: dict[str, Any] = {"key": job.key, **asdict(outcome)}
        add_line(self._path(job.sampler), content)
        self._of(job.sampler)[job.key] = outcome

    def _path(self, sampler: str) -> Path:
        name = sampler.replace(", ", "-").replace(" ", "-")
        return versioned(self._folder, name, SAMPLERS[sampler].versions(), self._is_read_only)

    def _of(self, sampler: str) -> dict[str, Outcome]:
        path = self._path(sampler)
        if path not in self._outcomes:
            self._outcomes[path] = {
                line["key"]: Outcome(
                    tuple((int(n), value, error) for n, value, error in line["steps"]),
                    line["trials"],
                    line["pruned"],
                )
                for line in read_lines(path)
            }
        return self._outcomes[path]
