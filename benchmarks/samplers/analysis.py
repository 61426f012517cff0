"""From records to figures: pure functions, no files.

A block is one repetition of one problem: what samplers are compared on. Tables of regrets have a
row for each block and a column for each sampler, with NaN where a sampler has no run of a block;
what is computed over several samplers uses the blocks that all of them have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
import pandas as pd
from scipy.stats import wilcoxon
from statsmodels.stats.multitest import multipletests

from benchmarks.samplers.record import RunRecord


FLOOR = 1e-8
"""Regrets below it count as solved, as in COCO."""

BLOCK = ["dimension", "problem", "seed"]

Array = NDArray[np.float64]


def rebase(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Lower the optimum of problems of which it was not known to the lowest value met.

    Args:
        records: Runs, some of which may have negative regrets.

    Returns:
        The same runs without negative regrets.
    """
    lowest: dict[tuple[str, str], float] = {}
    for record in records:
        key = record.suite, record.problem
        lowest[key] = min(lowest.get(key, 0.0), record.steps[-1][1])
    return [
        replace(record, steps=tuple((n, regret - low) for n, regret in record.steps))
        if (low := lowest[record.suite, record.problem]) < 0
        else record
        for record in records
    ]


def regrets(records: Sequence[RunRecord], trials: int) -> Any:
    """Look up the lowest regrets after so many trials.

    Of a sampler that runs once for each budget, the run of the smallest sufficient one counts.

    Args:
        records: Runs of one suite.
        trials: Number of trials.

    Returns:
        A table of regrets, not below :data:`FLOOR`.
    """
    rows = [
        (r.dimension, r.problem, r.seed, r.sampler, r.trials, max(r.regret(trials), FLOOR))
        for r in records
        if r.trials >= trials
    ]
    frame = pd.DataFrame(rows, columns=[*BLOCK, "sampler", "trials", "regret"])
    frame = frame.sort_values("trials").drop_duplicates([*BLOCK, "sampler"])
    return frame.pivot(index=BLOCK, columns="sampler", values="regret")


def mean_ranks(table: Any) -> Any:
    """Rank samplers in each block, ties shared, and average over the blocks that all have."""
    return table.dropna().rank(axis="columns").mean()


def mean_log10(table: Any) -> Any:
    """Average log10 regrets over the blocks that all samplers have."""
    return np.log10(table.dropna()).mean()


def compare(table: Any, ours: str, rivals: Sequence[str]) -> Any:
    """Test one sampler against each of its rivals, on the blocks that the two have.

    Log10 regrets are averaged over the repetitions of a problem, since these are no independent
    evidence, and the differences are tested by Wilcoxon's signed-rank test (two-sided, zeros
    left out). P-values are corrected for the number of rivals (Holm 1979).

    Args:
        table: A table of regrets.
        ours: The sampler.
        rivals: Those that it is compared with; any that are not in the table are left out.

    Returns:
        A row for each rival: ``problems``, the number of problems that both have; ``better``,
        ``equal`` and ``worse``, the numbers of those in which ours is; ``difference``, the mean
        difference in log10 regret, negative where ours is better; ``p``; ``p_holm``.
    """
    rows = {
        rival: _test(table[[ours, rival]].dropna(), ours, rival)
        for rival in rivals
        if rival != ours and rival in table and ours in table
    }
    frame = pd.DataFrame.from_dict(
        {rival: row for rival, row in rows.items() if row["problems"]}, orient="index"
    )
    if not frame.empty:
        frame["p_holm"] = multipletests(frame["p"], method="holm")[1]
    return frame


def compare_repetitions(table: Any, ours: str, rivals: Sequence[str]) -> Any:
    """Test one sampler against each of its rivals on each problem by itself.

    The repetitions of a problem are paired; their log10 regrets are tested as in :func:`compare`,
    and corrected for the number of problems and rivals.

    Args:
        table: A table of regrets.
        ours: The sampler.
        rivals: Those that it is compared with.

    Returns:
        A row for each problem and rival: ``better``, ``equal`` and ``worse``, the numbers of
        repetitions in which ours is; ``difference``, the mean difference in log10 regret, negative
        where ours is better; ``p``; ``p_holm``.
    """
    logs = np.log10(table.dropna())
    rows = {}
    for problem, block in logs.groupby("problem"):
        for rival in rivals:
            rows[problem, rival] = _tested((block[ours] - block[rival]).to_numpy())
    frame = pd.DataFrame.from_dict(rows, orient="index")
    if not frame.empty:
        frame["p_holm"] = multipletests(frame["p"], method="holm")[1]
    return frame


