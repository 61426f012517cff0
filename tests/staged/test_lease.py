"""A worker is given up if it is dead or silent, and only then."""

from __future__ import annotations

from dataclasses import replace
import os
import signal
import subprocess
import sys
import threading

import optuna
from optuna.trial import create_trial
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
import pytest

from optuna_gamma.staged import lease as lease_module
from optuna_gamma.staged.lease import Lease
from optuna_gamma.staged.lease import LEASE_KEY
from optuna_gamma.staged.lease import LeaseWatch
from optuna_gamma.staged.lease import Process
from optuna_gamma.staged.lease import seems_held


ELSEWHERE = Process("elsewhere", 1, "1")


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(storage=optuna.storages.InMemoryStorage())


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(lease_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(lease_module.time, "sleep", lambda seconds: None)
    return now


def running(study: optuna.Study, lease: Lease) -> FrozenTrial:
    study.add_trial(
        create_trial(state=TrialState.RUNNING, system_attrs={LEASE_KEY: lease.to_json()})
    )
    return study.trials[-1]


def test_this_process_is_alive_and_a_killed_one_dead() -> None:
    assert not Process.current().is_known_dead()
    assert Process.current().is_known_alive()
    assert Process.from_json(Process.current().to_json()) == Process.current()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = Process(Process.current().host, child.pid, str(lease_module._status(child.pid)))
        assert not process.is_known_dead()
        assert process.is_known_alive()
        assert replace(process, started="0").is_known_dead()  # the id is another process's now
        os.kill(child.pid, signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert process.is_known_dead()  # a zombie
    assert process.is_known_dead()
    assert not process.is_known_alive()
    for known in (Process.is_known_dead, Process.is_known_alive):
        assert not known(replace(Process.current(), host="elsewhere"))


@pytest.mark.parametrize("hidden", [FileNotFoundError, PermissionError, ProcessLookupError])
def test_a_process_that_the_system_hides_is_dead_only_if_its_id_is_free(
    monkeypatch: pytest.MonkeyPatch, hidden: type[OSError]
) -> None:
    """As under ``hidepid``, or if it dies as we look."""
    process = replace(Process.current(), pid=12345, started="678")
    answers: dict[int, type[OSError]] = {}

    def hide(path: str, mode: str) -> None:
        raise hidden

    def kill(pid: int, signal: int) -> None:
        assert signal == 0
        if pid in answers:
            raise answers[pid]

    monkeypatch.setattr(lease_module, "open", hide, raising=False)
    monkeypatch.setattr(os, "kill", kill)
    assert not process.is_known_dead()
    answers[12345] = PermissionError  # another user's
    assert not process.is_known_dead()
    answers[12345] = ProcessLookupError
    assert process.is_known_dead()


def test_no_process_has_an_id_beyond_the_systems() -> None:
    assert replace(Process.current(), pid=2**70).is_known_dead()


@pytest.mark.parametrize("value", [None, [], ["a", "b", "c"], {"host": "a"}, ["a", 1]])
def test_what_is_no_process_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="Not a process"):
        Process.from_json(value)


def test_a_worker_elsewhere_is_given_up_when_it_is_silent(
    study: optuna.Study, clock: list[float]
) -> None:
    watch = LeaseWatch(study._storage)
    lease = Lease("ab", ELSEWHERE)
    running(study, lease)
    for beat in range(5):
        study._storage.set_trial_system_attr(study.trials[0]._trial_id, "gamma:beat:ab", beat)
        assert not watch.is_free(study.trials[0])
        clock[0] += lease_module.GRACE_SECONDS
        assert not watch.is_free(study.trials[0])
    clock[0] += 1.0
    assert watch.is_free(study.trials[0])


def test_what_was_given_back_is_free_at_once(study: optuna.Study) -> None:
    lease = Lease.new()
    trial = running(study, lease)
    watch = LeaseWatch(study._storage)
    assert not watch.is_free(study.trials[0])
    lease.release(study._storage, trial._trial_id)
    assert watch.is_free(study.trials[0])
    taken = watch.take_over(study.trials[0])
    assert taken is not None
    assert taken.deaths == 0


def test_what_an_earlier_call_in_this_process_left_is_free(study: optuna.Study) -> None:
    running(study, Lease("cd", Process.current()))
    assert LeaseWatch(study._storage).is_free(study.trials[0])


def test_of_several_workers_one_takes_a_trial_over(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = running(study, Lease("ab", ELSEWHERE))
    meeting = threading.Barrier(4)
    monkeypatch.setattr(lease_module.time, "sleep", lambda seconds: meeting.wait())
    taken: list[Lease | None] = []

    def work() -> None:
        meeting.wait()
        taken.append(LeaseWatch(study._storage).take_over(trial))

    threads = [threading.Thread(target=work) for _ in range(4)]
    original = study._storage.set_trial_system_attr
    written = threading.Barrier(4)

    def write(trial_id: int, key: str, value: object) -> None:
        written.wait()  # all have checked before any of them writes
        original(trial_id, key, value)

    monkeypatch.setattr(study._storage, "set_trial_system_attr", write)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [winner] = [lease for lease in taken if lease is not None]
    assert Lease.of(study.trials[0]) == winner
    assert winner.deaths == 1


def test_a_trial_that_finished_or_changed_hands_is_not_taken_over(study: optuna.Study) -> None:
    trial = running(study, Lease("ab", ELSEWHERE))
    stale = study.trials[0]
    assert LeaseWatch(study._storage).take_over(stale) is not None
    assert LeaseWatch(study._storage).take_over(stale) is None
    fresh = study.trials[0]
    study.tell(trial.number, 1.0)
    assert LeaseWatch(study._storage).take_over(fresh) is None


def test_signs_of_life(study: optuna.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "BEAT_SECONDS", 0.001)
    lease = Lease.new()
    trial = running(study, lease)
    seen = threading.Event()
    original = study._storage.set_trial_system_attr

    def write(trial_id: int, key: str, value: list[float]) -> None:
        original(trial_id, key, value)
        if value[0] == 3:
            seen.set()

    monkeypatch.setattr(study._storage, "set_trial_system_attr", write)
    with lease.renewed(study._storage, trial._trial_id):
        assert seen.wait(60)
    count, at = study.trials[0].system_attrs[f"gamma:beat:{lease.id}"]
    assert count >= 3
    assert lease.begun is not None
    assert at >= lease.begun
    assert not [t for t in threading.enumerate() if t.name == "optuna-gamma-lease"]


@pytest.mark.parametrize(
    ("begun", "beat", "held"),
    [
        (1000.0, None, True),
        (600.0, None, False),
        (0.0, [70, 1000.0], True),
        (0.0, [40, 600.0], False),
        (2000.0, None, True),  # a clock that is fast
        (None, None, True),  # versions that wrote no times
        (None, 40, True),
    ],
)
def test_a_trial_elsewhere_is_told_to_be_running_as_long_as_it_shows_signs_of_life(
    study: optuna.Study,
    monkeypatch: pytest.MonkeyPatch,
    begun: float | None,
    beat: list[float] | int | None,
    held: bool,
) -> None:
    monkeypatch.setattr(lease_module.time, "time", lambda: 1010.0)
    trial = running(study, Lease("ab", ELSEWHERE, begun=begun))
    if beat is not None:
        study._storage.set_trial_system_attr(trial._trial_id, "gamma:beat:ab", beat)
    assert seems_held(study.trials[0]) == held


def test_a_trial_of_this_machine_that_was_suspended_is_told_to_be_running(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(study, Lease.new())
    monkeypatch.setattr(lease_module.time, "time", lambda: float("inf"))
    assert seems_held(study.trials[0])


def test_a_lease_of_a_version_that_wrote_no_time_is_read(study: optuna.Study) -> None:
    lease = Lease("ab", ELSEWHERE)
    value = lease.to_json()
    del value["begun"]
    study.add_trial(create_trial(state=TrialState.RUNNING, system_attrs={LEASE_KEY: value}))
    assert Lease.of(study.trials[0]) == lease


def test_a_storage_that_fails_does_not_end_the_signs_of_life(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "BEAT_SECONDS", 0.001)
    lease = Lease.new()
    trial = running(study, lease)
    again = threading.Event()
    n_failures = []

    def fail(trial_id: int, key: str, value: object) -> None:
        n_failures.append(value)
        if len(n_failures) == 2:
            again.set()
        raise ConnectionError("the server is away")

    monkeypatch.setattr(study._storage, "set_trial_system_attr", fail)
    with lease.renewed(study._storage, trial._trial_id):
        assert again.wait(60)
