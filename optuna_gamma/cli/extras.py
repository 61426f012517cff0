"""Packages that are installed with an extra."""

from __future__ import annotations

import typer


def missing(command: str, error: ImportError) -> typer.Exit:
    """Say what to install, unless the error is our own."""
    if error.name is None or error.name.startswith("optuna_gamma"):
        raise error
    extra = "dashboard" if command == "dashboard" else "train"
    typer.echo(
        f"Error: optuna-gamma {command} needs {error.name}, which is not installed: "
        f"pip install 'optuna-gamma[{extra}]'.",
        err=True,
    )
    return typer.Exit(1)
