"""The ablation: the sampler beside itself with one part changed, on problems kept for tuning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer

from benchmarks.record import markdown
from benchmarks.record import Preset
from benchmarks.record import Record
from benchmarks.samplers.analysis import compare
from benchmarks.samplers.analysis import regrets
from benchmarks.samplers.benchmark import collect
from benchmarks.samplers.benchmark import console
from benchmarks.samplers.plan import jobs
from benchmarks.samplers.plan import Plan
from benchmarks.samplers.record import RunRecord
from benchmarks.samplers.record import Store
from benchmarks.samplers.report import installed
from benchmarks.samplers.run import ENTRANTS
from benchmarks.samplers.variants import VARIANTS


BUDGETS = (12, 30, 50, 100)

NOISY_FUNCTIONS = tuple(f"f{number}-*" for number in range(101, 131, 4))
"""Gaussian, uniform and Cauchy noise in turn."""

PLANS: dict[Preset, dict[str, Plan]] = {
    Preset.smoke: {"bbob": Plan(15, dimensions=(2,), instances=(21,), problems=("f01-*",))},
    Preset.cpu: {
        "bbob": Plan(100, dimensions=(2, 5, 10), instances=(21,)),
        "bbob-noisy": Plan(50, dimensions=(2, 5), instances=(11,), problems=NOISY_FUNCTIONS),
    },
    Preset.paper: {
        "bbob": Plan(100, dimensions=(2, 5, 10, 20), instances=tuple(range(21, 29))),
        "bbob-noisy": Plan(100, dimensions=(2, 5, 10, 20), instances=tuple(range(11, 15))),
    },
}
"""Instances that no other command judges by."""


def main(preset: Preset, processes: int, out: Path) -> None:
    """Run what is missing, then write the table.

    Args:
        preset: How much is run.
        processes: How many runs at a time; 0: none, only what is stored is reported.
        out: Folder for results; runs go to its folder ``ablation``.

    Raises:
        typer.Exit: If a run failed, after the table of the others.
    """
    versions = {name: ENTRANTS[name].versions() for name in ("gamma", *VARIANTS)}
    store = Store(out / "ablation")
    failed = False
    for suite, plan in PLANS[preset].items():
        records, failures = collect(jobs(suite, plan, versions), store, processes)
        for failure in failures:
            console.print(f"Failed: {failure.job.key}: {failure.error}", style="red")
        failed |= bool(failures)
        if records:
            _report(suite, records, plan, out, preset)
    if failed:
        raise typer.Exit(1)


def _report(
    suite: str, records: Sequence[RunRecord], plan: Plan, out: Path, preset: Preset
) -> None:
    rows: list[dict[str, Any]] = [{"changed": name} for name in VARIANTS]
    for budget in (n for n in (*BUDGETS, plan.trials) if n <= plan.trials):
        table = regrets(records, budget)
        tests = compare(table, "gamma", list(VARIANTS))
        for row in rows:
            if row["changed"] not in tests.index:
                continue
            test = tests.loc[row["changed"]]
            row[f"{budget} trials"] = _cell(table, row["changed"], test["p_holm"])
    rows = [row for row in rows if len(row) > 1]
    record = Record(
        name=f"ablation-{suite}-{preset.value}",
        title=f"{suite}: mean log10 regret of the changed sampler, less that of GammaBOSampler()",
        rows=rows,
        seeds=[0],
        packages=installed(),
        notes=(
            f"Dimensions {', '.join(map(str, plan.dimensions))}, instances "
            f"{', '.join(map(str, plan.instances))}; above zero: the change does harm. "
            "± is the standard error over problems. "
            "* p < 0.05, ** p < 0.01 (Wilcoxon, Holm over all rows)."
        ),
    )
    record.save(out)
    (out / f"{record.name}.md").write_text(
        f"### {suite}\n\n{markdown(rows)}\n\n{record.notes}\n".replace("*", "\\*")
    )


def _cell(table: Any, name: str, p: float) -> str:
    pair = np.log10(table[["gamma", name]].dropna())
    difference = pair[name] - pair["gamma"]
    stars = "**" if p < 0.01 else "*" if p < 0.05 else ""
    return f"{difference.mean():+.2f} ± {difference.std() / len(difference) ** 0.5:.2f}{stars}"
