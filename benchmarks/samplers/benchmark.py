"""Run what is missing, then report."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
import os
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
import typer

from benchmarks.pool import Attempt
from benchmarks.record import Preset
from benchmarks.samplers.contenders import CONTENDERS
from benchmarks.samplers.plan import jobs
from benchmarks.samplers.plan import PLANS
from benchmarks.samplers.plan import SAMPLERS
from benchmarks.samplers.record import RunRecord
from benchmarks.samplers.record import Store
from benchmarks.samplers.report import report
from benchmarks.samplers.run import Job
from benchmarks.samplers.run import run_all


console = Console(stderr=True)


def main(
    suites: Sequence[str],
    preset: Preset,
    samplers: Sequence[str],
    overrides: Mapping[str, Any],
    processes: int,
    hebo_python: str,
    out: Path,
) -> None:
    """Do what the command line asks for.

    Args:
        suites: Names of suites; none: all.
        preset: How much is run.
        samplers: Labels, each with ``@version`` or without; none: the preset's.
        overrides: What replaces fields of the preset's plans, if not empty or 0.
        processes: How many runs at a time; 0: none, only what is stored is reported.
        hebo_python: Interpreter of HEBO's environment.
        out: Folder for results; runs go to its folder ``samplers``.

    Raises:
        typer.BadParameter: If there is no such suite, sampler or problem.
        typer.Exit: If a run failed, after the report on the others.
    """
    if hebo_python:
        os.environ["HEBO_PYTHON"] = hebo_python  # for the processes that run it
    store = Store(out / "samplers")
    versions = _versions(samplers or _available(preset), store, processes > 0)
    changes = {name: value for name, value in overrides.items() if value}
    for suite in suites:
        if suite not in PLANS[preset]:
            raise typer.BadParameter(
                f"There is no suite {suite!r}, but {', '.join(PLANS[preset])}."
            )
    wanted = [
        job
        for suite in suites or PLANS[preset]
        for job in jobs(suite, replace(PLANS[preset][suite], **changes), versions)
    ]
    if not wanted:
        raise typer.BadParameter("No problem is left by these options.")
    records, failures = collect(wanted, store, processes)
    # A version that was named stands beside the current one under a label of its own.
    labels = {(label.partition("@")[0], version): label for label, version in versions.items()}
    records = [replace(r, sampler=labels[r.sampler, r.version]) for r in records]
    slow = {name for name, contender in CONTENDERS.items() if contender.is_slow}
    if records:
        report(records, slow, out, preset.value)
    console.print(f"{len(records)} of {len(wanted)} runs are reported.")
    for failure in failures:
        console.print(f"Failed: {failure.job.key}: {failure.error}", style="red")
    if failures:
        raise typer.Exit(1)


def _available(preset: Preset) -> Iterable[str]:
    """List the preset's samplers, without HEBO if there is no environment for it."""
    return [n for n in SAMPLERS[preset] if n != "hebo" or "HEBO_PYTHON" in os.environ]


def _versions(samplers: Iterable[str], store: Store, will_run: bool) -> dict[str, str]:
    """Find the version by label: the one named, the current one, or the last stored."""
    versions = {}
    for label in samplers:
        sampler, _, version = label.partition("@")
        if sampler not in CONTENDERS:
            raise typer.BadParameter(
                f"There is no sampler {sampler!r}, but {', '.join(CONTENDERS)}."
            )
        stored = store.versions(sampler)
        if version and (will_run or version not in stored):
            raise typer.BadParameter(
                f"{label}: a version is for --report-only, and there are "
                f"{', '.join(stored) or 'none'} stored."
            )
        if not version:
            version = CONTENDERS[sampler].versions()
            if not will_run and stored and version not in stored:
                version = stored[-1]
                console.print(f"{sampler}: the stored version {version} is reported.")
        versions[label] = version
    return versions


def collect(
    wanted: Sequence[Job], store: Store, processes: int
) -> tuple[list[RunRecord], list[Attempt[Job, RunRecord]]]:
    """Run what the store does not have yet.

    Args:
        wanted: Runs that a report is to be made of.
        store: Where finished runs are, and go to.
        processes: How many runs at a time; 0: none, only what is stored.

    Returns:
        Records of the wanted runs, and the runs that failed.
    """
    stored = {
        record.key: record
        for sampler, version in dict.fromkeys((job.sampler, job.version) for job in wanted)
        for record in store.read(sampler, version)
    }
    missing = [job for job in wanted if job.key not in stored]
    failures = []
    if missing and processes:
        results = track(
            run_all(missing, processes),
            f"{len(missing)} of {len(wanted)} runs to do",
            total=len(missing),
            console=console,
        )
        for attempt in results:
            if attempt.result is None:
                failures.append(attempt)
            else:
                store.add([attempt.result])
                stored[attempt.result.key] = attempt.result
    return [stored[job.key] for job in wanted if job.key in stored], failures
