"""Several workers and kills on MySQL; needs a server from a system package, so not in CI."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
import signal

import pytest

from benchmarks.chaos.check import n_stops
from benchmarks.chaos.check import result
from benchmarks.chaos.check import violations
from benchmarks.chaos.server import Run
from benchmarks.chaos.server import SHORT_LEASE
from benchmarks.chaos.server import STORAGE_FAILED
from benchmarks.chaos.server import WorkerOptions
from benchmarks.mysql import missing_programs
from benchmarks.mysql import mysql


pytestmark = pytest.mark.skipif(
    bool(missing_programs()), reason=f"not installed: {', '.join(missing_programs())}"
)


@pytest.fixture(scope="module")
def create_database() -> Iterator[Callable[[], str]]:
    with mysql() as create_database:
        yield create_database


def test_workers_share_an_exact_budget_and_survive_the_death_of_others(
    run: Run, create_database: Callable[[], str], tmp_path: Path
) -> None:
    one = WorkerOptions(str(tmp_path), storage=create_database(), keep="last")
    kills = [("trial", 2), ("attribute", 3), ("tell", 2)]
    codes = run(one, *(replace(one, kill=kill) for kill in kills))
    assert codes[0] == 0
    assert -signal.SIGKILL in codes
    assert run(one) == [0]
    assert violations(one, len(kills)) == []


def test_the_run_is_the_undisturbed_one(
    run: Run, create_database: Callable[[], str], tmp_path: Path
) -> None:
    undisturbed = WorkerOptions(str(tmp_path / "journal"))
    assert run(undisturbed) == [0]
    one = WorkerOptions(str(tmp_path / "mysql"), storage=create_database())
    for point in ("trial", "rename", "attribute", "tell", "promotion"):
        assert run(replace(one, kill=(point, 2))) == [-signal.SIGKILL]
    assert run(one) == [0]
    assert result(one) == result(undisturbed)


@pytest.mark.parametrize(("point", "nth"), [("attribute", 1), ("transaction", 6)])
def test_a_worker_woken_after_its_lease_changes_nothing(
    point: str, nth: int, run: Run, create_database: Callable[[], str], tmp_path: Path
) -> None:
    url = create_database()
    one = WorkerOptions(str(tmp_path), storage=url, keep="last", constants=SHORT_LEASE)
    woken, undisturbed = run(replace(one, stop=(point, nth)), one)
    assert woken in ((0, STORAGE_FAILED) if point == "transaction" else (0,))
    assert undisturbed == 0
    assert n_stops(one) == 1
    assert run(one) == [0]
    assert violations(one, 1) == []
