"""What must hold of a run, whatever happened to its workers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from benchmarks.chaos.server import CALLS_FILE
from benchmarks.chaos.server import open_storage
from benchmarks.chaos.server import STOPS_FILE
from benchmarks.chaos.server import WorkerOptions
from optuna_gamma.staged import load_staged_study
from optuna_gamma.staged import StagedSchedule
from optuna_gamma.staged import StagedStudy
from optuna_gamma.staged.checkpoint import load_checkpoint
from optuna_gamma.staged.checkpoint import parse_checkpoint_name
from optuna_gamma.staged.directory import RunDirectory


CHECKPOINTS = "checkpoints"

_NOT_COMPARED = ("journal.log", "journal.log.lock", "run.json", CALLS_FILE, STOPS_FILE)
"""Files that hold times and process ids; whoever writes next removes a dead worker's lock."""


def load(worker: WorkerOptions) -> StagedStudy:
    """Load the staged study that a worker works on."""
    return load_staged_study(
        study_name=worker.study_name,
        storage=open_storage(worker.storage),
        directory=worker.directory or worker.folder,
    )


def result(worker: WorkerOptions) -> dict[str, Any]:
    """Return all that has to be equal bit for bit in equal runs: schedule, trials, files."""
    staged = load(worker)
    folder = Path(worker.folder)
    trials = [
        [
            (t.number, t.state, t.values, t.params, t.user_attrs, t.intermediate_values)
            for t in study.get_trials()
        ]
        for study in staged.studies
    ]
    files = {
        path.name: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in _NOT_COMPARED
    }
    return {"schedule": staged.schedule, "trials": trials, "files": files}


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Name where two runs' results differ."""
    names = [name for name in expected if name != "files" and expected[name] != found[name]]
    files = expected["files"], found["files"]
    return names + sorted(
        name for name in {**files[0], **files[1]} if files[0].get(name) != files[1].get(name)
    )


def calls(worker: WorkerOptions) -> Counter[str]:
    """Count the objective's calls by "stage trial"."""
    path = Path(worker.folder) / CALLS_FILE
    return Counter(path.read_text().split("\n")[:-1] if path.exists() else [])


def n_stops(worker: WorkerOptions) -> int:
    """Count how often workers stopped themselves."""
    path = Path(worker.folder) / STOPS_FILE
    return path.read_text().count("\n") if path.exists() else 0


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment: what a later moment must still have.

    Attributes:
        finished: Finished trials, by stage and number: state, values, when they were finished.
        schedule: The promoted trials.
        n_running: Trials that are being run, by workers dead or alive.
        n_checkpoints: Files in ``checkpoints/``.
    """

    finished: dict[tuple[int, int], tuple[Any, ...]]
    schedule: StagedSchedule
    n_running: int
    n_checkpoints: int

    @staticmethod
    def of(worker: WorkerOptions) -> Snapshot | None:
        """Look at a run; :obj:`None` if there is none yet."""
        try:
            staged = load(worker)
        except KeyError:
            return None
        trials = {
            (stage, trial.number): trial
            for stage, study in enumerate(staged.studies)
            for trial in study.get_trials(deepcopy=False)
        }
        directory = RunDirectory(worker.directory or worker.folder)
        return Snapshot(
            {
                key: (trial.state, trial.values, trial.datetime_complete)
                for key, trial in trials.items()
                if trial.state.is_finished()
            },
            staged.schedule,
            sum(trial.state == TrialState.RUNNING for trial in trials.values()),
            len(directory.list(CHECKPOINTS)),
        )

    def violations(self, later: Snapshot, keep: str, n_workers: int) -> list[str]:
        """Name what a later moment lost or changed, and a disk that holds too much."""
        found = [
            f"stage {stage}, trial {number} was {there}, is {later.finished.get((stage, number))}"
            for (stage, number), there in self.finished.items()
            if later.finished.get((stage, number)) != there
        ]
        if later.schedule[: len(self.schedule)] != self.schedule:
            found.append(f"promotions changed from {self.schedule} to {later.schedule}")
        n_kept = len(later.schedule) if keep == "all" else min(1, len(later.schedule))
        # As the documentation of `keep` says; one a worker: of the trial that it told last.
        bound = n_kept + 1 + n_workers + 2 * later.n_running
        if later.n_checkpoints > bound:
            found.append(f"{later.n_checkpoints} checkpoints on disk, the bound is {bound}")
        return found


def violations(worker: WorkerOptions, n_lost: int) -> list[str]:
    """Name all that is wrong with a finished run.

    Args:
        worker: A worker of the run.
        n_lost: How many workers were killed or lost a trial, each one trial at most.
    """
    staged = load(worker)
    found = []
    if len(staged.schedule) != worker.n_stages:
        return [f"{len(staged.schedule)} of {worker.n_stages} stages are finished"]
    for study, record in zip(staged.studies, staged.schedule, strict=True):
        trials = study.get_trials(deepcopy=False)
        n_finished = sum(trial.state.is_finished() for trial in trials)
        if n_finished != worker.n_trials:
            found.append(f"{study.study_name} has {n_finished} of {worker.n_trials} trials")
        # Who came too late for the budget is parked, and never ran.
        others = [trial for trial in trials if not trial.state.is_finished()]
        if any(trial.state != TrialState.WAITING or trial.params for trial in others):
            found.append(f"{study.study_name} has unfinished trials")
        if record.trial_number != _best(study):
            found.append(f"{study.study_name} promoted trial {record.trial_number}")
        if study.user_attrs.get("promoted_trial") != record.trial_number:
            found.append(f"{study.study_name} says that {study.user_attrs} is promoted")
    counted = calls(worker)
    n_trials = worker.n_stages * worker.n_trials
    if len(counted) != n_trials or sum(counted.values()) > n_trials + n_lost:
        found.append(f"{n_trials} trials were run {dict(counted)}")
    kept = staged.schedule[-1:] if worker.keep == "last" else staged.schedule
    directory = RunDirectory(worker.directory or worker.folder)
    for record in kept:
        file = parse_checkpoint_name(record.checkpoint)
        assert file is not None
        state = load_checkpoint(directory, file.stage, file.trial, str(file.sha256))
        if len(state["weights"]) != 5:
            found.append(f"{record.checkpoint} holds {state}")
    if (names := directory.list(CHECKPOINTS)) != sorted(record.checkpoint for record in kept):
        found.append(f"on disk are {names}")
    if StagedSchedule.from_json(directory.read("schedule.json") or b"") != staged.schedule:
        found.append("schedule.json is another one")
    return found


def _best(study: optuna.Study) -> int:
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return max(trials, key=lambda trial: (trial.value, -trial.number)).number
