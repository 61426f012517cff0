"""Run what is missing, then report."""

from __future__ import annotations

from pathlib import Path
import sys

import typer

from benchmarks.pool import attempt_all
from benchmarks.record import Preset
from benchmarks.record import Purpose
from benchmarks.samplers.contenders import own_version
from benchmarks.transfer.jobs import run
from benchmarks.transfer.jobs import Store
from benchmarks.transfer.plan import PLANS
from benchmarks.transfer.report import write


def main(preset: Preset, purpose: Purpose, processes: int, out: Path) -> None:
    """Do what the command line asks for.

    Args:
        preset: How much is run.
        purpose: What for.
        processes: How many runs at a time; 0: none, only what is stored is reported.
        out: Folder for results; runs go to its folder ``transfer``.

    Raises:
        typer.Exit: If a run failed, after the report on the others.
    """
    plan = PLANS[preset][purpose]
    store = Store(out / "transfer", is_read_only=not processes)
    jobs = plan.jobs()
    done = store.read(jobs)
    missing = [job for job in jobs if job not in done] if processes else []
    failed = False
    attempts = attempt_all(run, missing, processes, set_up=own_version) if missing else ()
    for n, attempt in enumerate(attempts, start=1):
        if attempt.result is None:
            failed = True
            print(f"{attempt.job}: failed: {attempt.error}", file=sys.stderr, flush=True)
            continue
        done[attempt.job] = attempt.result
        store.add(attempt.job, attempt.result)
        if n % 50 == 0 or n == len(missing):
            print(f"{n} of {len(missing)} runs are done.", file=sys.stderr, flush=True)
    if done:
        write(plan, done, f"transfer-{purpose.value}-{preset.value}", out)
    if failed:
        raise typer.Exit(1)
