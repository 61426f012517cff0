"""The targets that this package sets itself, and whether they are met."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.samplers.analysis import compare
from benchmarks.samplers.analysis import mean_log10
from benchmarks.samplers.analysis import mean_ranks
from benchmarks.samplers.analysis import regrets
from benchmarks.samplers.problem import study_seed
from benchmarks.samplers.record import RunRecord
from benchmarks.samplers.suites.outliers import accidents


OURS = "gamma"
RELATIVES = ("gaussian", "conjugate")
"""The other two criteria of our sampler: reported, but no rivals."""

ALPHA = 0.01

MARGINS = {
    "gp-3": {12: 0.1, 30: 0.2, 50: 0.2, 100: 0.2},
    "gp": {30: 0.4, 50: 0.2, 100: 0.2},
}
"""By how much mean log10 regret shall be lower on BBOB: rival, budget, margin."""

LEFT_OUT = "left out"
"""Name of the kind of runs that :func:`left_out` makes."""

HARM = 0.1
"""By how much spoilt values may raise mean log10 regret at 50 trials."""


@dataclass(frozen=True)
class Target:
    """A target and what was measured.

    Args:
        suite: Where it was measured.
        target: What was aimed at.
        measured: The figures.
        met: Whether they meet it.
    """

    suite: str
    target: str
    measured: str
    met: bool


def verdicts(records: Sequence[RunRecord], slow: Collection[str] = ()) -> list[Target]:
    """Judge every target that the records allow to be judged.

    Args:
        records: Runs of any suites.
        slow: Samplers that ran on a subset; each is compared with by itself, on what both ran.

    Returns:
        Targets in a fixed order.
    """
    by_suite: dict[str, list[RunRecord]] = {}
    for record in records:
        if record.sampler not in RELATIVES:
            by_suite.setdefault(record.suite, []).append(record)
    found: list[Target] = []
    for suite, runs in by_suite.items():
        if OURS not in {run.sampler for run in runs}:
            continue
        partial = [run for run in runs if run.sampler in slow or run.sampler == OURS]
        full = [run for run in runs if run.sampler not in slow]
        budgets = [b for b in (12, 30, 50, 100) if b <= max(run.trials for run in runs)]
        if suite == "bbob":
            for budget in budgets:
                found += _first("bbob", full, budget, ALPHA)
                for dimension in (2, 5, 10):
                    chosen = [run for run in full if run.dimension == dimension]
                    found += _first(f"bbob, d = {dimension}", chosen, budget, ALPHA)
                found += _ahead("bbob", partial, budget, sorted(slow), ALPHA)
                found += _margins(full, budget)
        elif suite in ("hpobench", "sklearn"):
            for budget in [b for b in budgets if b <= 30]:
                found += _first(suite, full, budget)
                found += _ahead(suite, partial, budget, sorted(slow))
            if 50 in budgets:
                found += _ahead(suite, full, 50, ("gp", "gp-3"))
            if 100 in budgets:
                found += _not_worse(suite, full, 100)
        elif suite == "outliers" and 50 in budgets:
            found += _harm(full, 50)
    return found


def _first(
    where: str, runs: Sequence[RunRecord], budget: int, alpha: float | None = None
) -> Iterator[Target]:
    """First in mean rank, and different from each rival if there is a level."""
    table = regrets(runs, budget)
    if OURS not in table or len(table.columns) < 2 or table.dropna().empty:
        return
    ranks = mean_ranks(table)
    rival = ranks.drop(OURS).idxmin()
    tests = compare(table, OURS, list(table.columns))
    met = ranks[OURS] < ranks[rival]
    target = f"first in mean rank at {budget} trials"
    measured = f"{ranks[OURS]:.2f}, then {rival} {ranks[rival]:.2f}"
    if alpha is not None:
        target += f", p < {alpha} against each rival"
        measured += f"; largest p {tests['p_holm'].max():.2g}, {tests['p_holm'].idxmax()}"
        met = met and tests["p_holm"].max() < alpha
    yield Target(where, target, f"{measured}; {len(table.dropna())} runs", bool(met))


def _ahead(
    where: str,
    runs: Sequence[RunRecord],
    budget: int,
    rivals: Iterable[str],
    alpha: float | None = None,
) -> Iterator[Target]:
    """Not below single rivals in mean rank, on what both ran; better if there is a level."""
    table = regrets(runs, budget)
    tests = compare(table, OURS, list(rivals))
    for rival, test in tests.iterrows():
        pair = table[[OURS, rival]]
        ranks = mean_ranks(pair)
        met = ranks[OURS] <= ranks[rival]
        target = f"not below {rival} in mean rank at {budget} trials"
        measured = f"{ranks[OURS]:.2f} to {ranks[rival]:.2f}"
        if alpha is not None:
            target = f"before {rival} in mean rank at {budget} trials, p < {alpha}"
            measured += f"; p {test['p_holm']:.2g}"
            met = ranks[OURS] < ranks[rival] and test["p_holm"] < alpha
        yield Target(where, target, f"{measured}; {len(pair.dropna())} runs", bool(met))


def _margins(runs: Sequence[RunRecord], budget: int) -> Iterator[Target]:
    """Mean log10 regret below a rival's by a margin."""
    table = regrets(runs, budget)
    for rival, margins in MARGINS.items():
        if budget in margins and rival in table:
            means = mean_log10(table[[OURS, rival]])
            margin = margins[budget]
            yield Target(
                "bbob",
                f"mean log10 regret {margin} below {rival}'s at {budget} trials",
                f"{means[rival] - means[OURS]:+.2f}: {means[OURS]:.2f} to {means[rival]:.2f}",
                bool(means[rival] - means[OURS] >= margin),
            )


