"""What a study has seen so far, as the model wants it: each trial is transformed once.

n: Number of finished trials that have all parameters of the space, but for optional ones, each in
    its range.
d: Number of parameters.
m: Number of objectives.
k: Number of running trials that have them, or will.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import copy
from dataclasses import dataclass
import math
import threading
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.search_space import IntersectionSearchSpace
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray
from optuna_gamma.bo.learning_curve import impute
from optuna_gamma.conditional import Union
from optuna_gamma.learning_curves import LearningCurves
from optuna_gamma.pending import params_in
from optuna_gamma.pending import proposed
from optuna_gamma.space import Space


@dataclass(frozen=True)
class Column:
    """What finished trials tell of one quantity, in the order of their numbers.

    Args:
        X: Their points, (n, d).
        values: Its values, (n,).
        numbers: Their numbers, (n,).
        is_complete: Which of them were completed, (n,).
        noise: Noise ratio of the values beyond that of all, (n,).
    """

    X: Array
    values: Array
    numbers: NDArray[np.intp]
    is_complete: BoolArray
    noise: Array

    def __getitem__(self, chosen: NDArray[np.intp] | BoolArray) -> Column:
        return Column(
            self.X[chosen],
            self.values[chosen],
            self.numbers[chosen],
            self.is_complete[chosen],
            self.noise[chosen],
        )


@dataclass(frozen=True)
class Observations:
    """Trials in the terms of the model, in the order of their numbers.

    Args:
        X: Points of finished trials, (n, d).
        values: Their values of each objective, to be maximised; −∞ for those that failed; of
            those that were pruned what they might have come to, (n, m).
        constraints: Values of each constraint by its key, the keys in alphabetical order; feasible
            up to zero, NaN where a trial has none, (n,).
        numbers: Their numbers, (n,).
        is_complete: Which of them were completed, (n,).
        pending: Points of running trials, (k, d).
        running: Their numbers, (k,).
        noise: Noise ratio of the values beyond that of all, (n,).
    """

    X: Array
    values: Array
    constraints: Mapping[str, Array]
    numbers: NDArray[np.intp]
    is_complete: BoolArray
    pending: Array
    running: NDArray[np.intp]
    noise: Array

    def __getitem__(self, chosen: NDArray[np.intp]) -> Observations:
        return Observations(
            self.X[chosen],
            self.values[chosen],
            {key: values[chosen] for key, values in self.constraints.items()},
            self.numbers[chosen],
            self.is_complete[chosen],
            self.pending,
            self.running,
            self.noise[chosen],
        )

    @property
    def is_violated(self) -> BoolArray:
        """Whether a constraint is known to be violated, (n,)."""
        is_violated = np.zeros(len(self.numbers), dtype=np.bool_)
        for values in self.constraints.values():
            is_violated |= values > 0.0
        return is_violated

    def objective(self, j: int) -> Column:
        """Return what is known of an objective.

        A trial that failed where it was not feasible may not have failed for being bad: its
        constraints tell enough.
        """
        column = Column(self.X, self.values[:, j], self.numbers, self.is_complete, self.noise)
        is_violated = self.is_violated
        return column[self.is_complete | ~is_violated] if is_violated.any() else column

    def constraint(self, key: str) -> Column:
        """Return what is known of a constraint, from the trials that have it."""
        values = self.constraints[key]
        noise = np.zeros(len(values))
        column = Column(self.X, values, self.numbers, self.is_complete, noise)
        return column[~np.isnan(values)]


_OPEN, _ABSENT, _COMPLETE, _FAILED, _PRUNED = range(5)
"""What is known of a trial: not finished; finished elsewhere; completed; failed; pruned."""

RETRY_KEY = "retry_history"
"""Trial system attribute of Optuna's: numbers of the trials that it is another attempt at."""

_KINDS = {
    TrialState.COMPLETE: _COMPLETE,
    TrialState.FAIL: _FAILED,
    TrialState.PRUNED: _PRUNED,
}


