"""The command line, ``optuna-gamma``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run ``optuna-gamma``; exits with 0 (done), 1 (failed), 2 (bad input) or 130 (Ctrl-C)."""
    try:
        from optuna_gamma.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.exit(
            f"optuna-gamma needs {error.name}, which is not installed: "
            "pip install 'optuna-gamma[cli]', or 'optuna-gamma[train]' to train networks."
        )
    app()
