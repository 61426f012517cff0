"""What ``optuna-gamma clean`` does."""

from __future__ import annotations

import sys

import optuna
from sqlalchemy.exc import SQLAlchemyError

from optuna_gamma.cli.options import in_options
from optuna_gamma.staged import load_staged_study
from optuna_gamma.staged.directory import RunDirectory
from optuna_gamma.staged.identity import RunIdentity


_DONE, _FAILED, _BAD_INPUT = 0, 1, 2


def run(out: str, storage: str | None, dry_run: bool) -> int:
    """Delete, or list, the checkpoints of a run that nobody needs.

    Returns:
        The exit code.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        identity = RunIdentity.read(RunDirectory(out))
        if identity is None:
            raise ValueError(f"`out` {out} holds no run.")
        staged = load_staged_study(study_name=identity.study_name, storage=storage, directory=out)
        for name in staged.clean(dry_run=dry_run):
            print(name)
    except (ValueError, KeyError, NotADirectoryError) as error:
        print(f"Error: {in_options(str(error.args[0]))}", file=sys.stderr)
        return _BAD_INPUT
    except (OSError, SQLAlchemyError, optuna.exceptions.OptunaError) as error:
        print(f"Error: {in_options(str(error))}", file=sys.stderr)
        return _FAILED
    return _DONE
