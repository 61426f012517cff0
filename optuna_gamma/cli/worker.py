"""What ``optuna-gamma worker`` does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from optuna_gamma.cli import train
from optuna_gamma.cli.options import TrainOptions


def run(
    out: Path,
    storage: str | None,
    data: Path | None,
    device: str | None,
    threads: int | None,
    quiet: bool,
) -> int:
    """Join the run in a folder, with its options; what is given replaces what is this machine's.

    Returns:
        The exit code.
    """
    try:
        options = TrainOptions.read(out)
        storage = storage or options.storage
        if storage is not None and ":***@" in storage:
            raise ValueError(
                f"The run's storage is {storage}; its password was not written down. Give the "
                "whole URL with `storage`."
            )
    except ValueError as error:
        return train.say(error, train.BAD_INPUT)
    here = replace(
        options,
        storage=storage,
        data=data or options.data,
        device=device or options.device,
        threads=threads or options.threads,
        quiet=quiet,
    )
    return train.run(here, joins=True)
