"""Stopping early in every way there is, and going on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import os
import signal
import threading
import time

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
import pytest

from optuna_gamma.staged import Stage
from optuna_gamma.staged import StagedStudy
from optuna_gamma.staged.lease import Lease
from optuna_gamma.staged.lease import LEASE_KEY
from optuna_gamma.staged.lease import LeaseWatch
from optuna_gamma.staged.lease import MAX_DEATHS
from optuna_gamma.staged.ledger import Ledger


Create = Callable[..., StagedStudy]
Objective = Callable[[optuna.Trial, Stage], float]


def test_stop_callbacks_and_going_on(create: Create, objective: Objective) -> None:
    seen: list[tuple[str, int, TrialState]] = []

    def callback(study: optuna.Study, trial: FrozenTrial) -> None:
        seen.append((study.study_name, trial.number, trial.state))
        if len(seen) == 2:
            study.stop()

    def stopping(trial: optuna.Trial, stage: Stage) -> float:
        if (stage.number, trial.number) == (1, 0):
            trial.study.stop()
        return objective(trial, stage)

    staged = create()
    staged.optimize(stopping, 2, 3, callbacks=[callback])
    assert seen == [("run/stage-000", n, TrialState.COMPLETE) for n in range(2)]
    assert staged.schedule == ()
    with pytest.raises(ValueError, match="No stages are finished yet"):
        staged.load_best()
    staged.optimize(stopping, 2, 3, callbacks=[callback])
    assert len(seen) == 4
    assert len(staged.schedule) == 1
    staged.optimize(objective, 2, 3)
    assert len(staged.schedule) == 2


def test_timeout(create: Create, monkeypatch: pytest.MonkeyPatch, objective: Objective) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def slow(trial: optuna.Trial, stage: Stage) -> float:
        now[0] += 10.0
        return objective(trial, stage)

    staged = create()
    staged.optimize(slow, 2, 4, timeout=25.0)
    assert len(staged.studies[0].trials) == 3
    staged.optimize(slow, 2, 4, timeout=0.0)
    assert len(staged.studies[0].trials) == 3


def test_ctrl_c_once_ends_after_the_trial(create: Create, objective: Objective) -> None:
    def interrupted(trial: optuna.Trial, stage: Stage) -> float:
        if trial.number == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return objective(trial, stage)

    before = signal.getsignal(signal.SIGINT)
    staged = create()
    staged.optimize(interrupted, 2, 3)
    assert signal.getsignal(signal.SIGINT) is before
    assert [t.state for t in staged.studies[0].trials] == [TrialState.COMPLETE] * 2
    staged.optimize(objective, 2, 3)
    assert len(staged.schedule) == 2


def test_ctrl_c_twice_ends_at_once(create: Create, objective: Objective) -> None:
    def interrupted(trial: optuna.Trial, stage: Stage) -> float:
        value = objective(trial, stage)
        if trial.number == 1:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return value

    before = signal.getsignal(signal.SIGINT)
    staged = create()
    with pytest.raises(KeyboardInterrupt):
        staged.optimize(interrupted, 2, 3, catch=(Exception,))
    assert signal.getsignal(signal.SIGINT) is before
    states = [t.state for t in staged.studies[0].trials]
    assert states == [TrialState.COMPLETE, TrialState.RUNNING]
    params = staged.studies[0].trials[1].params
    staged.optimize(objective, 2, 3)
    assert staged.studies[0].trials[1].params == params
    assert len(staged.schedule) == 2


def test_ctrl_c_is_left_alone_in_other_threads(create: Create, objective: Objective) -> None:
    before = signal.getsignal(signal.SIGINT)
    handlers = []

    def watched(trial: optuna.Trial, stage: Stage) -> float:
        handlers.append(signal.getsignal(signal.SIGINT))
        return objective(trial, stage)

    staged = create()
    thread = threading.Thread(target=staged.optimize, args=(watched, 1, 1))
    thread.start()
    thread.join()
    assert handlers == [before]
    assert len(staged.schedule) == 1


def test_threads_share_the_work(create: Create, objective: Objective) -> None:
    staged = create()
    threads = [threading.Thread(target=staged.optimize, args=(objective, 2, 6)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for study in staged.studies:
        finished = [t for t in study.trials if t.state == TrialState.COMPLETE]
        assert len(finished) == 6
    assert len(staged.schedule) == 2


def test_a_thread_that_is_slow_does_not_bring_back_what_it_read(
    create: Create, objective: Objective
) -> None:
    staged = create()
    staged.optimize(objective, 1, 1)
    assert len(staged.schedule) == 1
    run = staged._run
    run._ledgers[0] = Ledger([], run.identity.id, run.identity.direction)  # of another thread
    ledger = run.ledger(0)
    assert ledger is not None
    assert ledger.promoted is not None


@pytest.mark.parametrize("moment", ["taking over", "extending", "giving up"])
def test_a_trial_that_is_told_while_it_is_taken_over(
    create: Create, objective: Objective, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    class Stop(Exception):
        pass

    def stop(trial: optuna.Trial, stage: Stage) -> float:
        objective(trial, stage)
        raise Stop

    with pytest.raises(Stop):
        create().optimize(stop, 1, 2)
    staged = create()
    storage = staged._run.storage
    [trial] = staged.studies[0].trials
    if moment == "giving up":
        worn_out = replace(Lease.of(trial), deaths=MAX_DEATHS)
        storage.set_trial_system_attr(trial._trial_id, LEASE_KEY, worn_out.to_json())
    looks = 1 if moment == "taking over" else 2
    is_unchanged = LeaseWatch._is_unchanged

    def tells_after_the_look(watch: LeaseWatch, seen: FrozenTrial, lease: Lease) -> bool:
        nonlocal looks
        answer = is_unchanged(watch, seen, lease)
        looks -= 1
        if looks == 0:
            storage.set_trial_state_values(seen._trial_id, TrialState.COMPLETE, [-1e9])
        return answer

    monkeypatch.setattr(LeaseWatch, "_is_unchanged", tells_after_the_look)
    staged.optimize(objective, 1, 3)
    assert looks == 0
    assert len(staged.schedule) == 1
    assert [t.state for t in staged.studies[0].trials] == [TrialState.COMPLETE] * 3
