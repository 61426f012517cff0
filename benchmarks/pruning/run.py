"""Run what is missing, then report."""

from __future__ import annotations

from pathlib import Path
import sys

import typer

from benchmarks.pool import attempt_all
from benchmarks.pruning.jobs import Job
from benchmarks.pruning.jobs import Store
from benchmarks.pruning.plan import PLANS
from benchmarks.pruning.report import write
from benchmarks.record import Preset
from benchmarks.record import Purpose


def main(preset: Preset, purpose: Purpose, processes: int, out: Path) -> None:
    """Do what the command line asks for.

    Args:
        preset: How much is run.
        purpose: What for.
        processes: How many runs at a time; 0: none, only what is stored is reported.
        out: Folder for results; runs go to its folder ``pruning``.

    Raises:
        typer.Exit: If a run failed, after the report on the others.
    """
    plan = PLANS[preset][purpose]
    store = Store(out / "pruning", is_read_only=not processes)
    jobs = plan.jobs()
    failed = False
    if processes:
        missing = store.missing(jobs)
        for n, attempt in enumerate(attempt_all(Job.run, missing, processes), start=1):
            job, outcome = attempt.job, attempt.result
            what = f"{job.task.name}, {job.pruner}, {job.sampler}, seed {job.seed}"
            if outcome is None:
                failed = True
                print(f"{what}: failed: {attempt.error}", file=sys.stderr, flush=True)
            else:
                store.add(job, outcome)
                print(f"{n} of {len(missing)}: {what}", file=sys.stderr, flush=True)
    write(plan, store.read(jobs), preset, purpose, out)
    if failed:
        raise typer.Exit(1)
