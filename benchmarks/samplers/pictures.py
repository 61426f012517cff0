"""Pictures of records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
import matplotlib.pyplot as plt
import numpy as np
import scikit_posthocs

from benchmarks.samplers.analysis import Array
from benchmarks.samplers.analysis import curves
from benchmarks.samplers.analysis import mean_ranks
from benchmarks.samplers.analysis import normalise
from benchmarks.samplers.analysis import reached
from benchmarks.samplers.analysis import regrets
from benchmarks.samplers.analysis import significance
from benchmarks.samplers.record import RunRecord


ABSOLUTE_TARGETS = np.logspace(2, -8, 51)
"""Targets of COCO."""

RELATIVE_TARGETS = np.logspace(0, -4, 51)
"""Targets for normalised regrets, for suites whose values have no common scale."""

ALPHA = 0.05


def progress(runs: Sequence[RunRecord]) -> Figure:
    """Draw regret and reached targets over trials, a row for each number of dimensions.

    Args:
        runs: Runs of one suite.

    Returns:
        Three columns: mean log10 regret; mean normalised regret; share of targets reached, those
        of COCO for its functions, and of the normalised regret elsewhere.
    """
    dimensions = sorted({run.dimension for run in runs})
    names = sorted({run.sampler for run in runs})
    figure, axes = plt.subplots(
        len(dimensions), 3, figsize=(15, 3.8 * len(dimensions)), squeeze=False
    )
    for row, dimension in zip(axes, dimensions, strict=True):
        unrolled = curves([run for run in runs if run.dimension == dimension])
        relative = normalise(unrolled)
        is_absolute = runs[0].suite not in ("hpobench", "sklearn")
        found = (
            reached(unrolled, ABSOLUTE_TARGETS)
            if is_absolute
            else reached(relative, RELATIVE_TARGETS)
        )
        logs = {name: np.log10(values).mean(axis=0) for name, values in unrolled.items()}
        means = {name: values.mean(axis=0) for name, values in relative.items()}
        for ax, lines, label in zip(
            row,
            (logs, means, found),
            ("mean log10 regret", "mean normalised regret", "share of targets reached"),
            strict=True,
        ):
            _draw(ax, lines, names)
            ax.set(xlabel="trials", ylabel=label, title=f"{runs[0].suite}, {dimension} parameters")
            ax.set_xscale("log")
            ax.grid(which="both", alpha=0.25)
        row[1].set_yscale("log")
    axes[0, 0].legend(fontsize="small")
    figure.tight_layout()
    return figure


def critical_difference(runs: Sequence[RunRecord]) -> Figure | None:
    """Draw mean ranks, with bars over samplers that do not differ significantly.

    As Demšar 2006 drew them, with pairwise signed-rank tests in place of Nemenyi's, as Benavoli,
    Corani & Mangili 2016 advise.

    Args:
        runs: Runs of one suite.

    Returns:
        A diagram for each budget that runs of at least three samplers reach; :obj:`None` if there
        is none.
    """
    longest = max(run.trials for run in runs)
    tables = {
        budget: table
        for budget in sorted({12, 30, 50, 100, 200, longest})
        if budget <= longest
        and len((table := regrets(runs, budget).dropna()).columns) > 2
        and len(table) > 1
    }
    if not tables:
        return None
    n = len(next(iter(tables.values())).columns)
    figure, axes = plt.subplots(
        len(tables), 1, figsize=(9, (1.2 + 0.22 * n) * len(tables)), squeeze=False
    )
    for ax, (budget, table) in zip(axes[:, 0], tables.items(), strict=True):
        scikit_posthocs.critical_difference_diagram(
            mean_ranks(table).to_dict(), significance(table), alpha=ALPHA, ax=ax
        )
        ax.set_title(f"{runs[0].suite}, mean rank after {budget} trials", fontsize="medium")
    figure.tight_layout()
    return figure


def _draw(ax: Any, lines: dict[str, Array], names: Sequence[str]) -> None:
    colours = plt.colormaps["tab20"]
    for name, values in sorted(lines.items()):
        ax.plot(
            np.arange(1, len(values) + 1),
            values,
            label=name,
            color=colours(names.index(name) % 20),
            linewidth=2.2 if name == "gamma" else 1.2,
        )