def _not_worse(suite: str, runs: Sequence[RunRecord], budget: int) -> Iterator[Target]:
    """Not significantly worse than the sampler of the lowest mean rank."""
    table = regrets(runs, budget)
    ranks = mean_ranks(table)
    if len(ranks) < 2 or ranks.isna().any():
        return
    best = ranks.drop(OURS).idxmin()
    test = compare(table, OURS, [best]).loc[best]
    is_worse = ranks[OURS] > ranks[best] and test["p"] < 0.05
    yield Target(
        suite,
        f"not worse than the best at {budget} trials",
        f"{ranks[OURS]:.2f}, {best} {ranks[best]:.2f}; p {test['p']:.2g}",
        not is_worse,
    )


def left_out(runs: Sequence[RunRecord], budget: int) -> list[RunRecord]:
    """Find what is lost by spoilt values of which one knows, and that one leaves out.

    A trial whose value is left out teaches nothing, so the next one visits the same point: such a
    run visits in so many trials what the clean run visits in fewer.

    Args:
        runs: Runs of the suite of outliers.
        budget: Number of trials.

    Returns:
        Clean runs as they are after as many trials fewer as were spoilt before the last one, as
        runs of the kind :data:`LEFT_OUT`.
    """
    found = []
    for run in runs:
        name, _, kind = run.problem.rpartition("+")
        if kind == "clean":
            seed = study_seed(run.suite, run.problem, run.seed)
            lost = sum(is_spoilt for is_spoilt, _ in islice(accidents(seed), budget - 1))
            steps = tuple((n, regret) for n, regret in run.steps if n <= budget - lost)
            found.append(replace(run, problem=f"{name}+{LEFT_OUT}", steps=steps))
    return found


def harm(runs: Sequence[RunRecord], budget: int) -> Any:
    """Compare runs with spoilt values with the clean runs of the same sampler.

    Args:
        runs: Runs of the suite of outliers.
        budget: Number of trials.

    Returns:
        Mean log10 regret: a row for each sampler, a column for each kind, ``clean`` and
        :data:`LEFT_OUT` among them.
    """
    return _by_kind(runs, budget).groupby("kind").mean().T


def _by_kind(runs: Sequence[RunRecord], budget: int) -> Any:
    """Look up log10 regrets: a row for each kind of each block, a column for each sampler."""
    table = np.log10(regrets([*runs, *left_out(runs, budget)], budget).dropna())
    names = table.index.get_level_values("problem").str.rsplit("+", n=1)
    seeds = table.index.get_level_values("seed")
    levels = {"problem": names.str[0], "seed": seeds, "kind": names.str[-1]}
    return table.set_axis(pd.MultiIndex.from_arrays([*levels.values()], names=[*levels]))


def _harm(runs: Sequence[RunRecord], budget: int) -> Iterator[Target]:
    means = harm(runs, budget)
    ours = _by_kind(runs, budget)[OURS].unstack("kind")
    for kind in means.columns.drop(["clean", LEFT_OUT]):
        rise = means[kind] - means["clean"]
        others = ", ".join(f"{rival} {rise[rival]:+.2f}" for rival in rise.index.drop(OURS))
        unavoidable = _paired(ours[LEFT_OUT] - ours["clean"])
        rest = _paired(ours[kind] - ours[LEFT_OUT])
        yield Target(
            f"outliers, {kind}",
            f"mean log10 regret at {budget} trials at most {HARM} above its own clean runs'",
            f"{_paired(ours[kind] - ours['clean'])}: leaving the values out costs {unavoidable}, "
            f"the rest {rest}; {others}",
            bool(rise[OURS] <= HARM),
        )


def _paired(differences: Any) -> str:
    """Write the mean of differences with its interval of 95 %."""
    half = 1.96 * stats.sem(differences, nan_policy="omit")
    return f"{differences.mean():+.2f} ± {half:.2f}"
