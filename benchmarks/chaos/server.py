"""Runs workers in processes that are killed: one start of the interpreter, a fork for each worker.

``python -m benchmarks.chaos.server``: each line of standard input is a request, a JSON list of
:class:`WorkerOptions` to run at the same time; the answer is a line with their exit codes.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
import errno
import functools
import importlib
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time
import traceback
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.storages import get_storage
from optuna.storages import GrpcStorageProxy

from benchmarks.chaos.points import act_at
from optuna_gamma import GammaBOSampler
from optuna_gamma.staged import create_staged_study
from optuna_gamma.staged import database
from optuna_gamma.staged import Stage


SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler] | None] = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, n_startup_trials=3),
    "gamma": None,
}

CALLS_FILE = "calls.txt"
STOPS_FILE = "stops.txt"

DISK_FULL, STORAGE_FAILED = 28, 29
"""Exit codes of a worker that ended with an error because its journal could not grow, or because
its database failed."""

SHORT_LEASE: dict[str, Any] = {
    "lease.GRACE_SECONDS": 1.0,
    "lease.BEAT_SECONDS": 0.1,
    "storage.LOCK_GRACE_SECONDS": 0.5,
    "database.IDLE_SECONDS": 1,
}
"""Constants of ``optuna_gamma.staged`` with which a stopped worker is soon given up."""


@dataclass(frozen=True)
class WorkerOptions:
    """One worker of a staged study.

    Attributes:
        folder: Where ``calls.txt`` gets a line "stage trial" for each call of the objective.
        directory: The run's directory; an empty string is ``folder``.
        storage: Database URL, ``"grpc:PORT"`` for a proxy, :obj:`None` for the journal.
        study_name: Name of the run.
        n_stages: Its stages.
        n_trials: Trials of each.
        keep: Which promoted checkpoints stay.
        sampler: One of :data:`SAMPLERS`.
        pause: Seconds that each trial sleeps.
        kill: A point and how often it is passed before the worker ends with SIGKILL.
        kill_after: Seconds after which it is killed from outside, wherever it is.
        stop: A point and how often it is passed before the worker stops itself (SIGSTOP); it is
            woken when all others have ended or stopped. ``stops.txt`` in ``folder`` gets a line.
        environment: Environment variables to set.
        constants: Module constants of ``optuna_gamma.staged`` to replace: ``"module.NAME"``.
    """

    folder: str
    directory: str = ""
    storage: str | None = None
    study_name: str = "run"
    n_stages: int = 3
    n_trials: int = 6
    keep: str = "all"
    sampler: str = "random"
    pause: float = 0.0
    kill: tuple[str, int] | None = None
    kill_after: float | None = None
    stop: tuple[str, int] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)


Run = Callable[..., list[int]]


@contextmanager
def fork_server() -> Iterator[Run]:
    """Start a server; yield a function that runs workers and returns their exit codes."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.chaos.server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        requests, answers = server.stdin, server.stdout

        def run(*workers: WorkerOptions) -> list[int]:
            print(json.dumps([asdict(worker) for worker in workers]), file=requests, flush=True)
            return list(json.loads(answers.readline()))

        yield run
        requests.close()


def open_storage(storage: str | None) -> BaseStorage | None:
    """Open what :attr:`WorkerOptions.storage` names."""
    if storage is None:
        return None
    if storage.startswith("grpc:"):
        proxy = GrpcStorageProxy(host="localhost", port=int(storage.partition(":")[2]))
        proxy.wait_server_ready(timeout=60.0)
        return proxy
    return database.open_storage(storage)


