"""Tables 4 to 7: one rate an epoch, found while training."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Preset
from benchmarks.thesis import pictures
from benchmarks.thesis import published
from benchmarks.thesis.analysis import Mean
from benchmarks.thesis.jobs import CONSTANT_RATE
from benchmarks.thesis.jobs import Result
from benchmarks.thesis.jobs import StagedRun
from benchmarks.thesis.plan import StagedPlan
from benchmarks.thesis.published import Row
from benchmarks.thesis.report import contrast
from benchmarks.thesis.report import describe
from benchmarks.thesis.report import listed
from benchmarks.thesis.report import PROTOCOLS
from benchmarks.thesis.report import save
from benchmarks.thesis.report import VERDICTS
from benchmarks.thesis.setting import LAM
from benchmarks.thesis.setting import OBJECTIVES


StagedRuns = Mapping[StagedRun, Result]

Published = Mapping[int, Mapping[Row, float]]

Pair = tuple[Row, Row]
"""What is compared, and with what."""

ORIGINAL, IMPROVED = OBJECTIVES[2:]


def table_4(plan: StagedPlan, runs: StagedRuns, preset: Preset, out: Path) -> None:
    """Without κ, and with its original form."""
    rows = [row for row in plan.rows if row[1] != IMPROVED]
    pairs = [((sampler, ORIGINAL), (sampler, "accuracy")) for sampler in _samplers(rows)]
    pairs += [(("conjugate", objective), ("gaussian", objective)) for objective in OBJECTIVES[:3]]
    _staged_table("4", plan, rows, published.SMALL, pairs, runs, preset, out)


def table_5(plan: StagedPlan, runs: StagedRuns, preset: Preset, out: Path) -> None:
    """With the original and the improved form of κ; and how much λ matters."""
    rows = [row for row in plan.rows if row[1] not in OBJECTIVES[:2]]
    pairs = [((sampler, IMPROVED), (sampler, ORIGINAL)) for sampler in _samplers(rows)]
    pairs += [(("conjugate", IMPROVED), ("gaussian", IMPROVED))]
    _staged_table("5", plan, rows, published.SMALL, pairs, runs, preset, out)
    sensitivity = [
        {"epoch": n, "λ": lam, "objective": objective, **_staged_means(results, n)}
        for n, lam, objective in product(plan.reported, plan.lams, OBJECTIVES[2:])
        if (
            results := [
                runs[job]
                for seed in range(plan.seeds)
                if (job := replace(plan.job("conjugate", objective, seed), lam=lam)) in runs
            ]
        )
    ]
    if sensitivity:
        save(
            f"thesis-lambda-staged-{preset.value}",
            "Table 5 with other λ, sampler conjugate",
            sensitivity,
            range(plan.seeds),
            f"{describe(plan.images)} {PROTOCOLS}",
            out,
        )


def table_6(plan: StagedPlan, runs: StagedRuns, preset: Preset, out: Path) -> None:
    """MNIST."""
    _staged_table("6", plan, plan.rows, published.MNIST, _PAIRS, runs, preset, out)
    _confusions("6", plan, runs, preset, out)


def table_7(plan: StagedPlan, runs: StagedRuns, preset: Preset, out: Path) -> None:
    """CIFAR-10."""
    _staged_table("7", plan, plan.rows, published.CIFAR, _PAIRS, runs, preset, out)
    _confusions("7", plan, runs, preset, out)


_PAIRS: Sequence[Pair] = (
    (("conjugate", ORIGINAL), ("gaussian", ORIGINAL)),
    (("conjugate", ORIGINAL), ("grid", ORIGINAL)),
    (("conjugate", IMPROVED), ("conjugate", ORIGINAL)),
    (("conjugate", IMPROVED), ("grid", ORIGINAL)),
    (("conjugate", ORIGINAL), ("random", ORIGINAL)),
    (("gamma", IMPROVED), ("conjugate", IMPROVED)),
    (("constant", "none"), ("conjugate", IMPROVED)),
)


def _samplers(rows: Sequence[Row]) -> list[str]:
    return [sampler for sampler in dict.fromkeys(s for s, _ in rows) if sampler != "constant"]


def _staged_table(
    number: str,
    plan: StagedPlan,
    rows: Sequence[Row],
    printed: Published,
    pairs: Sequence[Pair],
    runs: StagedRuns,
    preset: Preset,
    out: Path,
) -> None:
    def results(row: Row) -> list[Result]:
        jobs = [plan.job(*row, seed) for seed in range(plan.seeds)]
        return [runs[job] for job in jobs if job in runs]

    def accuracies(row: Row, n: int, split: str) -> list[float]:
        return [100 * _at(result, n)[split]["accuracy"] for result in results(row)]

    lines = [
        {
            "epoch": n,
            "sampler": row[0],
            "objective": row[1],
            "thesis": printed.get(n, {}).get(row, ""),
            **_staged_means(results(row), n),
            "rates": listed(result["rates"][n - 1] for result in results(row)),
            "epochs": n * plan.job(*row, 0).trials,
            "seconds": round(
                float(np.mean([_at(result, n)["seconds"] for result in results(row)])), 1
            ),
        }
        for n in plan.reported
        for row in rows
        if results(row)
    ]
    if not lines:
        return
    name = f"thesis-table-{number}"
    note = (
        f"{describe(plan.images)} {PROTOCOLS} rates: the learning rate of the last epoch, seed "
        f"by seed. constant: one training at a rate of {CONSTANT_RATE} that is as long as the "
        f"others' {plan.trials} trials an epoch together. λ = {LAM}."
    )
    figure = pictures.points(lines, f"Table {number}")
    save(f"{name}-{preset.value}", f"Table {number}", lines, range(plan.seeds), note, out, figure)
    contrasts = [
        contrast(
            {"epoch": n},
            pair,
            printed.get(n, {}),
            (accuracies(pair[0], n, "valid"), accuracies(pair[1], n, "valid")),
            (accuracies(pair[0], n, "test"), accuracies(pair[1], n, "test")),
        )
        for n in plan.reported
        for pair in pairs
        if all(len(results(row)) == plan.seeds for row in pair)
    ]
    if contrasts:
        save(
            f"{name}-differences-{preset.value}",
            f"Table {number}: differences, in points of accuracy",
            contrasts,
            range(plan.seeds),
            VERDICTS,
            out,
        )


def _staged_means(results: Sequence[Result], n: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, split in (("validation", "valid"), ("test", "test")):
        measured = [_at(result, n)[split] for result in results]
        found[name] = str(Mean.of(100 * m["accuracy"] for m in measured))
    gaps = [
        100 * (_at(r, n)["valid"]["accuracy"] - _at(r, n)["test"]["accuracy"]) for r in results
    ]
    found["validation − test"] = str(Mean.of(gaps))
    for name, split in (("", "valid"), ("test ", "test")):
        measured = [_at(result, n)[split] for result in results]
        for short, metric in (("Sens", "sensitivity"), ("Spec", "specificity"), ("MCC", "mcc")):
            found[f"{name}{short}"] = round(100 * float(np.mean([m[metric] for m in measured])), 1)
        found[f"{name}loss"] = round(float(np.mean([m["loss"] for m in measured])), 3)
    return found


def _at(result: Result, n: int) -> dict[str, Any]:
    stage: dict[str, Any] = next(stage for stage in result["stages"] if stage["stage"] == n)
    return stage


def _confusions(
    number: str, plan: StagedPlan, runs: StagedRuns, preset: Preset, out: Path
) -> None:
    shown = {
        " ".join(row): runs[plan.job(*row, 0)] for row in plan.rows if plan.job(*row, 0) in runs
    }
    if shown:
        figure = pictures.confusions(shown, f"Test images, {plan.reported[-1]} epochs")
        path = out / f"thesis-table-{number}-confusion-{preset.value}.png"
        figure.savefig(path, dpi=110)
        print(f"Written: {path}")
