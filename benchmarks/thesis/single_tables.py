"""Tables 8 to 11 and figures 14 to 17: one constant rate for all epochs."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Preset
from benchmarks.thesis import pictures
from benchmarks.thesis import published
from benchmarks.thesis.analysis import differences
from benchmarks.thesis.analysis import Mean
from benchmarks.thesis.outcome import by_seed
from benchmarks.thesis.outcome import Outcome
from benchmarks.thesis.plan import Plan
from benchmarks.thesis.plan import SEARCHERS
from benchmarks.thesis.report import contrast
from benchmarks.thesis.report import describe
from benchmarks.thesis.report import listed
from benchmarks.thesis.report import PROTOCOLS
from benchmarks.thesis.report import save
from benchmarks.thesis.report import VERDICTS
from benchmarks.thesis.report import write
from benchmarks.thesis.setting import BAYESIAN
from benchmarks.thesis.setting import LAM
from benchmarks.thesis.setting import OBJECTIVES


ORIGINAL = "κ original"


def _single_rows(
    outcome: Outcome, trials: int, printed: Mapping[str, tuple[float, float]]
) -> Iterator[dict[str, Any]]:
    sizes = [("grid", n) for n in outcome.plan.grids]
    for objective in OBJECTIVES:
        for sampler, n in [*sizes, *((name, trials) for name in SEARCHERS)]:
            found = outcome.found(sampler, objective, n)
            if not found:
                continue
            said, seconds = printed.get(sampler, ("", ""))
            valid = by_seed((f.seed, f.valid) for f in found)
            test = by_seed((f.seed, f.test) for f in found)
            yield {
                "epochs": outcome.plan.epochs,
                "sampler": f"{sampler} of {n}" if sampler == "grid" else sampler,
                "objective": objective,
                "thesis": said,
                "validation": str(Mean.of(valid)),
                "test": str(Mean.of(test)),
                "validation − test": str(differences(valid, test)),
                "rates": listed(by_seed((f.seed, f.rate) for f in found)),
                "trained": n * outcome.plan.epochs,
                "thesis, s": seconds,
                "s": round(float(np.mean(by_seed((f.seed, f.seconds) for f in found))), 1),
            }


def _single_differences(
    outcome: Outcome, trials: int, printed: Mapping[str, tuple[float, float]]
) -> Iterator[dict[str, Any]]:
    largest = outcome.plan.grids[-1]
    pairs = (
        ("conjugate", "gaussian"),
        ("grid", "conjugate"),
        ("conjugate", "random"),
        ("gamma", "conjugate"),
    )
    for objective, names in product(OBJECTIVES, pairs):
        left, right = (
            outcome.found(name, objective, largest if name == "grid" else trials) for name in names
        )
        if not left or not right:
            continue
        yield contrast(
            {"epochs": outcome.plan.epochs},
            ((names[0], objective), (names[1], objective)),
            {(name, objective): accuracy for name, (accuracy, _) in printed.items()},
            (
                by_seed((f.seed, f.valid) for f in left),
                by_seed((f.seed, f.valid) for f in right),
            ),
            (
                by_seed((f.seed, f.test) for f in left),
                by_seed((f.seed, f.test) for f in right),
            ),
        )


def _single_table(
    number: int, outcomes: Sequence[Outcome], trials: int, preset: Preset, out: Path
) -> None:
    printed = published.SINGLE[number]
    rows = [row for outcome in outcomes for row in _single_rows(outcome, trials, printed)]
    contrasts = [
        row for outcome in outcomes for row in _single_differences(outcome, trials, printed)
    ]
    if not rows:
        return
    plan = outcomes[0].plan
    note = (
        f"{describe(plan.images)} Each training at one constant rate; {trials} trials a search, "
        f"{plan.repetitions} searches a seed, each proposal answered by the nearest of "
        f"{' or '.join(str(o.plan.grids[-1]) for o in outcomes)} rates. {PROTOCOLS} rates: seed "
        f"by seed, mean of the searches; trained: epochs of training; s: seconds, search "
        f"included. The thesis does not say what these tables maximised: its figures stand beside "
        f"every objective. λ = {LAM}."
    )
    name, seeds = f"thesis-table-{number}", range(plan.seeds)
    figure = pictures.points(rows, f"Table {number}")
    save(f"{name}-{preset.value}", f"Table {number}", rows, seeds, note, out, figure)
    save(
        f"{name}-differences-{preset.value}",
        f"Table {number}: differences, in points of accuracy",
        contrasts,
        seeds,
        f"grid: the largest. {VERDICTS}",
        out,
    )


def table_8(plan: Plan, outcomes: Mapping[int, Outcome], preset: Preset, out: Path) -> None:
    """One epoch, 10 proposals."""
    _single_table(8, [outcomes[plan.short.epochs]], min(plan.short.trials), preset, out)


def table_9(plan: Plan, outcomes: Mapping[int, Outcome], preset: Preset, out: Path) -> None:
    """50 epochs, 10 proposals; and how much λ and the prior matter."""
    outcome = outcomes[plan.long.epochs]
    trials = min(plan.long.trials)
    _single_table(9, [outcome], trials, preset, out)
    rows = list(_sensitivity(outcome, trials))
    if rows:
        save(
            f"thesis-sensitivity-{preset.value}",
            f"λ and the prior: {plan.long.epochs} epochs, {trials} trials",
            rows,
            range(plan.long.seeds),
            f"{describe(plan.long.images)} {PROTOCOLS} prior: shape, rate; default 2, 1.",
            out,
        )


def _sensitivity(outcome: Outcome, trials: int) -> Iterator[dict[str, Any]]:
    changes: list[tuple[str, dict[str, Any]]] = []
    changes += [
        (objective, {"lam": lam}) for objective in OBJECTIVES[2:] for lam in outcome.plan.lams
    ]
    changes += [(ORIGINAL, {"prior": prior}) for prior in outcome.plan.priors]
    for objective, change in changes:
        samplers = BAYESIAN[1:] if "prior" in change else ("grid", *BAYESIAN[1:])
        for sampler in samplers:
            n = outcome.plan.grids[-1] if sampler == "grid" else trials
            found = outcome.found(sampler, objective, n, **change)
            if found:
                yield {
                    "objective": objective,
                    "λ": change.get("lam", LAM),
                    "prior": ", ".join(map(str, change.get("prior", ("default",)))),
                    "sampler": sampler,
                    "validation": str(Mean.of(by_seed((f.seed, f.valid) for f in found))),
                    "test": str(Mean.of(by_seed((f.seed, f.test) for f in found))),
                    "rates": listed(by_seed((f.seed, f.rate) for f in found)),
                }


def table_10(plan: Plan, outcomes: Mapping[int, Outcome], preset: Preset, out: Path) -> None:
    """20 proposals: 1 epoch as its caption says, and 50 as its figures do."""
    both = [outcomes[study.epochs] for study in (plan.short, plan.long)]
    _single_table(10, both, max(plan.long.trials), preset, out)


def table_11(plan: Plan, outcomes: Mapping[int, Outcome], preset: Preset, out: Path) -> None:
    """How far each method's rate is from the grid's."""
    outcome = outcomes[plan.long.epochs]
    largest, trials = outcome.plan.grids[-1], max(plan.long.trials)
    rows = []
    for objective in OBJECTIVES:
        best = {found.seed: found for found in outcome.found("grid", objective, largest)}
        for sampler in SEARCHERS:
            found = outcome.found(sampler, objective, trials)
            if not found:
                continue
            distances = by_seed((f.seed, abs(f.rate - best[f.seed].rate)) for f in found)
            rows.append(
                {
                    "sampler": sampler,
                    "objective": objective,
                    "thesis": _published_distance(sampler),
                    "distance": Mean.of(distances).text(3),
                    "rates": listed(by_seed((f.seed, f.rate) for f in found)),
                    "grid's": listed(f.rate for f in best.values()),
                }
            )
    if rows:
        accuracies = [
            np.array([t[0] for t in table.values()]) for table in outcome.tables.values()
        ]
        shares = [np.mean(a >= np.nanmax(a) - 0.03) for a in accuracies]
        note = (
            f"{describe(plan.long.images)} {plan.long.epochs} epochs, {trials} trials, grid of "
            f"{largest}. Mean absolute difference of learning rates. {100 * np.mean(shares):.0f} "
            "% of the grid's rates come within 3 points of the best validation accuracy, which is "
            "the standard error of 90 % on 100 images."
        )
        save(
            f"thesis-table-11-{preset.value}", "Table 11", rows, range(plan.long.seeds), note, out
        )


def _published_distance(sampler: str) -> float | str:
    if sampler not in published.RATES:
        return ""
    pairs = zip(published.RATES[sampler], published.RATES["grid"], strict=True)
    return round(float(np.mean([abs(rate - best) for rate, best in pairs])), 3)


TABLES = {"8": table_8, "9": table_9, "10": table_10, "11": table_11}


def figures_14_17(plan: Plan, outcomes: Mapping[int, Outcome], preset: Preset, out: Path) -> None:
    """κ over the learning rate with what was tried, and process and acquisition on the way."""
    studies = [outcomes[study.epochs] for study in (plan.short, plan.long)]
    if not all(_tried(outcome) for outcome in studies):
        return
    figure = pictures.kappa_over_rate(
        [(o.plan.epochs, o.tables, _tried(o)) for o in studies], ORIGINAL
    )
    write(figure, out / f"thesis-figures-14-15-{preset.value}.png")
    outcome = studies[-1]
    figure = pictures.processes_over_rate(outcome.tables[0], _tried(outcome), ORIGINAL)
    write(figure, out / f"thesis-figures-16-17-{preset.value}.png")


def _tried(outcome: Outcome) -> dict[str, list[float]]:
    """Return the rates that each Bayesian method tried in the first search of the first seed."""
    plan = outcome.plan
    searches = {name: plan.search(name, ORIGINAL, 0, 0) for name in BAYESIAN}
    trials = min(plan.trials)
    return {
        name: outcome.searches[search]["rates"][:trials]
        for name, search in searches.items()
        if search in outcome.searches
    }
