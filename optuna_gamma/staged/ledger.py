"""What a stage's trials say: its budget, who counts, which trial is promoted. Pure functions.

**The budget is exact without a lock.** A worker that wants to run a trial appends one to the
study: already RUNNING, with its lease and this protocol's record in the same write. Storages
number trials one by one, so of the run's trials in the order of their numbers the first ``budget``
count, and a worker whose trial came too late parks it (state WAITING) and looks on. A trial's rank
is its token: no two trials have the same one.

**The budget can grow, but never after the fact.** Each trial's record has the budget its worker
was asked for, and the largest one among the trials *that count* is the stage's. A stage whose
trials are all finished can thus not be extended any more (finished trials cannot be changed),
unless none of them can be promoted. So promotion, which asks for all trials to be finished, has
one answer for ever, and whoever computes it gets the same one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
import copy
from dataclasses import asdict
from dataclasses import dataclass
from typing import Any
from typing import Literal

from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_gamma.staged.identity import Direction


RECORD_KEY = "gamma:trial"
_RESULT_KEY = "gamma:result:"


Kind = Literal["probe"]
"""What a trial is for. A probe counts against the budget and may be promoted; trials of other
kinds, such as a further run of a stage's winner, would not, and are left alone here. Who writes
them first has to raise the schema version of ``run.json``, so that workers which do not know them
stay away."""


@dataclass(frozen=True)
class Parent:
    """The checkpoint a trial starts from.

    Attributes:
        stage: Number of the stage that made it; so far always the one before the trial's.
        trial: Number of the trial that made it, in its study.
        sha256: Hash of its checkpoint.
    """

    stage: int
    trial: int
    sha256: str


@dataclass(frozen=True)
class TrialRecord:
    """What a trial is created with.

    Attributes:
        run: Id of the run.
        n_trials: Budget of the stage as its worker was asked for.
        n_stages: Stages of the run as its worker was asked for.
        parent: Where the trial starts, :obj:`None` in stage 0. Kept per trial, so that trials of
            one stage may come to start from different ones.
        kind: What the trial is for.
        fingerprint: What the objective said that it is; in the first trial of stage 0 only.
    """

    run: str
    n_trials: int
    n_stages: int
    parent: Parent | None
    kind: Kind = "probe"
    fingerprint: dict[str, Any] | None = None

    @staticmethod
    def of(trial: FrozenTrial) -> TrialRecord | None:
        """Return a trial's record; :obj:`None` if no staged study created the trial."""
        value = trial.system_attrs.get(RECORD_KEY)
        if value is None:
            return None
        parent = Parent(**value["parent"]) if value["parent"] is not None else None
        return TrialRecord(**{**value, "parent": parent})

    def to_json(self) -> dict[str, Any]:
        """Return the record as a JSON value."""
        return asdict(self)


def result_attr(lease: str, value: float, sha256: str) -> tuple[str, dict[str, Any]]:
    """Return key and value of the attribute that ties a value to the weights that had it.

    The key has the lease: should a worker that lost its trial wake up just before it tells, its
    value still goes with its own weights.
    """
    return f"{_RESULT_KEY}{lease}", {"value": value, "sha256": sha256}


def checkpoint_of(trial: FrozenTrial) -> str | None:
    """Return the hash of the weights a COMPLETE trial's value belongs to; else :obj:`None`."""
    if trial.state != TrialState.COMPLETE:
        return None
    results = [v for k, v in trial.system_attrs.items() if k.startswith(_RESULT_KEY)]
    if not results:
        return None
    told = min(results, key=lambda result: (result["value"] != trial.value, result["sha256"]))
    return str(told["sha256"])


