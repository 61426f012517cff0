"""Opening a run that is there, by its folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

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
    if storage is None and not identity.journal:
        storage = recorded_storage(read_options(out))
        if storage is None:
            raise ValueError(
                f"The studies of the run in {out} are in a database: give its URL with `storage`."
            )
    return load_staged_study(study_name=identity.study_name, storage=storage, directory=out)


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
