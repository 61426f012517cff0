"""Which trial a worker runs next: one whose worker died, or a new one while the budget lasts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
import json
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import create_trial
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_gamma.staged.checkpoint import discard_checkpoint
from optuna_gamma.staged.lease import BEAT_SECONDS
from optuna_gamma.staged.lease import GRACE_SECONDS
from optuna_gamma.staged.lease import Lease
from optuna_gamma.staged.lease import LEASE_KEY
from optuna_gamma.staged.lease import LeaseWatch
from optuna_gamma.staged.lease import MAX_DEATHS
from optuna_gamma.staged.ledger import checkpoint_of
from optuna_gamma.staged.ledger import Ledger
from optuna_gamma.staged.ledger import Parent
from optuna_gamma.staged.ledger import RECORD_KEY
from optuna_gamma.staged.ledger import TrialRecord
from optuna_gamma.staged.per_stage import PerStage
from optuna_gamma.staged.run import Run


_logger = optuna.logging.get_logger(f"optuna.{__name__}")

FAILURE_KEY = "failure"
"""User attribute of a failed trial: why it failed."""

Claim = tuple[FrozenTrial, Lease]


@dataclass(frozen=True)
class Plan:
    """How many stages and trials a worker was asked for.

    Attributes:
        n_stages: Stages of the run.
        n_trials: Trials of each stage, of all workers together.
        enqueue: Parameters of the first trials of each stage that searches.
        fingerprint: What the objective says that it is, if it does.
    """

    n_stages: int
    n_trials: PerStage
    enqueue: tuple[Mapping[str, Any], ...] = ()
    fingerprint: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.n_stages, bool) or not isinstance(self.n_stages, int):
            raise TypeError(f"`n_stages` must be an int, but got {self.n_stages!r}.")
        if self.n_stages < 1:
            raise ValueError(f"`n_stages` must be at least 1, but got {self.n_stages}.")
        for params in self.enqueue:
            if not isinstance(params, Mapping):
                raise TypeError(f"`enqueue` must hold dicts of parameters, but got {params!r}.")
            try:
                json.dumps(dict(params))
            except (TypeError, ValueError) as error:
                raise TypeError(
                    "`enqueue` must hold values that JSON knows, such as `int(x)` or `float(x)` "
                    f"of a NumPy number, but got {params!r}: {error}"
                ) from None
        most = max(self.n_trials[stage] for stage in range(self.n_stages))
        if len(self.enqueue) > most:
            raise ValueError(
                f"`enqueue` holds {len(self.enqueue)} parameter sets, but a stage has {most} "
                f"trials: give an `n_trials` of at least {len(self.enqueue)}."
            )


def searches(stage: int, n_trials: int) -> bool:
    """Whether a stage chooses parameters, and does not go on with those chosen before it."""
    return stage == 0 or n_trials > 1


class Claims:
    """Claims trials for one worker.

    Args:
        run: The run.
        plan: What the worker was asked for.
    """

    def __init__(self, run: Run, plan: Plan) -> None:
        self._run = run
        self._plan = plan
        self._watch = LeaseWatch(run.storage)
        self._told = False

    def next(self, stage: int, ledger: Ledger) -> Claim | None:
        """Claim a trial.

        None is begun while one that was RUNNING at the first call may have lost its worker: it
        comes first, as it would have if nobody had died.

        Args:
            stage: Number of the stage, which must have been opened.
            ledger: The stage's ledger.

        Returns:
            The trial and the lease on it; :obj:`None` if there is none to be had now, and then the
            ledger has to be read anew.
        """
        self._park_surplus(ledger)
        free = [trial for trial in ledger.unfinished if self._watch.is_free(trial)]
        n_in_doubt = self._watch.n_in_doubt(ledger.unfinished)
        if free:
            try:
                return self._take_over(stage, free[0], ledger)
            except UpdateFinishedTrialError:
                # Its worker was only silent, and has told at the last moment.
                return None
        # A stage whose trials all failed may be given more of them.
        has_place = len(ledger.trials) < ledger.budget or not ledger.trials or ledger.is_spent
        if has_place and not n_in_doubt:
            return self._append(stage, ledger)
        if has_place and not self._told:
            self._told = True
            _logger.info(
                f"Stage {stage}: waiting for a sign of life of {n_in_doubt} trial(s) that were "
                "begun on another machine, or before this one was last started. Workers give one "
                f"every {BEAT_SECONDS:g} seconds; a trial without one for {GRACE_SECONDS:g} "
                "seconds will be taken over before new ones are begun."
            )
        return None

    def park_surplus(self, stage: int) -> None:
        """Park a stage's trials that came too late and whose workers died before they could.

        Left alone they would stay RUNNING for ever.
        """
        ledger = self._run.ledger(stage)
        if ledger is not None:
            self._park_surplus(ledger)

    def _park_surplus(self, ledger: Ledger) -> None:
        for trial in ledger.surplus:
            if self._watch.is_free(trial):
                self._park(trial._trial_id)

    def _take_over(self, stage: int, trial: FrozenTrial, ledger: Ledger) -> Claim | None:
        storage, trial_id = self._run.storage, trial._trial_id
        dead = Lease.of(trial)
        lease = self._watch.take_over(trial)
        if lease is None:
            return None
        discard_checkpoint(self._run.directory, stage, trial.number, dead.id)
        if lease.deaths >= MAX_DEATHS:
            reason = f"The worker of this trial died {lease.deaths} times."
            _logger.warning(f"Stage {stage}, trial {trial.number} failed: {reason}")
            storage.set_trial_user_attr(trial_id, FAILURE_KEY, reason)
            storage.set_trial_state_values(trial_id, TrialState.FAIL)
            return None
        _logger.info(f"Stage {stage}: taking over trial {trial.number}, whose worker is gone.")
        record = TrialRecord.of(trial)
        assert record is not None
        # While it is held and unfinished, the trial can still extend the stage.
        extended = replace(
            record,
            n_trials=max(record.n_trials, self._plan.n_trials[stage]),
            n_stages=max(record.n_stages, self._plan.n_stages),
        )
        with lease.released_on_error(storage, trial_id):
            if extended != record:
                storage.set_trial_system_attr(trial_id, RECORD_KEY, extended.to_json())
            return self._enqueue(stage, storage.get_trial(trial_id), ledger), lease

    def _append(self, stage: int, ledger: Ledger) -> Claim | None:
        storage = self._run.storage
        lease = Lease.new()
        record = TrialRecord(
            run=self._run.identity.id,
            n_trials=max(self._plan.n_trials[stage], ledger.budget),
            n_stages=max(self._plan.n_stages, ledger.n_stages),
            parent=self._parent(stage),
            fingerprint=None if stage > 0 or ledger.trials else self._plan.fingerprint,
        )
        study_id = self._run.study_id(stage)
        assert study_id is not None
        trial_id = storage.create_new_trial(
            study_id,
            create_trial(
                state=TrialState.RUNNING,
                system_attrs={RECORD_KEY: record.to_json(), LEASE_KEY: lease.to_json()},
            ),
        )
        trial = None
        try:
            now = self._run.ledger(stage)
            trials = now.trials if now is not None else ()
            trial = next((t for t in reversed(trials) if t._trial_id == trial_id), None)
        finally:
            if trial is None:
                # Another worker took the last place between our look and our write, or the study.
                self._park(trial_id)
        if trial is None or now is None:
            return None
        with lease.released_on_error(storage, trial_id):
            return self._enqueue(stage, trial, now), lease

    def _park(self, trial_id: int) -> None:
        self._run.storage.set_trial_state_values(trial_id, TrialState.WAITING)

    def _parent(self, stage: int) -> Parent | None:
        if stage == 0:
            return None
        promoted = self._run.promoted(stage)[-1]
        return Parent(stage - 1, promoted.number, str(checkpoint_of(promoted)))

    def _enqueue(self, stage: int, trial: FrozenTrial, ledger: Ledger) -> FrozenTrial:
        rank = ledger.rank(trial.number)
        if not searches(stage, max(self._plan.n_trials[stage], ledger.budget)):
            params = dict(self._run.promoted(stage)[-1].params)
        elif rank is None or rank >= len(self._plan.enqueue):
            return trial
        else:
            params = dict(self._plan.enqueue[rank])
        there = trial.system_attrs.get("fixed_params")
        # A trial that was begun without keeps what it has. One that was begun with others has them
        # corrected, as far as it had not come to them.
        if there == params or (there is None and trial.params):
            return trial
        # What `Study.enqueue_trial` writes.
        self._run.storage.set_trial_system_attr(trial._trial_id, "fixed_params", params)
        return self._run.storage.get_trial(trial._trial_id)