class _Fold:
    """What a stage's first trials come to; further ones are added in the order of their numbers.

    Attributes:
        n_seen: How many trials of the study were added, of whatever run.
        owner: Id of the run whose trial came first.
        ours: The run's trials, by rank; the first ``budget`` count.
        n_stages: The most stages that a worker was asked for.
        budget: How many trials count.
        best: The best one of those that count and have a checkpoint.
    """

    def __init__(self, run: str, sign: float) -> None:
        self._run = run
        self._sign = sign
        self.n_seen = 0
        self.owner: str | None = None
        self.ours: list[FrozenTrial] = []
        self.n_stages = 0
        self.budget = 0
        self.best: FrozenTrial | None = None
        self._best_value = 0.0
        self._n_counted = 0
        self._n_unfinished = 0
        self._is_closed = False

    def copy(self) -> _Fold:
        copied = copy.copy(self)
        copied.ours = self.ours.copy()
        return copied

    def add(self, trial: FrozenTrial) -> None:
        self.n_seen += 1
        record = trial.system_attrs.get(RECORD_KEY)
        if record is None:
            return
        self.owner = self.owner or record["run"]
        if (
            record["run"] != self._run
            or record["kind"] != "probe"
            or trial.state == TrialState.WAITING
        ):
            return
        rank = len(self.ours)
        self.ours.append(trial)
        self.n_stages = max(self.n_stages, record["n_stages"])
        if self._is_extended_by(rank, record["n_trials"]):
            self.budget = max(self.budget, record["n_trials"])
        for counted in self.ours[self._n_counted : self.budget]:
            self._count(counted)

    def _is_extended_by(self, rank: int, n_trials: int) -> bool:
        if rank == 0 or rank < self.budget:
            return True
        # Too late for the budget, unless all of it is finished and there is nothing to promote.
        self._is_closed = self._is_closed or self.best is not None or self._n_unfinished > 0
        # Who would not count itself will be parked.
        return not self._is_closed and rank < n_trials

    def _count(self, trial: FrozenTrial) -> None:
        self._n_counted += 1
        self._n_unfinished += not trial.state.is_finished()
        if trial.state != TrialState.COMPLETE:
            return
        value = self._sign * (trial.value or 0.0)
        is_better = self.best is None or value > self._best_value
        if is_better and checkpoint_of(trial) is not None:
            self.best, self._best_value = trial, value


class Ledger:
    """A stage as its trials have it, at one moment.

    Args:
        trials: All trials of the stage's study, ordered by number.
        run: Id of the run.
        direction: Which values are better.
        earlier: A ledger of the same stage that was read before. It saves the time to go through
            the trials that were finished then, and changes nothing.
    """

    def __init__(
        self,
        trials: Sequence[FrozenTrial],
        run: str,
        direction: Direction,
        earlier: Ledger | None = None,
    ) -> None:
        if earlier is None:
            self._settled = _Fold(run, 1.0 if direction == "maximize" else -1.0)
        else:
            self._settled = earlier._settled.copy()
        fold = self._settled
        for trial in trials[fold.n_seen :]:
            if trial.state == TrialState.RUNNING and fold is self._settled:
                fold = self._settled.copy()  # from here on it may change
            fold.add(trial)
        n_settled = len(self._settled.ours)
        self.owner = fold.owner
        """Id of the run whose trial came first: the study is its, and nobody else's."""
        self.n_stages = fold.n_stages
        """The most stages that a worker of this stage was asked for."""
        self.budget = fold.budget
        """How many trials the stage has, finished or not, once all have begun."""
        self.best = fold.best
        """The best trial so far that has a checkpoint; of equal ones the first."""
        self.trials = tuple(fold.ours[: fold.budget])
        """The trials that count, by their ranks."""
        self.unfinished = tuple(t for t in self.trials[n_settled:] if not t.state.is_finished())
        """The trials that count and are being run, by a worker dead or alive."""
        late = fold.ours[max(n_settled, fold.budget) :]
        self.surplus = tuple(trial for trial in late if trial.state == TrialState.RUNNING)
        """Those that came too late, and that their workers have not parked yet."""

    @property
    def n_finished(self) -> int:
        """How many trials that count are finished."""
        return len(self.trials) - len(self.unfinished)

    @property
    def is_spent(self) -> bool:
        """Whether all trials of the budget are finished."""
        return 0 < self.budget == len(self.trials) and not self.unfinished

    @property
    def promoted(self) -> FrozenTrial | None:
        """The best trial of a spent budget: what the next stage starts from."""
        return self.best if self.is_spent else None

    def rank(self, trial_number: int) -> int | None:
        """Return the rank of a trial, :obj:`None` if it does not count."""
        rank = bisect_left(self.trials, trial_number, key=lambda trial: trial.number)
        if rank < len(self.trials) and self.trials[rank].number == trial_number:
            return rank
        return None

    def has_finished(self, trial_number: int) -> bool:
        """Whether a trial counts and is finished."""
        rank = self.rank(trial_number)
        return rank is not None and self.trials[rank].state.is_finished()
