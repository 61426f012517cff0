"""How long trials took, and how long the others will."""

from __future__ import annotations

import time

from optuna_gamma.cli.options import TrainOptions
from optuna_gamma.staged import RunStatus
from optuna_gamma.staged.lease import Lease
from optuna_gamma.staged.per_stage import PerStage
from optuna_gamma.staged.trial import epochs_of
from optuna_gamma.staged.trial import n_reported


SECONDS_KEY = "gamma:seconds"
"""Trial system attribute: how long the objective took."""


def remaining(status: RunStatus, options: TrainOptions, epochs: PerStage) -> tuple[int, int]:
    """Return how many trials a run still has to finish, and their epochs in all.

    Args:
        status: How far it is.
        options: How many stages and trials it is to have.
        epochs: Epochs of a trial of each stage.
    """
    trials = PerStage.of("trials", options.trials)
    n_remaining = n_epochs = 0
    for number in range(max(options.stages, status.n_stages)):
        n_missing = trials[number]
        if number < len(status.stages):
            stage = status.stages[number]
            planned = max(n_missing, stage.n_trials)
            n_missing = 0 if stage.is_finished else planned - stage.n_finished
        n_remaining += n_missing
        n_epochs += n_missing * epochs[number]
    return n_remaining, n_epochs


def seconds_per_epoch(status: RunStatus) -> float | None:
    """Return what an epoch took on average; :obj:`None` if none is known.

    Before the first trial is finished, that is what those that run have reported so far.
    """
    seconds = epochs = 0.0
    for stage in status.stages:
        for trial in stage.trials:
            if SECONDS_KEY in trial.system_attrs and (n_epochs := epochs_of(trial)):
                seconds += trial.system_attrs[SECONDS_KEY]
                epochs += n_epochs
    if epochs:
        return seconds / epochs
    now = time.time()
    for stage in status.stages:
        for trial in stage.running:
            begun = Lease.of(trial).begun  # where it was taken over, later than the trial
            if begun is not None:
                seconds += now - begun
                epochs += n_reported(trial)
    return seconds / epochs if epochs else None


def duration(seconds: float) -> str:
    """Say a duration in two or three digits.

    >>> duration(3.21), duration(61), duration(600), duration(7290)
    ('3.2 s', '61 s', '10 min', '2 h 2 min')
    """
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
