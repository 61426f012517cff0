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

from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
import functools
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


class Ledger:
    """A stage as its trials have it, at one moment.

    Args:
        trials: All trials of the stage's study, ordered by number.
        run: Id of the run.
        direction: Which values are better.
    """

    def __init__(self, trials: Sequence[FrozenTrial], run: str, direction: Direction) -> None:
        self._sign = 1.0 if direction == "maximize" else -1.0
        # Read often, so without making a `TrialRecord` each time.
        records = [(t, t.system_attrs[RECORD_KEY]) for t in trials if RECORD_KEY in t.system_attrs]
        self.owner: str | None = records[0][1]["run"] if records else None
        """Id of the run whose trial came first: the study is its, and nobody else's."""
        ours = [
            (trial, record)
            for trial, record in records
            if record["run"] == run
            and record["kind"] == "probe"
            and trial.state != TrialState.WAITING
        ]
        self.n_stages: int = max((record["n_stages"] for _, record in ours), default=0)
        """The most stages that a worker of this stage was asked for."""
        self.budget: int = ours[0][1]["n_trials"] if ours else 0
        """How many trials the stage has, finished or not, once all have begun."""
        for rank, (_, record) in enumerate(ours):
            if rank >= self.budget:
                first = [trial for trial, _ in ours[: self.budget]]
                if self._best(first) is not None or not all(t.state.is_finished() for t in first):
                    break
                if rank >= record["n_trials"]:
                    continue  # it would not count itself, and will be parked
            self.budget = max(self.budget, record["n_trials"])
        self.trials = tuple(trial for trial, _ in ours[: self.budget])
        """The trials that count, by their ranks."""
        self.surplus = tuple(t for t, _ in ours[self.budget :] if t.state == TrialState.RUNNING)
        """Those that came too late, and that their workers have not parked yet."""

    @functools.cached_property
    def unfinished(self) -> tuple[FrozenTrial, ...]:
        """The trials that count and are being run, by a worker dead or alive."""
        return tuple(trial for trial in self.trials if not trial.state.is_finished())

    @property
    def is_spent(self) -> bool:
        """Whether all trials of the budget are finished."""
        return 0 < self.budget == len(self.trials) and not self.unfinished

    @functools.cached_property
    def best(self) -> FrozenTrial | None:
        """The best trial so far that has a checkpoint; of equal ones the first."""
        return self._best(self.trials)

    @property
    def promoted(self) -> FrozenTrial | None:
        """The best trial of a spent budget: what the next stage starts from."""
        return self.best if self.is_spent else None

    def rank(self, trial_number: int) -> int | None:
        """Return the rank of a trial, :obj:`None` if it does not count."""
        numbers = [trial.number for trial in self.trials]
        return numbers.index(trial_number) if trial_number in numbers else None

    def _best(self, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
        best, best_value = None, 0.0
        for trial in trials:
            if trial.state != TrialState.COMPLETE:
                continue
            value = self._sign * (trial.value or 0.0)
            if (best is None or value > best_value) and checkpoint_of(trial) is not None:
                best, best_value = trial, value
        return best
