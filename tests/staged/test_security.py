"""Passwords stay where they are, and what others wrote is not trusted."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import pickle
import stat
from typing import Any

import optuna
from optuna.trial import create_trial
from optuna.trial import TrialState
import pytest

from optuna_gamma.staged import create_staged_study
from optuna_gamma.staged import load_staged_study
from optuna_gamma.staged import StagedStudy


Create = Callable[..., StagedStudy]

SECRET = "hunter2"


def chain(error: BaseException | None) -> str:
    return (
        "" if error is None else f"{error!r} {error} {chain(error.__cause__ or error.__context__)}"
    )


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/x",
        f"postgresql+psycopg://me:{SECRET}@/x?host=/absent",
        f"postgresql+psycopg://me:{SECRET}@host:port/x",
        f"mysql+absent://me:{SECRET}@host/x",
        f"absent://me:{SECRET}@host/x",
        f"postgresql+psycopg//me:{SECRET}@host/x",
        f"postgresql+psycopg://me:p@{SECRET}@host/x",
        f"postgresql+psycopg://me:p@x:{SECRET}@host/x",
        f"postgresql+psycopg://me:p@{SECRET}/x@host/x",
    ],
)
def test_a_database_out_of_reach_is_an_error_without_its_password(
    create: Create, tmp_path: Path, url: str
) -> None:
    with pytest.raises(Exception, match=r".") as caught:
        create(storage=url)
    assert SECRET not in chain(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_password_reaches_neither_files_nor_attributes_nor_logs(
    database: str, tmp_path: Path, objective: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    url = database.replace("://postgres:@", f"://postgres:{SECRET}@")
    assert SECRET in url
    optuna.logging.set_verbosity(optuna.logging.DEBUG)

    def failing(trial: optuna.Trial, stage: Any) -> float:
        if trial.number == 1:
            raise ValueError("diverged")
        return float(objective(trial, stage))

    staged = create_staged_study(study_name="run", storage=url, directory=tmp_path / "run")
    staged.optimize(failing, 2, 2, catch=ValueError, show_progress_bar=True)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert SECRET.encode() not in written
    captured = capfd.readouterr()
    assert SECRET not in captured.out + captured.err
    assert SECRET not in repr(staged.schedule)
    for study in staged.studies:
        assert SECRET not in repr([study.user_attrs, study._storage.get_all_studies()])
        assert SECRET not in repr(study.trials)


def test_nothing_is_unpickled(
    create: Create, tmp_path: Path, objective: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("pickle was asked")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    staged = create()
    staged.optimize(objective, 2, 2)
    staged = load_staged_study(study_name="run", directory=tmp_path / "run")
    assert staged.load_best()


@pytest.mark.parametrize("place", ["lease", "parent", "result"])
def test_a_storage_that_was_tampered_with_cannot_reach_outside(
    create: Create, tmp_path: Path, objective: Any, place: str
) -> None:
    """Names of files are made of what the storage says."""
    staged = create()
    staged.optimize(objective, 1, 2)
    victim = tmp_path / "victim.tmp"
    victim.touch()
    weights = tmp_path / "victim.safetensors"
    weights.touch()
    evil = "0/../../../victim"
    study = staged.studies[0]
    attrs: dict[str, Any] = study.trials[0].system_attrs
    record, lease = attrs["gamma:trial"], attrs["gamma:lease"]
    stage = 0
    if place == "lease":
        lease = {**lease, "id": evil, "released": True}
        record = {**record, "n_trials": 3}
        stage = 1
    elif place == "parent":
        lease = {**lease, "released": True}
        record = {**record, "parent": {"stage": 0, "trial": 0, "sha256": evil}}
        stage = 1
    staged._run.open_stage(stage)
    study = staged.studies[stage]
    if place == "result":
        fresh = create(directory=tmp_path / "b", study_name="b")
        run_id = fresh._run.identity.id
        fresh.studies[0].add_trial(
            create_trial(
                value=1.0,
                system_attrs={
                    "gamma:trial": {**record, "run": run_id, "n_trials": 1},
                    "gamma:lease": lease,
                    "gamma:result:a": {"value": 1.0, "sha256": evil},
                },
            )
        )
        staged = fresh
    else:
        study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                system_attrs={"gamma:trial": record, "gamma:lease": lease},
            )
        )
    with pytest.raises(ValueError, match="tampered"):
        staged.optimize(objective, 2, 1 if place == "result" else 3)
    assert victim.exists()
    assert weights.exists()


def test_files_have_the_permissions_of_any_new_file(
    create: Create, tmp_path: Path, objective: Any
) -> None:
    before = os.umask(0o027)
    try:
        create().optimize(objective, 2, 2)
    finally:
        os.umask(before)
    for path in (tmp_path / "run").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o750 if path.is_dir() else 0o640), path
