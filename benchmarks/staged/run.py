"""Run what is missing, then report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
import sys

import typer

from benchmarks.pool import attempt_all
from benchmarks.record import Preset
from benchmarks.record import Purpose
from benchmarks.staged.jobs import Job
from benchmarks.staged.jobs import Store
from benchmarks.staged.plan import get_plan
from benchmarks.staged.report import Reports
from benchmarks.staged.report import write


def main(
    preset: Preset,
    purpose: Purpose,
    problems: Sequence[str],
    methods: Sequence[str],
    processes: int,
    out: Path,
) -> None:
    """Do what the command line asks for.

    Args:
        preset: How much is run.
        purpose: What for.
        problems: Patterns of names; none: all.
        methods: Patterns of names; none: all. They limit what is run, not what is reported.
        processes: How many runs at a time; 0: none, only what is stored is reported.
        out: Folder for results; runs go to its folder ``staged``.

    Raises:
        typer.Exit: If a run failed, after the report on the others.
    """
    plan = get_plan(preset, purpose)
    plan = replace(plan, problems=tuple(p for p in plan.problems if _matches(p.name, problems)))
    store = Store(out / "staged", is_read_only=not processes)
    jobs = plan.jobs()
    wanted = [job for job in store.missing(jobs) if _matches(job.method.name, methods)]
    failed = False
    if processes:
        for n, attempt in enumerate(attempt_all(Job.run, wanted, processes), start=1):
            job, result = attempt.job, attempt.result
            what = f"{n} of {len(wanted)}: {job.problem.name}, {job.method.name}, seed {job.seed}"
            if result is None:
                failed = True
                print(f"{what}: failed: {attempt.error}", file=sys.stderr, flush=True)
            else:
                store.add(job, result)
                print(f"{what}: {result['seconds']:.0f} s", file=sys.stderr, flush=True)
    write(Reports(plan, store.read(jobs)), preset, purpose, out)
    if failed:
        raise typer.Exit(1)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch(name, pattern) for pattern in patterns)