def significance(table: Any) -> Any:
    """Test each pair of samplers, Holm-corrected over all pairs: a symmetric table of p-values."""
    samplers = list(table.columns)
    pairs = [(a, b) for i, a in enumerate(samplers) for b in samplers[:i]]
    p = [_test(table[[a, b]].dropna(), a, b)["p"] for a, b in pairs]
    matrix = pd.DataFrame(1.0, index=samplers, columns=samplers)
    for (a, b), corrected in zip(pairs, multipletests(p, method="holm")[1], strict=True):
        matrix.loc[a, b] = matrix.loc[b, a] = corrected
    return matrix


def _test(pair: Any, ours: str, rival: str) -> dict[str, float]:
    means = np.log10(pair).groupby(["dimension", "problem"]).mean()
    difference = (means[ours] - means[rival]).to_numpy()
    return {"problems": len(difference), **_tested(difference)}


def _tested(difference: Array) -> dict[str, float]:
    return {
        "better": int((difference < 0).sum()),
        "equal": int((difference == 0).sum()),
        "worse": int((difference > 0).sum()),
        "difference": float(difference.mean()) if len(difference) else float("nan"),
        "p": float(wilcoxon(difference).pvalue) if difference.any() else 1.0,
    }


def curves(records: Sequence[RunRecord]) -> dict[str, Array]:
    """Unroll the lowest regrets over trials.

    Args:
        records: Runs of one suite.

    Returns:
        By sampler, an array (blocks, trials) over the blocks that all samplers have, in the same
        order, up to the number of trials that all have reached.
    """
    longest: dict[str, dict[tuple[str, int], RunRecord]] = {}
    for record in sorted(records, key=lambda r: r.trials):
        longest.setdefault(record.sampler, {})[record.problem, record.seed] = record
    blocks = sorted(set.intersection(*(set(runs) for runs in longest.values())))
    chosen = {name: [runs[block] for block in blocks] for name, runs in longest.items()}
    trials = min((r.trials for runs in chosen.values() for r in runs), default=0)
    return {
        name: np.array([_unroll(run, trials) for run in runs]).reshape(-1, trials)
        for name, runs in chosen.items()
    }


def normalise(unrolled: dict[str, Array]) -> dict[str, Array]:
    """Divide regrets by the median regret after one trial, over samplers; at most 1.

    Args:
        unrolled: Regrets (blocks, trials) by sampler.

    Returns:
        The same, in [0, 1].
    """
    first = np.stack([values[:, 0] for values in unrolled.values()])
    scale = np.maximum(np.median(first, axis=0), FLOOR)[:, None]
    return {name: np.minimum(values / scale, 1.0) for name, values in unrolled.items()}


def reached(unrolled: dict[str, Array], targets: Array) -> dict[str, Array]:
    """Count reached targets: the empirical distribution function of run times.

    Args:
        unrolled: Regrets (blocks, trials) by sampler.
        targets: Regrets to be reached.

    Returns:
        By sampler, the share of pairs of block and target reached after each number of trials.
    """
    return {
        name: (values[:, :, None] <= targets).mean(axis=(0, 2))
        for name, values in unrolled.items()
    }


def milliseconds(records: Sequence[RunRecord]) -> Any:
    """Take the median time of a proposal, over the runs of each sampler."""
    rows = [(r.sampler, r.milliseconds) for r in records]
    return pd.DataFrame(rows, columns=["sampler", "ms"]).groupby("sampler")["ms"].median()


def _unroll(record: RunRecord, trials: int) -> Array:
    values = np.full(trials, np.inf)
    for n, regret in record.steps:
        values[n - 1 :] = regret
    floored: Array = np.maximum(values, FLOOR)
    return floored
