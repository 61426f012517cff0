"""What ``optuna-gamma worker`` does."""

from __future__ import annotations

from dataclasses import replace
import os
from pathlib import Path

from optuna_gamma.cli import train
from optuna_gamma.cli.errors import exit_code
from optuna_gamma.cli.opening import recorded_storage
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
    return exit_code(lambda: _run(out, storage, data, device, threads, quiet))


def _run(
    out: Path,
    storage: str | None,
    data: Path | None,
    device: str | None,
    threads: int | None,
    quiet: bool,
) -> int:
    options = TrainOptions.read(out)
    storage = storage or recorded_storage(options)
    here = replace(
        options,
        storage=storage,
        data=data or options.data,
        device=device or options.device,
        threads=threads or (None if "OMP_NUM_THREADS" in os.environ else options.threads),
        quiet=quiet,
    )
    return train.run(here, joins=True)