class _Trials:
    """The finished trials of one study in one space, by number."""

    def __init__(self, space: Space, directions: Sequence[StudyDirection]) -> None:
        self._space = space
        self._signs = np.where([k == StudyDirection.MAXIMIZE for k in directions], 1.0, -1.0)
        d, m = len(space.distributions), len(directions)
        fields: list[tuple[Any, ...]] = [("point", np.float64, (d,)), ("values", np.float64, (m,))]
        fields += [("number", np.int64), ("kind", np.int64)]
        self._rows = np.zeros(0, dtype=fields)
        self._constraints: dict[str, Array] = {}
        self._retried: set[int] = set()
        # Only with one objective are trials pruned.
        self._curves = LearningCurves(float(self._signs[0]))

    def observe(self, trials: Sequence[FrozenTrial], number: int | None) -> Observations:
        """Look at what is new among all trials of the study; leave one of them out, if any."""
        if len(self._rows) < len(trials):
            more = np.zeros(len(trials), dtype=self._rows.dtype)
            self._rows = np.concatenate([self._rows, more])
            unknown = np.full(len(more), math.nan)
            for key, values in self._constraints.items():
                self._constraints[key] = np.concatenate([values, unknown])
        rows = self._rows[: len(trials)]
        pending, running = [], []
        for i in np.flatnonzero(rows["kind"] == _OPEN).tolist():
            trial = trials[i]
            self._retried.update(trial.system_attrs.get(RETRY_KEY, ()))
            if trial.number == number or trial.state == TrialState.WAITING:
                continue
            params = params_in(trial, self._space)
            if trial.state == TrialState.RUNNING:
                if params is not None:
                    pending.append(params)
                    running.append(trial.number)
            elif params is not None:
                # One by one: of many at a time, logarithms differ in their last digit.
                point = self._space.encode([params])[0]
                rows[i] = (point, self._values(trial), trial.number, _KINDS[trial.state])
                self._curves.add(i, trial.intermediate_values)
                for key, value in trial.constraints.items():
                    if key not in self._constraints:
                        self._constraints[key] = np.full(len(self._rows), math.nan)
                    self._constraints[key][i] = value
            else:
                rows["kind"][i] = _ABSENT
        usable = self._usable(rows)
        is_pruned = rows["kind"][usable] == _PRUNED
        values, noise = rows["values"][usable], np.zeros(len(usable))
        if is_pruned.any():
            reports = self._curves.at_last_steps(usable.tolist(), is_pruned)
            # What ended a failed training may be the machine, however well it had gone.
            reports[rows["kind"][usable] == _FAILED] = math.nan
            values[:, 0], noise = impute(np.where(is_pruned, np.nan, values[:, 0]), reports)
        return Observations(
            X=rows["point"][usable],
            values=values,
            constraints={key: self._constraints[key][usable] for key in sorted(self._constraints)},
            numbers=rows["number"][usable],
            is_complete=rows["kind"][usable] == _COMPLETE,
            pending=self._space.encode(pending),
            running=np.array(running, dtype=np.intp),
            noise=noise,
        )

    def _usable(self, rows: NDArray[Any]) -> NDArray[np.intp]:
        """List the finished trials that tell something, (n,).

        One that failed tells nothing if it was tried again, or another at its point did not fail:
        then what failed was the machine.
        """
        usable = np.flatnonzero(rows["kind"] >= _COMPLETE)
        is_failed = rows["kind"][usable] == _FAILED
        if not is_failed.any():
            return usable
        went_well = {point.tobytes() for point in rows["point"][usable[~is_failed]]}
        is_accident = [
            int(row["number"]) in self._retried or row["point"].tobytes() in went_well
            for row in rows[usable[is_failed]]
        ]
        is_failed[is_failed] = is_accident
        told: NDArray[np.intp] = usable[~is_failed]
        return told

    def _values(self, trial: FrozenTrial) -> Array:
        if trial.state != TrialState.COMPLETE or trial.values is None:
            return np.full(len(self._signs), -math.inf)
        values: Array = self._signs * trial.values
        return values


def observe(
    trials: Sequence[FrozenTrial], space: Space, directions: Sequence[StudyDirection]
) -> Observations:
    """Look at finished trials that belong to no study at hand, and may have no numbers."""
    return _Trials(space, directions).observe(trials, None)


def as_of(trials: Sequence[FrozenTrial], number: int) -> list[FrozenTrial]:
    """Return the trials before one as they were when it began: some were still running.

    Args:
        trials: All trials of a study.
        number: Number of the trial, or how many there are: then nothing is undone.
    """
    before = list(trials[:number])
    began = trials[number].datetime_start if number < len(trials) else None
    for i, trial in enumerate(before):
        ended = trial.datetime_complete
        if began is not None and ended is not None and ended > began:
            before[i] = copy.copy(trial)
            before[i].state = TrialState.RUNNING
    return before


class History:
    """One study, as far as this thread has seen it."""

    def __init__(self) -> None:
        self._intersection = IntersectionSearchSpace()
        self._union = Union()
        self._known: set[int] = set()
        self._space = Space({})
        self._trials: _Trials | None = None

    def distributions(self, trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
        """Return the parameters that finished trials have, in all of their ranges."""
        self._look(trials)
        return self._union.distributions

    def search_space(
        self, study: Study, trials: Sequence[FrozenTrial]
    ) -> dict[str, BaseDistribution]:
        """Return the parameters of one range that finished trials have, once any was completed."""
        self._look(trials)
        return self._union.search_space(self._intersection.calculate(study, use_cache=True))

    def space(
        self, trials: Sequence[FrozenTrial], search_space: Mapping[str, BaseDistribution]
    ) -> Space:
        """Return a search space in which parameters are optional that trials did without."""
        self._look(trials)
        return Space(search_space, self._union.optional(search_space))

    def _look(self, trials: Sequence[FrozenTrial]) -> None:
        for trial in trials:
            if trial.state.is_finished() and trial.number not in self._known:
                self._known.add(trial.number)
                self._union.add(trial, proposed(trial).keys())

    def observe(
        self, study: Study, trials: Sequence[FrozenTrial], space: Space, number: int
    ) -> Observations:
        """Return the study's trials in a space.

        Args:
            study: The study.
            trials: All its trials.
            space: Where they are to be seen.
            number: Number of the trial that is to be left out: the one being sampled.
        """
        is_known = space == self._space and [*space.distributions] == [*self._space.distributions]
        if self._trials is None or not is_known:
            self._space, self._trials = space, _Trials(space, study.directions)
        return self._trials.observe(trials, number)


class _Histories(threading.local):
    """A cache only: it saves time and never changes a result. Threads have one each."""

    def __init__(self) -> None:
        self.of_storage: WeakKeyDictionary[BaseStorage, dict[object, History]] = (
            WeakKeyDictionary()
        )


_histories = _Histories()


def history(study: Study, trials: Sequence[FrozenTrial]) -> History:
    """Find what was kept of a study.

    Args:
        study: The study.
        trials: All its trials.
    """
    # Databases give the number of a deleted study to the next one; its start tells them apart.
    key = (study._study_id, study.study_name, trials[0].datetime_start if trials else None)
    histories = _histories.of_storage.setdefault(study._storage, {})
    return histories.setdefault(key, History())