def make_objective(worker: WorkerOptions) -> Callable[[optuna.Trial, Stage], float]:
    """Make an objective whose value depends on all that a resumed run must get right."""
    flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY
    calls = os.open(Path(worker.folder) / CALLS_FILE, flags, 0o666)

    def objective(trial: optuna.Trial, stage: Stage) -> float:
        os.write(calls, f"{stage.number} {trial.number}\n".encode())
        state = stage.load()
        weights = np.zeros(5) if state is None else state["weights"]
        noise = np.random.default_rng(stage.seed).normal(size=5)
        rate = trial.suggest_float("rate", 1e-3, 1.0, log=True)
        steps = trial.suggest_int("steps", 1, 5)
        if trial.suggest_categorical("kind", ["a", "b"]) == "b":
            noise += trial.suggest_float("extra", -1, 1)
        time.sleep(worker.pause)
        for step in range(steps):
            weights = weights + rate * (1.0 - weights + 0.1 * noise)
            trial.report(-float(np.sum((weights - 1.0) ** 2)), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        if trial.number == 4:
            return float("nan")
        trial.set_user_attr("norm", float(np.linalg.norm(weights)))
        stage.save(trial, {"weights": weights, "history": [rate, *range(steps)]})
        return -float(np.sum((weights - 1.0) ** 2))

    return objective


def work(worker: WorkerOptions) -> None:
    """Do what a worker does, in this process."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    os.environ.update(worker.environment)
    for name, value in worker.constants.items():
        module, constant = name.split(".")
        setattr(importlib.import_module(f"optuna_gamma.staged.{module}"), constant, value)
    Path(worker.folder).mkdir(parents=True, exist_ok=True)
    objective = make_objective(worker)
    storage = open_storage(worker.storage)
    if worker.kill is not None:
        act_at(*worker.kill, storage)
    if worker.stop is not None:
        act_at(*worker.stop, storage, functools.partial(_stop, Path(worker.folder) / STOPS_FILE))
    try:
        staged = create_staged_study(
            study_name=worker.study_name,
            storage=storage,
            directory=worker.directory or worker.folder,
            sampler=SAMPLERS[worker.sampler],
            keep=worker.keep,  # type: ignore[arg-type]
        )
        staged.optimize(objective, worker.n_stages, worker.n_trials)
    finally:
        sys.setprofile(None)


def _stop(stops: Path, point: str) -> None:
    with stops.open("a") as file:
        file.write(f"{point}\n")
    os.kill(os.getpid(), signal.SIGSTOP)


def _fork(worker: WorkerOptions) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work(worker)
            status = 0
        except BaseException as error:
            if isinstance(error, OSError) and error.errno == errno.EFBIG:
                status = DISK_FULL
            elif isinstance(error, StorageInternalError):
                status = STORAGE_FAILED
            else:
                traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return pid


def _run(workers: list[WorkerOptions]) -> list[int]:
    pids = [_fork(worker) for worker in workers]
    timers = []
    for pid, worker in zip(pids, workers, strict=True):
        if worker.kill_after is not None:
            timers.append(threading.Timer(worker.kill_after, _kill, [pid]))
            timers[-1].start()
    ended: dict[int, int] = {}
    stopped: set[int] = set()
    while len(ended) < len(pids):
        if stopped and len(ended) + len(stopped) == len(pids):
            os.kill(stopped.pop(), signal.SIGCONT)
        # Reaped under a lock: a timer must not hit a process that got the same id afterwards.
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
        assert found is not None
        if found.si_code == os.CLD_STOPPED:
            os.waitid(os.P_PID, found.si_pid, os.WSTOPPED)
            stopped.add(found.si_pid)
        else:
            with _reaping:
                _, status = os.waitpid(found.si_pid, 0)
                _reaped.add(found.si_pid)
            ended[found.si_pid] = os.waitstatus_to_exitcode(status)
    for timer in timers:
        timer.cancel()
        timer.join()
    _reaped.clear()
    return [ended[pid] for pid in pids]


_reaping = threading.Lock()
_reaped: set[int] = set()


def _kill(pid: int) -> None:
    with _reaping:
        if pid not in _reaped:
            os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Serve requests until the end of standard input."""
    # Loads what is imported lazily, so that no child has to.
    GammaBOSampler(seed=0)
    import optuna_gamma.bo.acquisition
    import optuna_gamma.bo.maximize
    import optuna_gamma.bo.process  # noqa: F401

    get_storage("sqlite:///:memory:")

    for line in sys.stdin:
        workers = [WorkerOptions(**options) for options in json.loads(line)]
        print(json.dumps(_run(workers)), flush=True)


if __name__ == "__main__":
    main()
