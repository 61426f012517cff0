"""Tables and pictures of what is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
import numpy as np
from scipy import stats

from benchmarks.record import markdown
from benchmarks.record import Preset
from benchmarks.record import Purpose
from benchmarks.record import Record
from benchmarks.staged.jobs import AnyMethod
from benchmarks.staged.jobs import Job
from benchmarks.staged.jobs import Result
from benchmarks.staged.lab import KINDS
from benchmarks.staged.lab import Problem
from benchmarks.staged.plan import Plan
from benchmarks.thesis.analysis import Mean


NOTES = (
    "Accuracy in percent on {images}; ± is half of Student's 95 % interval over seeds. budget: "
    "epochs spent, search included, in units of one training; epochs: what was spent of it. raw: "
    "weights as trained; averaged: their mean over the last half, quarter or eighth of a "
    "training, whichever validates best, of a staged study over the second half of a stage. Of "
    "each kind the candidate with the highest validation κ is taken. rates: of the averaged ones, "
    "first seed. Networks and images: {problems}. Runs on each processor: {processors}."
)

COMPARED = (
    "{default}, budget {own} − the other, budget {budget}, averaged weights of both, paired "
    "over seeds and data sets. points: difference of accuracy in percent, with Student's 95 % "
    "interval; least: mean difference on the data set where it is smallest; error ratio: of mean "
    "errors, averaged over data sets; p: of Wilcoxon's signed-rank test and of the paired t-test, "
    "two-sided."
)


class Reports:
    """What was measured, by problem, method, budget and seed."""

    def __init__(self, plan: Plan, results: Mapping[Job, Result]) -> None:
        self._reports: dict[tuple[Problem, AnyMethod, int, int], Result] = {}
        self.processors = Counter(result["processor"] for result in results.values())
        for job, result in results.items():
            for report in result["reports"]:
                place = job.problem, job.method, report["budget"], job.seed
                self._reports[place] = report
        self.plan = plan

    def of(self, problem: Problem, method: AnyMethod, budget: int) -> dict[int, Result]:
        """Return reports by seed."""
        places = {seed: (problem, method, budget, seed) for seed in self.plan.seeds}
        return {s: self._reports[p] for s, p in places.items() if p in self._reports}


def write(reports: Reports, preset: Preset, purpose: Purpose, out: Path) -> None:
    """Write table, comparison and picture."""
    plan = reports.plan
    is_choice = purpose is Purpose.choose
    name = f"staged-{purpose.value}-{preset.value}"
    problems = "; ".join(
        f"{p.name}, {p.model}, {p.epochs} epochs, {p.n_valid} to validate" for p in plan.problems
    )
    images = "training images that no search sees" if is_choice else "test images"
    processors = ", ".join(f"{name} ({n})" for name, n in reports.processors.items())
    notes = NOTES.format(images=images, problems=problems, processors=processors)
    rows = _rows(reports)
    if not rows:
        print("Nothing is stored of this.")
        return
    record = Record(name, "Staged training", rows, plan.seeds, ("torch",), notes)
    record.save(out, _picture(reports))
    text = f"{markdown(rows)}\n\n{notes}\n"
    last = plan.budgets[-1]
    for own in (last, *plan.early):
        compared = _compare(reports, own)
        if not compared:
            continue
        notes = COMPARED.format(default=plan.methods[0].name, own=own, budget=last)
        stem = f"{name}-differences" if own == last else f"{name}-differences-after-{own}"
        Record(stem, "Differences", compared, plan.seeds, ("torch",), notes).save(out)
        text += f"\n{markdown(compared)}\n\n{notes}\n"
    (out / f"{name}.md").write_text(text)


def _rows(reports: Reports) -> list[dict[str, Any]]:
    plan, rows = reports.plan, []
    for problem in plan.problems:
        for budget in plan.all_budgets:
            for method in plan.methods:
                found = list(reports.of(problem, method, budget).values())
                if not found:
                    continue
                row: dict[str, Any] = {
                    "data": problem.name,
                    "budget": budget,
                    "method": method.name,
                    "epochs": round(float(np.mean([r["epochs"] for r in found])), 1),
                }
                for kind in KINDS:
                    row[kind] = Mean.of(100 * r[kind]["test"][1] for r in found).text(2)
                losses = [r["averaged"]["test"][0] for r in found]
                row["loss, averaged"] = round(float(np.mean(losses)), 4)
                row["seeds"] = len(found)
                row["rates"] = _listed(found[0]["averaged"]["rates"])
                rows.append(row)
    return rows


def _listed(rates: Sequence[float]) -> str:
    shown = [f"{rate:.3f}" for rate in rates]
    return " ".join(shown if len(shown) <= 5 else [*shown[:2], "…", *shown[-2:]])


def _compare(reports: Reports, own: int) -> list[dict[str, Any]]:
    """Set the first method after a budget of its own beside the others after the largest."""
    plan, rows = reports.plan, []
    default, *others = plan.methods
    for method in others:
        differences: list[float] = []
        ratios: list[float] = []
        means: dict[str, float] = {}
        for problem in plan.problems:
            left = reports.of(problem, default, own)
            right = reports.of(problem, method, plan.budgets[-1])
            pairs = np.array(
                [
                    (left[seed]["averaged"]["test"][1], right[seed]["averaged"]["test"][1])
                    for seed in left.keys() & right.keys()
                ]
            )
            if len(pairs):
                points = 100 * (pairs[:, 0] - pairs[:, 1])
                differences += points.tolist()
                means[problem.name] = float(points.mean())
                errors = 1 - pairs.mean(0)
                ratios.append(float(errors[0] / errors[1]) if errors[1] else float("nan"))
        if len(differences) < 2 or not np.any(differences):
            continue
        least = min(means, key=means.__getitem__)
        rows.append(
            {
                "other": method.name,
                "pairs": len(differences),
                "points": Mean.of(differences).text(2),
                "least": f"{means[least]:.2f}, {least}",
                "error ratio": round(float(np.mean(ratios)), 3),
                "p, Wilcoxon": round(float(stats.wilcoxon(differences).pvalue), 4),
                "p, t": round(float(stats.ttest_1samp(differences, 0.0).pvalue), 4),
            }
        )
    return rows


def _picture(reports: Reports) -> Figure:
    plan = reports.plan
    figure = Figure(figsize=(4.2 * len(plan.problems) + 2.5, 4), layout="constrained")
    panels = figure.subplots(1, len(plan.problems), squeeze=False)[0]
    for axes, problem in zip(panels, plan.problems, strict=True):
        for i, method in enumerate(plan.methods):
            for kind, style in zip(KINDS, ("--", "-"), strict=True):
                found = [reports.of(problem, method, n) for n in plan.all_budgets]
                points = [
                    (n, 100 * float(np.mean([r[kind]["test"][1] for r in of_n.values()])))
                    for n, of_n in zip(plan.all_budgets, found, strict=True)
                    if of_n
                ]
                if points:
                    label = method.name if kind == "averaged" else None
                    marker = "o" if i == 0 else "."
                    axes.plot(
                        *zip(*points, strict=True),
                        linestyle=style,
                        marker=marker,
                        color=f"C{i}",
                        label=label,
                        lw=1,
                    )
        axes.set_xscale("log")
        axes.set_xticks(plan.all_budgets, [str(n) for n in plan.all_budgets], minor=False)
        axes.minorticks_off()
        axes.set(title=problem.name, xlabel="epochs spent / epochs of one training")
        axes.grid(color="0.9")
    panels[0].set_ylabel("accuracy, % (dashed: raw weights)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize="small")
    return figure
