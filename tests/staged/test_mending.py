"""What a run needs is out of reach: the error says so, and once it is mended the run goes on."""

from __future__ import annotations

from collections.abc import Callable
import errno
import os
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
import pytest
from sqlalchemy import make_url
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from optuna_gamma.staged import database as database_module
from optuna_gamma.staged import Stage
from optuna_gamma.staged import StagedStudy


Create = Callable[..., StagedStudy]
Objective = Callable[[optuna.Trial, Stage], float]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_database_that_goes_away_in_the_middle_of_a_trial(
    create: Create, objective: Objective, postgresql: Any, database: str, moment: str
) -> None:
    name = make_url(database).database
    away = False

    def go_away() -> None:
        nonlocal away
        away = True
        postgresql.psql(
            f"ALTER DATABASE {name} ALLOW_CONNECTIONS false; "
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}';"
        )

    def cut_off(trial: optuna.Trial, stage: Stage) -> float:
        if trial.number == 1 and not away and moment == "before":
            go_away()
        value = objective(trial, stage)
        if trial.number == 1 and not away:
            go_away()
        return value

    staged = create(storage=database)
    for _ in range(2):
        with pytest.raises(StorageInternalError, match="not currently accepting connections"):
            # Not the trial's fault: it does not fail, even if everything else fails a trial.
            staged.optimize(cut_off, 1, 3, catch=(Exception,))
    postgresql.psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true;")
    staged.optimize(cut_off, 1, 3, catch=(Exception,))
    assert [trial.state for trial in staged.studies[0].trials] == [TrialState.COMPLETE] * 3


def test_a_server_that_is_restarted_during_a_trial_is_reached_again(
    create: Create, objective: Objective, postgresql: Any, database: str
) -> None:
    def restart(trial: optuna.Trial, stage: Stage) -> float:
        value = objective(trial, stage)
        postgresql.psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{make_url(database).database}';"
        )
        return value

    staged = create(storage=database)
    staged.optimize(restart, 1, 3)
    assert [trial.state for trial in staged.studies[0].trials] == [TrialState.COMPLETE] * 3


@pytest.mark.parametrize("given", ["url", "object"])
def test_a_worker_paused_in_a_transaction_holds_nobody_up(
    create: Create,
    objective: Objective,
    database: str,
    given: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database_module, "IDLE_SECONDS", 1)
    storage = database if given == "url" else optuna.storages.RDBStorage(database)
    staged = create(storage=storage)

    def broken(trial: optuna.Trial, stage: Stage) -> float:
        raise KeyError

    with pytest.raises(KeyError):
        staged.optimize(broken, 1, 2)
    [study] = staged.studies
    paused = database_module.open_storage(storage)._backend.engine.connect()
    for table in ("trials", "studies"):
        paused.execute(text(f"SELECT * FROM {table} FOR UPDATE"))
    create(storage=database).optimize(objective, 1, 2)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    with pytest.raises(DBAPIError, match="idle-in-transaction"):
        paused.execute(text("SELECT 1"))
    paused.close()


def refuse(*_: Any, **__: Any) -> Any:
    raise OSError(errno.EROFS, "Read-only file system")


@pytest.mark.skipif(not Path("/sys/kernel").exists(), reason="needs Linux's /sys")
def test_a_directory_that_takes_no_files(create: Create) -> None:
    with pytest.raises(OSError, match="/sys/kernel/run"):
        create(directory="/sys/kernel/run")


@pytest.mark.parametrize("broken", ["open", "replace"])
def test_a_directory_that_becomes_read_only(
    create: Create,
    objective: Objective,
    broken: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The database is elsewhere, so that the directory alone is broken."""
    storage = f"sqlite:///{tmp_path}/study.db"
    staged = create(storage=storage)
    staged.optimize(objective, 1, 2)
    for _ in range(7):  # no worker has died
        with monkeypatch.context() as patch:
            if broken == "open":
                patch.setattr(Path, "write_bytes", refuse)
            else:
                patch.setattr(os, "replace", refuse)
            with pytest.raises(RuntimeError, match=r"could not be written: .*Read-only") as caught:
                staged.optimize(objective, 2, 2)
        assert str(tmp_path / "run" / "checkpoints") in str(caught.value)
    assert [trial.state for trial in staged.studies[1].trials] == [TrialState.RUNNING]
    assert len(staged.load_best()["path"]) == 1
    create(storage=storage).optimize(objective, 2, 2)
    assert [len(study.trials) for study in staged.studies] == [2, 2]
    assert len(staged.load_best()["path"]) == 2


def test_a_journal_that_becomes_read_only_is_named(
    create: Create, objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = create()
    staged.optimize(objective, 1, 2)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(OSError, match=r"Read-only file system: '.*journal\.log'"):
            staged.optimize(objective, 2, 2)
    staged.optimize(objective, 2, 2)
    assert len(staged.schedule) == 2
