"""What ``optuna-gamma clean`` does."""

from __future__ import annotations

import optuna

from optuna_gamma.cli.errors import DONE
from optuna_gamma.cli.errors import exit_code
from optuna_gamma.cli.opening import open_run


def run(out: str, storage: str | None, dry_run: bool) -> int:
    """Delete, or list, the checkpoints of a run that nobody needs.

    Returns:
        The exit code.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return exit_code(lambda: _run(out, storage, dry_run))


def _run(out: str, storage: str | None, dry_run: bool) -> int:
    for name in open_run(out, storage).clean(dry_run=dry_run):
        print(name)
    return DONE
