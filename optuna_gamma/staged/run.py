"""A run as storage and directory have it: its studies, its schedule, its files."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
import sys
from typing import Any
import uuid

from optuna.distributions import BaseDistribution
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from optuna_gamma.staged.checkpoint import checkpoint_name
from optuna_gamma.staged.checkpoint import FOLDER
from optuna_gamma.staged.checkpoint import parse_checkpoint_name
from optuna_gamma.staged.checkpoint import temporary_name
from optuna_gamma.staged.directory import RunDirectory
from optuna_gamma.staged.identity import RunIdentity
from optuna_gamma.staged.ledger import checkpoint_of
from optuna_gamma.staged.ledger import Ledger
from optuna_gamma.staged.ledger import TrialRecord
from optuna_gamma.staged.schedule import StagedSchedule
from optuna_gamma.staged.schedule import StageRecord


SCHEDULE_FILE = "schedule.json"
_RUN_KEY = "gamma:run"
_PROMOTED_KEY = "promoted_trial"


@dataclass(frozen=True)
class Run:
    """All that a worker and a reader of a run need; storage and directory have the state.

    Attributes:
        identity: Which run it is.
        storage: Where its studies are.
        directory: Where its files are.
    """

    identity: RunIdentity
    storage: BaseStorage
    directory: RunDirectory
    # What never changes need not be read again: finished trials, ids.
    _ledgers: dict[int, Ledger] = field(default_factory=dict, init=False, repr=False)
    _promoted: dict[int, FrozenTrial] = field(default_factory=dict, init=False, repr=False)
    _study_ids: dict[int, int] = field(default_factory=dict, init=False, repr=False)
    _first: list[FrozenTrial] = field(default_factory=list, init=False, repr=False)

    def study_name(self, stage: int) -> str:
        """Return the name of a stage's study."""
        return f"{self.identity.study_name}/stage-{stage:03d}"

    def study_id(self, stage: int) -> int | None:
        """Return the storage's id of a stage's study, :obj:`None` if it was not opened yet."""
        if stage not in self._study_ids:
            try:
                name = self.study_name(stage)
                self._study_ids[stage] = self.storage.get_study_id_from_name(name)
            except KeyError:
                return None
        return self._study_ids[stage]

    def open_stage(self, stage: int) -> int:
        """Create a stage's study, or find it; return the storage's id.

        Raises:
            ValueError: If the study belongs to another run, or to none.
        """
        study_id = self.study_id(stage)
        if study_id is None:
            direction = StudyDirection[self.identity.direction.upper()]
            with suppress(DuplicatedStudyError):
                self.storage.create_new_study([direction], self.study_name(stage))
            study_id = self.study_id(stage)
            assert study_id is not None
        if self.owner(stage) is None:
            self.storage.set_study_system_attr(study_id, _RUN_KEY, self.identity.id)
        return study_id

    def owner(self, stage: int) -> str | None:
        """Return the id of this run if the study is its; :obj:`None` if there is no study yet.

        A study that its creator had no time to mark, and that is still empty, is nobody's.

        Raises:
            ValueError: If the study belongs to another run, or to none.
        """
        study_id = self.study_id(stage)
        if study_id is None:
            return None
        ledger = self.ledger(stage)
        if ledger is not None and ledger.owner is not None:
            return ledger.owner
        # In this order: a study is marked before it has trials.
        is_empty = self.storage.get_n_trials(study_id) == 0
        owner = self.storage.get_study_system_attrs(study_id).get(_RUN_KEY)
        if owner is None and is_empty:
            return None
        if owner != self.identity.id:
            raise self._not_ours(stage)
        return self.identity.id

    def ledger(self, stage: int) -> Ledger | None:
        """Read a stage's trials; :obj:`None` if the stage was not opened yet.

        Of a stage that is promoted they never change, and are read no more.

        Raises:
            ValueError: If another run was faster to begin a study of the same name.
        """
        known = self._ledgers.get(stage)
        if known is not None and known.promoted is not None:
            return known
        study_id = self.study_id(stage)
        if study_id is None:
            return None
        trials = self.storage.get_all_trials(study_id, deepcopy=False)
        ledger = Ledger(
            trials,  # ordered by number: storages see to it, because samplers rely on it
            self.identity.id,
            self.identity.direction,
            known,
        )
        self._ledgers[stage] = ledger
        if ledger.owner not in (None, self.identity.id):
            raise self._not_ours(stage)
        return ledger

    def promoted(self, n_stages: int = sys.maxsize) -> list[FrozenTrial]:
        """Return the promoted trials of the first ``n_stages`` stages, if so many are finished."""
        stage = 0
        while stage < n_stages:
            if stage not in self._promoted:
                ledger = self.ledger(stage)
                if ledger is None or ledger.promoted is None:
                    break
                self._promoted[stage] = ledger.promoted
            stage += 1
        return [self._promoted[number] for number in range(stage)]

    def schedule(self) -> StagedSchedule:
        """Return the promoted trials of the finished stages as the schedule they make."""
        return StagedSchedule(
            StageRecord(
                number=stage,
                params=dict(trial.params),
                value=float(trial.value or 0.0),
                user_attrs=dict(trial.user_attrs),
                trial_number=trial.number,
                checkpoint=self._checkpoint_name(stage, trial),
            )
            for stage, trial in enumerate(self.promoted())
        )

    def publish(self) -> StagedSchedule:
        """Make known what is promoted, then delete what nobody will need.

        Everything here follows from the finished trials, so any worker may do it, at any time and
        any number of times.
        """
        schedule = self.schedule()
        for record in schedule[-1:]:
            study_id = self.open_stage(record.number)
            known = self.storage.get_study_user_attrs(study_id).get(_PROMOTED_KEY)
            if known != record.trial_number:
                self.storage.set_study_user_attr(study_id, _PROMOTED_KEY, record.trial_number)
            content = schedule.to_json().encode()
            if self.directory.read(SCHEDULE_FILE) != content:
                self._write_schedule(content, record)
        self.collect(len(schedule), self.ledger(len(schedule)))
        return schedule

    def _write_schedule(self, content: bytes, last: StageRecord) -> None:
        # Named like a checkpoint in the making, so that it is collected if we are killed. Another
        # worker, or `clean`, may collect it before it is renamed, and need not write one itself.
        for _ in range(2):
            aside = temporary_name(last.number, last.trial_number, uuid.uuid4().hex)
            with suppress(FileNotFoundError):
                self.directory.write(SCHEDULE_FILE, content, aside)
                return

    def collect(
        self, stage: int, ledger: Ledger | None, *, dry_run: bool = False
    ) -> tuple[str, ...]:
        """Delete the checkpoints that are provably of no use any more.

        What stays: the promoted ones asked for, the best one of the stage in progress, and those
        of trials that are running. Files that are not checkpoints are left alone. A trial that is
        finished and not the best never will be, and a promoted one is promoted for ever: so a
        worker that knows an old state of the run deletes less than another, never more. Of a
        remote directory's local copies only the last promoted one stays.

        Args:
            stage: The stage in progress.
            ledger: Its ledger, which may be older than the storage.
            dry_run: Delete nothing.

        Returns:
            What is of no use.
        """
        promoted = list(enumerate(self.promoted(stage)))
        best: list[tuple[int, FrozenTrial]] = []
        if ledger is not None and ledger.best is not None:
            best = [(stage, ledger.best)]
        keep_all = self.identity.keep == "all"
        kept = {self.directory: promoted if keep_all else promoted[-1:]}
        if not self.directory.is_local:
            kept[self.directory.local] = promoted[-1:]
        found = []
        for directory, trials in kept.items():
            needed = {self._checkpoint_name(number, trial) for number, trial in trials + best}
            for name in directory.list(FOLDER):
                file = parse_checkpoint_name(name)
                if file is None or name in needed:
                    continue
                is_over = ledger is not None and ledger.has_finished(file.trial)
                if file.stage < stage or (file.stage == stage and is_over):
                    found.append(directory.show(name))
                    if not dry_run:
                        directory.remove(name)
        return tuple(found)

    def search_space(self) -> dict[str, BaseDistribution]:
        """Return the distributions of stage 0's first trial: part of what the run is."""
        first = self._first_trial()
        return dict(first.distributions) if first is not None else {}

    def fingerprint(self) -> dict[str, Any] | None:
        """Return what the objective of stage 0's first trial said that it is, if it did."""
        first = self._first_trial()
        record = TrialRecord.of(first) if first is not None else None
        return record.fingerprint if record is not None else None

    def _first_trial(self) -> FrozenTrial | None:
        if self._first:
            return self._first[0]
        ledger = self.ledger(0)
        if ledger is None or not ledger.trials:
            return None
        if ledger.trials[0].state.is_finished():
            self._first.append(ledger.trials[0])
        return ledger.trials[0]

    def _checkpoint_name(self, stage: int, trial: FrozenTrial) -> str:
        return checkpoint_name(stage, trial.number, str(checkpoint_of(trial)))

    def _not_ours(self, stage: int) -> ValueError:
        return ValueError(
            f"The study {self.study_name(stage)!r} in the storage was not made by the run in "
            f"{self.directory}. Give the `directory` of the run that made it, or another "
            "`study_name`."
        )
