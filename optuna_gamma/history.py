"""What a study has seen so far, as the model wants it: each trial is transformed once.

n: Number of finished trials that have all parameters of the space.
d: Number of parameters.
k: Number of running trials that have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
import threading
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
from optuna_gamma.learning_curves import LearningCurves
from optuna_gamma.space import Space


@dataclass(frozen=True)
class Observations:
    """Trials in the terms of the model, in the order of their numbers.

    Args:
        X: Points of finished trials, (n, d).
        values: Their values, to be maximised; −∞ for those that failed; of those that were pruned
            what they might have come to, (n,).
        numbers: Their numbers, (n,).
        is_complete: Which of them were completed, (n,).
        pending: Points of running trials, (k, d).
        noise: Noise ratio of their values beyond that of all, (n,).
    """

    X: Array
    values: Array
    numbers: NDArray[np.intp]
    is_complete: BoolArray
    pending: Array
    noise: Array


_OPEN, _ABSENT, _COMPLETE, _FAILED, _PRUNED = range(5)
"""What is known of a trial: not finished; finished elsewhere; completed; failed; pruned."""

_KINDS = {
    TrialState.COMPLETE: _COMPLETE,
    TrialState.FAIL: _FAILED,
    TrialState.PRUNED: _PRUNED,
}


class _Trials:
    """The finished trials of one study in one space, by number."""

    def __init__(self, space: Space, sign: float) -> None:
        self._space = space
        self._sign = sign
        d = len(space.distributions)
        fields = [("point", np.float64, (d,)), ("value", np.float64), ("kind", np.int64)]
        self._rows = np.zeros(0, dtype=fields)
        self._curves = LearningCurves(sign)

    def observe(self, trials: Sequence[FrozenTrial], number: int) -> Observations:
        """Look at what is new among all trials of the study; leave one of them out."""
        if len(self._rows) < len(trials):
            more = np.zeros(len(trials), dtype=self._rows.dtype)
            self._rows = np.concatenate([self._rows, more])
        rows = self._rows[: len(trials)]
        names = self._space.distributions.keys()
        running = []
        for i in np.flatnonzero(rows["kind"] == _OPEN).tolist():
            trial = trials[i]
            if i == number or trial.state == TrialState.WAITING:
                continue
            has_params = names <= trial.params.keys()
            if trial.state == TrialState.RUNNING:
                if has_params:
                    running.append(trial)
            elif has_params:
                # One by one: of many at a time, logarithms differ in their last digit.
                point = self._space.encode([trial.params])[0]
                rows[i] = (point, self._value(trial), _KINDS[trial.state])
                self._curves.add(i, trial.intermediate_values)
            else:
                rows["kind"][i] = _ABSENT
        usable = np.flatnonzero(rows["kind"] >= _COMPLETE)
        is_pruned = rows["kind"][usable] == _PRUNED
        values, noise = rows["value"][usable], np.zeros(len(usable))
        if is_pruned.any():
            reports = self._curves.at_last_steps(usable.tolist(), is_pruned)
            values, noise = impute(np.where(is_pruned, np.nan, values), reports)
        return Observations(
            X=rows["point"][usable],
            values=values,
            numbers=usable,
            is_complete=rows["kind"][usable] == _COMPLETE,
            pending=self._space.encode([trial.params for trial in running]),
            noise=noise,
        )

    def _value(self, trial: FrozenTrial) -> float:
        if trial.state != TrialState.COMPLETE or trial.value is None:
            return -math.inf
        return self._sign * trial.value


def observe(
    trials: Sequence[FrozenTrial], space: Space, direction: StudyDirection
) -> Observations:
    """Look at finished trials that belong to no study at hand."""
    sign = 1.0 if direction == StudyDirection.MAXIMIZE else -1.0
    return _Trials(space, sign).observe(trials, -1)


class History:
    """One study, as far as this thread has seen it."""

    def __init__(self) -> None:
        self._intersection = IntersectionSearchSpace()
        self._key: tuple[tuple[str, BaseDistribution], ...] = ()
        self._trials: _Trials | None = None

    def search_space(self, study: Study) -> dict[str, BaseDistribution]:
        """Return the parameters that every completed trial has."""
        return self._intersection.calculate(study, use_cache=True)

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
        key = tuple(space.distributions.items())
        if self._trials is None or key != self._key:
            sign = 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0
            self._key, self._trials = key, _Trials(space, sign)
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
