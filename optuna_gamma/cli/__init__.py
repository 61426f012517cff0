"""The command line, ``optuna-gamma``."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run ``optuna-gamma``; exits with 0 (done), 1 (failed), 2 (bad input) or 130 (Ctrl-C)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # not all encodings have a κ
    try:
        from optuna_gamma.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.exit(
            f"Error: optuna-gamma needs {error.name}, which is not installed: "
            "pip install 'optuna-gamma[cli]', or 'optuna-gamma[train]' to train networks."
        )
    try:
        app()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is said; only Python's exit is left
