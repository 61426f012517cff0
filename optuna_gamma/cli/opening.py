"""Opening a run that is there, by its folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path

from optuna.exceptions import StorageInternalError
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import SQLAlchemyError

from optuna_gamma.cli.options import TrainOptions
from optuna_gamma.staged import load_staged_study
from optuna_gamma.staged import StagedStudy
from optuna_gamma.staged.directory import RunDirectory
from optuna_gamma.staged.identity import RunIdentity


def open_run(out: str, storage: str | None) -> StagedStudy:
    """Load the staged study in a folder, made by ``optuna-gamma train`` or by a program.

    Args:
        out: The folder, or a URL.
        storage: Where its studies are; :obj:`None`: where ``config.toml`` says, or its journal.

    Raises:
        ValueError: If there is none, or the storage has to be given.
    """
    identity = RunIdentity.read(RunDirectory(out))
    if identity is None:
        raise ValueError(
            f"{out} holds no run: give the folder that `optuna-gamma train` or "
            "`create_staged_study` was given."
        )
    if storage is not None and identity.journal:
        raise ValueError(
            f"The studies of the run in {out} are in the folder itself: leave `storage` out."
        )
    if storage is None and not identity.journal:
        storage = recorded_storage(read_options(out))
        if storage is None:
            raise ValueError(
                f"The studies of the run in {out} are in a database: give its URL with `storage`."
            )
    return load(identity.study_name, storage, out)


def load(name: str, storage: str | None, out: str) -> StagedStudy:
    """Load the staged study with a name; where there is none, nothing is written.

    Raises:
        ValueError: If the storage cannot be opened.
        KeyError: If it does not hold the study.
    """
    file = None if storage is None else sqlite_file(storage)
    if file is not None and not file.exists():  # SQLite would make it
        raise ValueError(
            f"There is no database {file}: give the URL that the run was begun with as `storage`."
        )
    with opening_storage():
        return load_staged_study(study_name=name, storage=storage, directory=out)


@contextmanager
def opening_storage() -> Iterator[None]:
    """Say that it is the storage which cannot be opened in the block, and why.

    Raises:
        ValueError: Instead of what SQLAlchemy and Optuna raise.
    """
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        raise ValueError(f"`storage` cannot be opened: {str(error).splitlines()[0]}") from error


def sqlite_file(storage: str) -> Path | None:
    """Return the file of an SQLite database; :obj:`None` if a URL is of something else.

    >>> str(sqlite_file("sqlite:///runs.db")), sqlite_file("sqlite://"), sqlite_file("mysql://h/x")
    ('runs.db', None, None)
    """
    try:
        url = make_url(storage)
    except (ValueError, ArgumentError):
        return None
    name = url.database or ":memory:"
    is_file = url.get_backend_name() == "sqlite" and not name.startswith((":memory:", "file:"))
    return Path(name) if is_file else None


def read_options(out: str) -> TrainOptions | None:
    """Return the options of a run; :obj:`None` if it was not begun by ``optuna-gamma train``."""
    with suppress(ValueError, OSError):
        return TrainOptions.read(Path(out))
    return None


def recorded_storage(options: TrainOptions | None) -> str | None:
    """Return the storage that a run was begun with, if it was written down.

    Raises:
        ValueError: If it was, but for its password.
    """
    if options is None or options.storage is None:
        return None
    if ":***@" not in options.storage:
        return options.storage
    raise ValueError(
        f"The run's storage is {options.storage}; its password was not written down. Give the "
        "whole URL with `storage`."
    )
