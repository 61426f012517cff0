"""Workers are killed with SIGKILL; what remains goes on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
import random
import signal
import sys
from typing import Any

import optuna
from optuna.trial import TrialState
import pytest

from benchmarks.chaos.check import calls
from benchmarks.chaos.check import load
from benchmarks.chaos.check import n_stops
from benchmarks.chaos.check import result
from benchmarks.chaos.check import violations
from benchmarks.chaos.points import COMMIT_POINTS
from benchmarks.chaos.server import DISK_FULL
from benchmarks.chaos.server import Run
from benchmarks.chaos.server import SHORT_LEASE
from benchmarks.chaos.server import STORAGE_FAILED
from benchmarks.chaos.server import WorkerOptions


N_STAGES, N_TRIALS = 3, 6
KILLED = -signal.SIGKILL

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")


def worker(folder: Path, **options: Any) -> WorkerOptions:
    return WorkerOptions(str(folder), n_stages=N_STAGES, n_trials=N_TRIALS, **options)


@pytest.fixture(params=["journal", "postgresql"])
def storage(request: pytest.FixtureRequest) -> str | None:
    if request.param == "journal":
        return None
    return str(request.getfixturevalue("database"))


Undisturbed = Callable[[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def undisturbed(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    known: dict[tuple[str, str], dict[str, Any]] = {}

    def get(sampler: str, keep: str) -> dict[str, Any]:
        if (sampler, keep) not in known:
            first = worker(tmp_path_factory.mktemp("undisturbed"), sampler=sampler, keep=keep)
            assert run(first) == [0]
            known[sampler, keep] = result(first)
            assert len(known[sampler, keep]["schedule"]) == N_STAGES
            n_kept = N_STAGES if keep == "all" else 1
            assert len(known[sampler, keep]["files"]) == n_kept + 1  # and schedule.json
        return known[sampler, keep]

    return get


def go_on(run: Run, killed: WorkerOptions, expected: dict[str, Any], n_kills: int) -> None:
    """Let the run be finished; all must be as if nothing had happened."""
    assert n_kills > 0
    assert run(replace(killed, kill=None)) == [0]
    assert result(killed) == expected
    assert violations(killed, n_kills) == []


def one_after_another(run: Run, workers: list[WorkerOptions]) -> int:
    """Run workers, each in a process of its own, and count how many were killed."""
    statuses = [status for worker in workers for status in run(worker)]
    assert set(statuses) <= {0, KILLED}
    return statuses.count(KILLED)


@pytest.mark.parametrize(
    "point",
    ["identity", "study", "trial", "parameter", *COMMIT_POINTS, "schedule", "torn line"],
)
@pytest.mark.parametrize("sampler", ["random", "gamma"])
def test_a_kill_at_a_commit_point_changes_nothing(
    point: str, sampler: str, run: Run, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    workers = [
        worker(tmp_path, sampler=sampler, keep="last", kill=(point, nth)) for nth in (1, 2, 7)
    ]
    n_kills = one_after_another(run, workers)
    go_on(run, workers[0], undisturbed(sampler, "last"), n_kills)


@pytest.mark.parametrize("point", ["study", "trial", "attribute", "tell", "promotion"])
def test_a_kill_at_a_commit_point_changes_nothing_on_postgresql(
    point: str, run: Run, undisturbed: Undisturbed, database: str, tmp_path: Path
) -> None:
    workers = [worker(tmp_path, storage=database, kill=(point, nth)) for nth in (1, 3)]
    n_kills = one_after_another(run, workers)
    go_on(run, workers[0], undisturbed("random", "all"), n_kills)


@pytest.mark.parametrize("seed", range(12))
def test_kills_anywhere_change_nothing(
    seed: int, run: Run, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    common = {"sampler": rng.choice(["random", "tpe"]), "keep": rng.choice(["all", "last"])}
    workers = [
        worker(tmp_path, **common, kill=("call", int(10 ** rng.uniform(2, 4.8)))) for _ in range(4)
    ]
    n_kills = one_after_another(run, workers)
    go_on(run, workers[0], undisturbed(common["sampler"], common["keep"]), n_kills)


def test_a_finished_run_does_nothing(run: Run, tmp_path: Path) -> None:
    for _ in range(2):
        assert run(worker(tmp_path)) == [0]
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert run(worker(tmp_path)) == [0]
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


def test_several_workers_share_an_exact_budget(
    run: Run, storage: str | None, tmp_path: Path
) -> None:
    one = worker(tmp_path, storage=storage, keep="last")
    assert run(one, one, one, one) == [0, 0, 0, 0]
    assert violations(one, 0) == []


@pytest.mark.parametrize("seed", range(3))
def test_several_workers_survive_the_death_of_others(
    seed: int, run: Run, storage: str | None, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    points = ["trial", "temporary", "rename", "attribute", "tell", "promotion"]
    kills = [
        (rng.choice(points), rng.randint(1, 4)),
        ("call", int(10 ** rng.uniform(3, 4.5))),
        ("torn line" if storage is None else "call", rng.randint(5, 20)),
    ]
    survivor = worker(tmp_path, storage=storage, keep="last")
    codes = run(survivor, *(replace(survivor, kill=kill) for kill in kills))
    assert codes[0] == 0
    # Who is killed after the survivor left a stage may leave a trial there that came too late.
    assert run(survivor) == [0]
    assert violations(survivor, len(kills)) == []


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        *((point, 1) for point in ("load", "temporary", "rename", "attribute", "promotion")),
        ("lock", 20),
        *(("transaction", nth) for nth in (1, 2, 4, 6)),
    ],
)
def test_a_worker_woken_after_its_lease_changes_nothing(
    point: str, nth: int, run: Run, storage: str | None, tmp_path: Path
) -> None:
    if (point == "lock" and storage is not None) or (point == "transaction" and storage is None):
        pytest.skip("the other storage's")
    n_stopped = 0
    for name in "abcde":  # the other one may be faster and leave nothing to stop at
        other = worker(
            tmp_path / name, storage=storage, study_name=name, keep="last", constants=SHORT_LEASE
        )
        woken, undisturbed = run(replace(other, stop=(point, nth)), other)
        # Who was stopped in a transaction, which was ended since, may give up.
        assert woken in ((0, STORAGE_FAILED) if point == "transaction" else (0,))
        assert undisturbed == 0
        assert run(other) == [0]
        assert violations(other, 1) == []
        n_stopped = n_stops(other)
        if n_stopped:
            break
    assert n_stopped == 1


@pytest.mark.parametrize("nth", [1, 2, 20, 70])
def test_a_full_disk_ends_a_worker_and_the_run_goes_on_afterwards(
    nth: int, run: Run, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    one = worker(tmp_path, keep="last", sampler="random", kill=("full disk", nth))
    assert run(one) == [DISK_FULL]
    go_on(run, one, undisturbed("random", "last"), 1)


def test_a_trial_that_kills_its_worker_five_times_is_failed(run: Run, tmp_path: Path) -> None:
    one = worker(tmp_path)
    for _ in range(5):
        assert run(replace(one, kill=("rename", 1))) == [KILLED]
    assert run(one) == [0]
    first = load(one).studies[0].trials[0]
    assert first.state == TrialState.FAIL
    assert "died 5 times" in first.user_attrs["failure"]
    assert len(load(one).schedule) == N_STAGES


def test_two_runs_in_one_directory_at_the_same_moment(run: Run, tmp_path: Path) -> None:
    codes = run(worker(tmp_path, study_name="run"), worker(tmp_path, study_name="other"))
    assert sorted(codes) == [0, 1]
    journal = optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal.log"))
    storage = optuna.storages.JournalStorage(journal)
    names = {name.split("/")[0] for name in optuna.get_all_study_names(storage)}
    assert len(names) == 1


def test_two_runs_of_one_name_in_one_database_at_the_same_moment(
    run: Run, database: str, tmp_path: Path
) -> None:
    one, two = (worker(tmp_path / name, storage=database) for name in ("a", "b"))
    assert sorted(run(one, two)) == [0, 1]
    assert calls(one).keys() != calls(two).keys()
