"""From outcomes to tables and a picture."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import math
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

from benchmarks.pruning.jobs import Job
from benchmarks.pruning.jobs import Outcome
from benchmarks.pruning.methods import OURS
from benchmarks.pruning.plan import Plan
from benchmarks.record import markdown
from benchmarks.record import Preset
from benchmarks.record import Purpose
from benchmarks.record import Record


Row = dict[str, Any]

Outcomes = Mapping[Job, Outcome]


def write(plan: Plan, outcomes: Outcomes, preset: Preset, purpose: Purpose, out: Path) -> None:
    """Write what was reached, and how ours differs from each of the others."""
    name = f"pruning-{purpose.value}-{preset.value}"
    notes = (
        f"{plan.epochs} epochs a run, {len(plan.seeds)} seeds a task. value: the lowest of a "
        "trial that was not pruned, mean over seeds; test error: of that trial."
    )
    tables = {
        name: ("Pruned studies: what was reached", list(reached(plan, outcomes)), notes),
        f"{name}-differences": (
            "Pruned studies: ours beside the others",
            list(differences(plan, outcomes)),
            "A pair is a seed of a task. epochs: that ours took to the worse of two final values, "
            "as a share of those that the other took to the same, geometric mean, with a "
            "bootstrap interval of 95 %. ours to their last: epochs after which ours had reached, "
            "in half of the pairs, what the other came to in the end. p: Wilcoxon's signed-rank "
            "test, two-sided, of the logarithms of these shares, and of ratios of final values.",
        ),
    }
    for table, (title, rows, note) in tables.items():
        if rows:
            record = Record(
                name=table,
                title=title,
                rows=rows,
                seeds=plan.seeds,
                packages=("torch", "scikit-learn"),
                notes=note,
            )
            record.save(out, _picture(plan, outcomes) if table == name else None)
            (out / f"{table}.md").write_text(f"{markdown(rows)}\n\n{note}\n")


def reached(plan: Plan, outcomes: Outcomes) -> Iterator[Row]:
    """Tell what each sampler reached with each pruner on each task."""
    for task in plan.tasks:
        for pruner in plan.pruners:
            for sampler in plan.samplers(pruner):
                runs = [
                    run
                    for seed in plan.seeds
                    if (run := outcomes.get(Job(task, sampler, pruner, seed, plan.epochs)))
                ]
                if not runs or any(not run.steps for run in runs):
                    continue
                counts = [round(share * plan.epochs) for share in (1 / 3, 2 / 3, 1)]
                yield {
                    "task": task.name,
                    "pruner": pruner,
                    "sampler": sampler,
                    "seeds": len(runs),
                    "trials": round(float(np.mean([run.trials for run in runs])), 1),
                    "pruned": round(float(np.mean([run.pruned for run in runs])), 1),
                    **{
                        f"value, {n} epochs": _rounded(np.mean([run.value(n) for run in runs]))
                        for n in counts
                    },
                    "test error": _rounded(np.mean([run.steps[-1][2] for run in runs])),
                }


def differences(plan: Plan, outcomes: Outcomes) -> Iterator[Row]:
    """Compare ours with each of the others, pruner by pruner."""
    for pruner in plan.pruners:
        for rival in plan.samplers(pruner):
            pairs = [
                pair
                for task in plan.tasks
                for seed in plan.seeds
                if rival != OURS
                and (pair := _pair(outcomes, task, pruner, rival, seed, plan.epochs))
            ]
            if not pairs:
                continue
            ratios = np.array([epochs_ratio(ours, other) for ours, other in pairs])
            finals = np.array([[r.steps[-1][1] for r in pair] for pair in pairs])
            values = finals[:, 0] - finals[:, 1]
            logs = np.log(ratios)
            row: Row = {
                "pruner": pruner,
                "beside": rival,
                "pairs": len(pairs),
                "epochs": _rounded(np.exp(logs.mean())),
                "epochs, 95 %": _interval(logs),
                "epochs, p": _p(logs),
                "ours to their last": _median_epochs(pairs, plan.epochs),
                "they to our last": _median_epochs([(b, a) for a, b in pairs], plan.epochs),
                "value": f"{(values < 0).sum()} better, {(values > 0).sum()} worse",
                "value, p": _p(np.log(finals[:, 0]) - np.log(finals[:, 1])),
            }
            yield row


def epochs_ratio(ours: Outcome, other: Outcome) -> float:
    """Divide the epochs that two runs took to the same value: the worse of their final ones."""
    target = max(ours.steps[-1][1], other.steps[-1][1])
    return ours.epochs(target) / other.epochs(target)


def _median_epochs(pairs: Sequence[tuple[Outcome, Outcome]], epochs: int) -> str:
    """Tell when half of the first of each pair had what the second came to in the end."""
    needed = np.quantile(
        [first.epochs(second.steps[-1][1]) for first, second in pairs], 0.5, method="higher"
    )
    return f"{needed:.0f}" if math.isfinite(needed) else f"> {epochs}"


def _pair(
    outcomes: Outcomes, task: Any, pruner: str, rival: str, seed: int, epochs: int
) -> tuple[Outcome, Outcome] | None:
    ours = outcomes.get(Job(task, OURS, pruner, seed, epochs))
    other = outcomes.get(Job(task, rival, pruner, seed, epochs))
    return (ours, other) if ours and other and ours.steps and other.steps else None


def _interval(logs: Any) -> str:
    if len(logs) < 3 or not logs.std():
        return "–"
    low, high = stats.bootstrap((logs,), np.mean, rng=0).confidence_interval
    return f"{math.exp(low):.2f} to {math.exp(high):.2f}"


def _p(differences: Any) -> float:
    return _rounded(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0


def _rounded(value: Any) -> float:
    return float(f"{value:.3g}")


def _picture(plan: Plan, outcomes: Outcomes) -> Any:
    shape = len(plan.tasks), len(plan.pruners)
    size = 4.5 * shape[1], 3.2 * shape[0]
    figure, axes = plt.subplots(*shape, figsize=size, squeeze=False, layout="constrained")
    epochs = np.arange(1, plan.epochs + 1)
    for row, task in zip(axes, plan.tasks, strict=True):
        for axis, pruner in zip(row, plan.pruners, strict=True):
            for sampler in plan.samplers(pruner):
                curves = _curves(plan, outcomes, task, pruner, sampler)
                if curves:
                    axis.plot(epochs, np.median(curves, axis=0), label=sampler)
            axis.set(title=f"{task.name}, {pruner}", xlabel="epochs", yscale="log")
        row[0].set_ylabel("median of the lowest value")
    axes[0, 0].legend(fontsize="x-small")
    return figure


def _curves(
    plan: Plan, outcomes: Outcomes, task: Any, pruner: str, sampler: str
) -> Sequence[list[float]]:
    jobs = (Job(task, sampler, pruner, seed, plan.epochs) for seed in plan.seeds)
    runs = (run for job in jobs if (run := outcomes.get(job)))
    return [[run.value(n) for n in range(1, plan.epochs + 1)] for run in runs]
