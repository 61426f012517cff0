"""Workers join late, leave early, wait for each other and die."""

from __future__ import annotations

from collections.abc import Callable
import logging
import threading
from typing import Any

import optuna
from optuna.trial import create_trial
from optuna.trial import TrialState
import pytest

from optuna_gamma.staged import lease as lease_module
from optuna_gamma.staged import Stage
from optuna_gamma.staged import StagedStudy
from optuna_gamma.staged import worker as worker_module
from optuna_gamma.staged.lease import Lease
from optuna_gamma.staged.lease import LEASE_KEY
from optuna_gamma.staged.lease import Process
from optuna_gamma.staged.ledger import RECORD_KEY
from optuna_gamma.staged.ledger import TrialRecord


Create = Callable[..., StagedStudy]
Objective = Callable[[optuna.Trial, Stage], float]


def test_one_joins_late_and_the_other_leaves_early(create: Create, objective: Objective) -> None:
    ran: dict[str, list[tuple[int, int]]] = {"first": [], "late": []}

    def late(trial: optuna.Trial, stage: Stage) -> float:
        ran["late"].append((stage.number, trial.number))
        return objective(trial, stage)

    joining = threading.Thread(target=lambda: create().optimize(late, 3, 4))

    def first(trial: optuna.Trial, stage: Stage) -> float:
        ran["first"].append((stage.number, trial.number))
        if len(ran["first"]) == 6:
            joining.start()
            trial.study.stop()
        return objective(trial, stage)

    staged = create()
    staged.optimize(first, 3, 4)
    joining.join()
    everything = [(stage, number) for stage in range(3) for number in range(4)]
    assert ran["first"] == everything[:6]
    assert sorted(ran["first"] + ran["late"]) == everything
    assert len(staged.schedule) == 3


def test_who_waits_says_so_and_waits_cheaply(
    create: Create, objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, enough = threading.Event(), threading.Event()

    def slow(trial: optuna.Trial, stage: Stage) -> float:
        value = objective(trial, stage)
        begun.set()
        assert enough.wait(60)
        return value

    busy, waiting = create(), create()
    busy_thread = threading.Thread(target=busy.optimize, args=(slow, 1, 1))
    pauses: list[float] = []
    reads: list[int] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 20:
            enough.set()
            busy_thread.join()

    ledger = type(waiting._run).ledger

    def read(run: Any, stage: int) -> Any:
        if run is waiting._run:
            reads.append(stage)
        return ledger(run, stage)

    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("optuna")
    monkeypatch.setattr(worker_module.time, "sleep", pause)
    monkeypatch.setattr(type(waiting._run), "ledger", read)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logger.addHandler(handler)
    try:
        busy_thread.start()
        assert begun.wait(60)
        waiting.optimize(objective, 1, 1)
    finally:
        enough.set()
        logger.removeHandler(handler)
    [line] = [line for line in said if "waiting for 1 trial(s)" in line]
    assert "60 seconds" in line
    assert len(pauses) == 20
    assert all(pause >= 1.0 for pause in pauses[6:])
    assert len(reads) <= len(pauses) + 13  # a look a pause; the rest is beginning and end
    assert len(waiting.schedule) == 1


ELSEWHERE = Process("elsewhere", 1, "1")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which passes only while somebody sleeps."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(worker_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(worker_module.time, "sleep", sleep)
    return now


def test_after_a_power_cut_the_trial_in_flight_comes_first(
    create: Create, objective: Objective, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    """A machine that was started anew knows nothing of the processes before."""
    begun: list[int] = []

    def cut_off(trial: optuna.Trial, stage: Stage) -> float:
        begun.append(trial.number)
        if begun == [0, 1]:
            raise KeyError
        return objective(trial, stage)

    with monkeypatch.context() as before:
        before.setattr(lease_module, "_host", lambda: "before the power cut")
        before.setattr(Lease, "release", lambda *_: None)
        with pytest.raises(KeyError):
            create().optimize(cut_off, 1, 4)
    create().optimize(cut_off, 1, 4)
    assert begun == [0, 1, 1, 2, 3]
    assert clock[0] > lease_module.GRACE_SECONDS


def test_who_joins_waits_for_one_sign_of_life_of_those_there_and_of_no_others(
    create: Create, objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = create()

    def begin_elsewhere(lease: str) -> int:
        record = TrialRecord(staged._run.identity.id, 4, 1, None)
        attrs = {RECORD_KEY: record.to_json(), LEASE_KEY: Lease(lease, ELSEWHERE).to_json()}
        staged.studies[0].add_trial(create_trial(state=TrialState.RUNNING, system_attrs=attrs))
        return staged.studies[0].trials[-1]._trial_id

    first = begin_elsewhere("ab")
    n_pauses = 0

    def pause(seconds: float) -> None:
        nonlocal n_pauses
        n_pauses += 1
        if n_pauses == 3:
            staged._run.storage.set_trial_system_attr(first, "gamma:beat:ab", 1)

    ran: list[tuple[int, int]] = []

    def joining(trial: optuna.Trial, stage: Stage) -> float:
        ran.append((trial.number, n_pauses))
        if len(ran) == 1:
            begin_elsewhere("cd")
        else:
            trial.study.stop()
        return objective(trial, stage)

    monkeypatch.setattr(worker_module.time, "sleep", pause)
    create().optimize(joining, 1, 4)
    assert ran == [(1, 3), (3, 3)]


def _add_late_trial(staged: StagedStudy) -> None:
    """Append one to stage 0, as a worker does that is killed before it can park it."""
    record = TrialRecord(staged._run.identity.id, 2, 2, None)
    dead = Lease("ab", Process(Process.current().host, 1, "never"))
    attrs = {RECORD_KEY: record.to_json(), LEASE_KEY: dead.to_json()}
    staged.studies[0].add_trial(create_trial(state=TrialState.RUNNING, system_attrs=attrs))


@pytest.mark.parametrize(
    "moment", [(0, 1), (1, 0), None], ids=["stage goes on", "next goes on", "all is finished"]
)
def test_a_trial_that_came_too_late_and_whose_worker_died_is_parked(
    create: Create, objective: Objective, moment: tuple[int, int] | None
) -> None:
    staged = create()

    def with_a_late_one(trial: optuna.Trial, stage: Stage) -> float:
        if (stage.number, trial.number) == moment:
            _add_late_trial(staged)
            raise KeyError
        return objective(trial, stage)

    if moment is None:
        staged.optimize(objective, 2, 2)
        _add_late_trial(staged)
    else:
        with pytest.raises(KeyError):
            staged.optimize(with_a_late_one, 2, 2)
    create().optimize(objective, 2, 2)
    states = [trial.state for trial in staged.studies[0].trials]
    assert states == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.WAITING]
