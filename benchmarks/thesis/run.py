"""Run what is missing for some tables, then report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
import sys
import time

from rich.console import Console
from rich.progress import BarColumn
from rich.progress import Progress
from rich.progress import TextColumn
from rich.progress import TimeRemainingColumn
import typer

from benchmarks.pool import attempt_all
from benchmarks.record import Preset
from benchmarks.thesis import krasser
from benchmarks.thesis import single_tables
from benchmarks.thesis import staged_tables
from benchmarks.thesis.jobs import Job
from benchmarks.thesis.jobs import read_table
from benchmarks.thesis.jobs import Result
from benchmarks.thesis.jobs import Search
from benchmarks.thesis.jobs import Table
from benchmarks.thesis.outcome import Outcome
from benchmarks.thesis.plan import get_plan
from benchmarks.thesis.plan import Plan
from benchmarks.thesis.plan import SinglePlan
from benchmarks.thesis.plan import StagedPlan
from benchmarks.thesis.store import Store
from benchmarks.thesis.version import version


TABLES = ("4", "5", "6", "7", "8", "9", "10", "11", "figures")

SECONDS_BETWEEN_LINES = 60.0
"""In a log, where there is no bar."""

console = Console(stderr=True)


def main(tables: Sequence[str], preset: Preset, processes: int, out: Path) -> None:
    """Do what the command line asks for.

    Args:
        tables: Some of :data:`TABLES`.
        preset: How much is run.
        processes: How many runs at a time; 0: none, only what is stored is reported.
        out: Folder for results; runs go to its folder ``thesis``.

    Raises:
        typer.BadParameter: If a report is wanted and nothing is stored.
        typer.Exit: If a run failed, after the report on the others.
    """
    folder = out / "thesis"
    if processes:
        current = version()
    else:
        if not (stored := Store.versions(folder)):
            raise typer.BadParameter(f"There are no runs in {folder}.")
        current = stored[-1]
        console.print(f"The runs of {current} are reported.")
    store, plan = Store(folder, current), get_plan(preset)
    staged, single = _staged(plan, tables), _single(plan, tables)
    first: list[Job] = [job for part in staged for job in part.jobs()]
    for study in single:
        first += study.trainings()
    failed = _collect([(job, None) for job in store.missing(first)], store, processes)

    second = []
    for study in single:
        trained = trained_tables(study, store)
        second += [
            (search, trained[search.seed])
            for search in store.missing(study.searches())
            if search.seed in trained
        ]
    failed |= _collect(second, store, processes)
    _report(plan, tables, store, preset, out)
    if failed:
        raise typer.Exit(1)


def _report(plan: Plan, tables: Sequence[str], store: Store, preset: Preset, out: Path) -> None:
    if {"4", "5"} & set(tables):
        runs = store.read(plan.small.jobs())
        if "4" in tables:
            staged_tables.table_4(plan.small, runs, preset, out)
        if "5" in tables:
            staged_tables.table_5(plan.small, runs, preset, out)
    if "6" in tables:
        staged_tables.table_6(plan.mnist, store.read(plan.mnist.jobs()), preset, out)
    if "7" in tables:
        staged_tables.table_7(plan.cifar, store.read(plan.cifar.jobs()), preset, out)
    outcomes = {
        study.epochs: Outcome(study, trained_tables(study, store), store.read(study.searches()))
        for study in _single(plan, tables)
    }
    for table in ("8", "9", "10", "11"):
        if table in tables:
            single_tables.TABLES[table](plan, outcomes, preset, out)
    if "figures" in tables:
        krasser.figures_12_13(preset, out)
        single_tables.figures_14_17(plan, outcomes, preset, out)


def _staged(plan: Plan, tables: Sequence[str]) -> list[StagedPlan]:
    wanted = []
    if {"4", "5"} & set(tables):
        wanted.append(plan.small)
    if "6" in tables:
        wanted.append(plan.mnist)
    if "7" in tables:
        wanted.append(plan.cifar)
    return wanted


def _single(plan: Plan, tables: Sequence[str]) -> list[SinglePlan]:
    wanted = []
    if {"8", "10", "figures"} & set(tables):
        wanted.append(plan.short)
    if {"9", "10", "11", "figures"} & set(tables):
        wanted.append(plan.long)
    return wanted


def trained_tables(plan: SinglePlan, store: Store) -> dict[int, Table]:
    """Return the finished trainings of each seed that has them all."""
    jobs = plan.trainings()
    results = store.read(jobs)
    tables = {}
    for seed in range(plan.seeds):
        wanted = [job for job in jobs if job.seed == seed]
        if all(job in results for job in wanted):
            tables[seed] = read_table([(job, results[job]) for job in wanted])
    return tables


def _collect(work: Sequence[tuple[Job, Table | None]], store: Store, processes: int) -> bool:
    """Run jobs and store what they come to; return whether one failed."""
    failed = False
    if not work or not processes:
        return failed
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    total, said = sum(job.cost for job, _ in work), time.monotonic()
    with Progress(*columns, console=console, speed_estimate_period=600.0) as progress:
        bar = progress.add_task(f"{len(work)} to do", total=total)
        for done, attempt in enumerate(attempt_all(_run, work, processes), start=1):
            job, _ = attempt.job
            if attempt.result is None:
                failed = True
                console.print(f"Failed: {job}: {attempt.error}", style="red")
            else:
                store.add(job, attempt.result)
            state = f"{done} of {len(work)}"
            progress.update(bar, advance=job.cost, description=state)
            if not console.is_terminal and time.monotonic() - said > SECONDS_BETWEEN_LINES:
                said = time.monotonic()
                left = progress.tasks[0].time_remaining
                rest = "" if left is None else f", {left / 60:.0f} minutes left"
                print(f"{state} done{rest}", file=sys.stderr, flush=True)
    return failed


def _run(work: tuple[Job, Table | None]) -> Result:
    job, table = work
    if isinstance(job, Search):
        assert table is not None
        return job.run(table)
    return job.run()
