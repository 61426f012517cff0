"""Who runs a trial: a lease that its worker renews, so that a dead worker's trial can go on.

Each lease is one system attribute of the trial, written when the trial is created or taken over;
its worker then counts up a second attribute while it lives. No decision compares clocks of two
machines: a worker is given up when *the observer* has seen no new count for ``GRACE_SECONDS``, or
at once if it ran on the observer's machine and its process is gone. The time that is written
beside is for people who ask how far a run is.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace
import functools
import os
from pathlib import Path
import socket
import threading
import time
from typing import Any
import uuid

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial


_logger = optuna.logging.get_logger(f"optuna.{__name__}")

GRACE_SECONDS = 60.0
"""A worker elsewhere that has shown no sign of life for this long has lost its trial."""

BEAT_SECONDS = 15.0
"""How often a worker shows a sign of life."""

SILENT_SECONDS = 300.0
"""A trial is told to be running if its last sign of life is no older, by the clocks of two
machines: longer than they may differ."""

SETTLE_SECONDS = 0.1
"""How long a worker waits to see whether another took over the same trial."""

MAX_DEATHS = 5
"""A trial whose worker died this often is failed: it may be what kills them."""

LEASE_KEY = "gamma:lease"
_BEAT_KEY = "gamma:beat:"

_held: set[str] = set()
"""The leases that threads of this process hold."""


@dataclass(frozen=True)
class Process:
    """A process, told apart from all others on all machines.

    Attributes:
        host: The machine, since its last start, and the process namespace on it.
        pid: The process id there.
        started: When it started, in the system's own clock ticks; ids are used again.
    """

    host: str
    pid: int
    started: str

    @staticmethod
    def current() -> Process:
        """Return the calling process."""
        return Process(_host(), os.getpid(), _status(os.getpid()) or "")

    @staticmethod
    def from_json(value: Any) -> Process:
        """Read a process back.

        Raises:
            ValueError: If the value is not what :meth:`to_json` gives.
        """
        match value:
            case [str(host), int(pid), str(started)]:
                return Process(host, pid, started)
        raise ValueError(f"Not a process: {value!r}.")

    def to_json(self) -> list[Any]:
        """Return the process as a JSON value."""
        return [self.host, self.pid, self.started]

    def is_known_dead(self) -> bool:
        """Whether the process ran on this machine and is gone; of others nothing is known."""
        return self.host == _host() and _status(self.pid) not in ("", self.started)

    def is_known_alive(self) -> bool:
        """Whether the process runs on this machine; of others nothing is known."""
        return self.host == _host() and _status(self.pid) == self.started != ""


@functools.cache
def _host() -> str:
    # Containers may share a host name but not a process namespace, and ids mean nothing after the
    # machine has been started anew.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        return f"{socket.gethostname()}/{uuid.getnode():x}"
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _status(pid: int) -> str | None:
    """When a process of this machine started, or :obj:`None` if it is gone or a zombie.

    It is empty where the process lives and the system does not tell.
    """
    if os.name == "nt":
        return ""  # no signal 0 there
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name, in parentheses, may hold anything; see proc(5) for the fields after it.
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        pass
    else:
        return None if fields[0] in (b"Z", b"X") else fields[19].decode()
    # Systems without /proc, such as macOS, and those that hide other users' processes there
    # (hidepid): ids only.
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # or no system has such an id
        return None
    except PermissionError:
        pass
    return ""


@dataclass(frozen=True)
class Lease:
    """One worker's claim to one trial.

    Attributes:
        id: Unique, in hexadecimal digits.
        process: Who holds it.
        deaths: How many workers died with this trial before.
        released: Whether the holder gave the trial back, to be run again.
        begun: When it was made, by the holder's clock, as of :func:`time.time`; :obj:`None` in
            runs of versions that did not write it.
    """

    id: str
    process: Process
    deaths: int = 0
    released: bool = False
    begun: float | None = None

    @staticmethod
    def new(deaths: int = 0) -> Lease:
        """Make a lease for the calling process."""
        lease = Lease(uuid.uuid4().hex[:16], Process.current(), deaths, begun=time.time())
        _held.add(lease.id)
        return lease

    @staticmethod
    def of(trial: FrozenTrial) -> Lease:
        """Return the lease of a trial that a staged study created."""
        value = trial.system_attrs[LEASE_KEY]
        return Lease(
            str(value["id"]),
            Process.from_json(value["process"]),
            int(value["deaths"]),
            bool(value["released"]),
            value.get("begun"),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the lease as a JSON value."""
        return {
            "id": self.id,
            "process": self.process.to_json(),
            "deaths": self.deaths,
            "released": self.released,
            "begun": self.begun,
        }

    def is_known_held(self) -> bool:
        """Whether the holder runs on this machine; of others nothing is known."""
        return not self.released and (self.id in _held or self.process.is_known_alive())

    def is_held_on(self, storage: BaseStorage, trial_id: int) -> bool:
        """Whether the trial is unfinished and this lease is its present one."""
        trial = storage.get_trial(trial_id)
        return not trial.state.is_finished() and Lease.of(trial).id == self.id

    def release(self, storage: BaseStorage, trial_id: int) -> None:
        """Give the trial back: anybody may run it again at once."""
        _held.discard(self.id)
        if self.is_held_on(storage, trial_id):
            released = replace(self, released=True)
            storage.set_trial_system_attr(trial_id, LEASE_KEY, released.to_json())

    @contextmanager
    def released_on_error(self, storage: BaseStorage, trial_id: int) -> Iterator[None]:
        """Release it if the block raises: a later call in this process need not wait for it."""
        try:
            yield
        except BaseException:
            self.release(storage, trial_id)
            raise

    @contextmanager
    def renewed(self, storage: BaseStorage, trial_id: int) -> Iterator[None]:
        """Show signs of life while the block runs; the lease ends with it."""
        done = threading.Event()

        def beat() -> None:
            count = 0
            while not done.wait(BEAT_SECONDS):
                count += 1
                beat = [count, time.time()]
                try:
                    storage.set_trial_system_attr(trial_id, f"{_BEAT_KEY}{self.id}", beat)
                except optuna.exceptions.UpdateFinishedTrialError:
                    return
                except Exception as error:
                    _logger.warning(f"No sign of life could be written to the storage: {error!r}")

        thread = threading.Thread(target=beat, name="optuna-gamma-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            _held.discard(self.id)


def seems_held(trial: FrozenTrial) -> bool:
    """Whether somebody runs this RUNNING trial, as far as one look can tell: for words only."""
    lease = Lease.of(trial)
    if lease.released or lease.process.is_known_dead():
        return False
    _, beat = _last_sign(trial)
    seen = beat[1] if isinstance(beat, list) else lease.begun
    is_recent = seen is None or time.time() - seen < SILENT_SECONDS
    return is_recent or lease.is_known_held()


class LeaseWatch:
    """Finds trials whose workers are dead, and takes them over."""

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage
        self._seen: dict[str, tuple[tuple[str, Any], float]] = {}
        self._in_doubt: list[tuple[str, Any]] | None = None

    def is_free(self, trial: FrozenTrial) -> bool:
        """Whether nobody runs this RUNNING trial any more."""
        lease = Lease.of(trial)
        if lease.released or lease.process.is_known_dead():
            return True
        if lease.process == Process.current() and lease.id not in _held:
            return True  # left behind by an earlier call in this process
        sign = _last_sign(trial)
        now = time.monotonic()
        if lease.id not in self._seen or self._seen[lease.id][0] != sign:
            self._seen[lease.id] = (sign, now)
        return now - self._seen[lease.id][1] > GRACE_SECONDS

    def n_in_doubt(self, running: Iterable[FrozenTrial]) -> int:
        """Count the trials whose workers may have been dead when the watch began.

        They were RUNNING at the first call, elsewhere, and since then have shown no sign of life,
        have not finished and were not taken over. Trials that are begun later are not counted: at
        their beginning somebody was alive.
        """
        silent = [_last_sign(trial) for trial in running if not Lease.of(trial).is_known_held()]
        if self._in_doubt is not None:
            silent = [sign for sign in silent if sign in self._in_doubt]
        self._in_doubt = silent
        return len(silent)

    def take_over(self, trial: FrozenTrial) -> Lease | None:
        """Take a free trial over, in place.

        Returns:
            The new lease, or :obj:`None` if another worker was faster.
        """
        previous = Lease.of(trial)
        lease = Lease.new(previous.deaths + (not previous.released))
        if not self._is_unchanged(trial, previous):
            return None
        self._storage.set_trial_system_attr(trial._trial_id, LEASE_KEY, lease.to_json())
        # Storages have no compare-and-set for attributes. Of several workers that wrote, the last
        # one stays; all see the same one after a pause longer than the time from check to write
        # (M. Fischer's algorithm in L. Lamport, "A Fast Mutual Exclusion Algorithm", 1987). Who
        # is paused longer than that runs the trial too, but finds its lease gone when it is done.
        time.sleep(SETTLE_SECONDS)
        if self._is_unchanged(trial, lease):
            return lease
        _held.discard(lease.id)
        return None

    def _is_unchanged(self, trial: FrozenTrial, lease: Lease) -> bool:
        now = self._storage.get_trial(trial._trial_id)
        return not now.state.is_finished() and Lease.of(now) == lease


def _last_sign(trial: FrozenTrial) -> tuple[str, Any]:
    """Return what changes with each sign of life of a trial's worker, and with the worker."""
    lease = Lease.of(trial)
    return lease.id, trial.system_attrs.get(f"{_BEAT_KEY}{lease.id}")
