"""Runs of a method on a problem, and what they leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from functools import lru_cache
import json
from pathlib import Path
import time
from typing import Any

from benchmarks.lines import add_line
from benchmarks.lines import read_lines
from benchmarks.lines import versioned
from benchmarks.record import machine
from benchmarks.staged.autolrs import AutoLRS
from benchmarks.staged.forms import Probed
from benchmarks.staged.forms import Staged
from benchmarks.staged.lab import Candidate
from benchmarks.staged.lab import KINDS
from benchmarks.staged.lab import Lab
from benchmarks.staged.lab import Problem
from benchmarks.staged.methods import Tuned
from benchmarks.staged.populations import PBT
from benchmarks.staged.populations import SuccessiveHalving
from benchmarks.version import version_of


AnyMethod = Tuned | Staged | Probed | AutoLRS | PBT | SuccessiveHalving

Result = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A run of a method.

    Args:
        problem: What is trained.
        method: How.
        budgets: What is reported after, in trainings; more than one only if the method is anytime.
        seed: Seed of everything.
    """

    problem: Problem
    method: AnyMethod
    budgets: tuple[int, ...]
    seed: int

    @property
    def key(self) -> str:
        """What a stored result is known by."""
        kind = type(self.method).__name__
        return json.dumps({**asdict(self), "kind": kind}, sort_keys=True, ensure_ascii=False)

    def run(self) -> Result:
        """Spend the largest budget; at each, report the best raw and the best averaged weights.

        The best have the highest validation κ, each kind by its own.
        """
        start = time.process_time()
        lab = Lab(self.problem, self.seed)
        best: dict[str, Candidate] = {}
        reports: list[Result] = []
        for candidate in self.method.candidates(lab, self.budgets[-1], self.seed):
            for kind in KINDS:
                if kind not in best or candidate.valid[kind].kappa > best[kind].valid[kind].kappa:
                    best[kind] = candidate
            n = self.budgets[len(reports)]
            # Rounded, because a few steps are left over where AutoLRS's probes have whole ones.
            if n < self.budgets[-1] and round(lab.spent / lab.training_steps) >= n:
                reports.append(_report(lab, n, best))
        reports.append(_report(lab, self.budgets[-1], best))
        seconds = round(time.process_time() - start, 2)
        return {"reports": reports, "seconds": seconds, "processor": machine()["processor"]}


def _report(lab: Lab, budget: int, best: dict[str, Candidate]) -> Result:
    report: Result = {"budget": budget, "epochs": round(lab.epochs, 3)}
    for kind, candidate in best.items():
        valid, test = candidate.valid[kind], lab.test(candidate.weights[kind])
        report[kind] = {
            "valid": [round(x, 5) for x in valid],
            "test": [round(x, 5) for x in test],
            "rates": [round(rate, 5) for rate in candidate.rates],
        }
    return report


_TINY = Problem("digits", n_train=200, n_valid=50, n_test=50, epochs=40)
"""Long enough for two probes of a hundred steps."""


@lru_cache
def version(method: AnyMethod) -> str:
    """Return the version of the results that runs of a method have now."""

    def tiny_run() -> list[object]:
        lab = Lab(_TINY, 0)
        found = list(method.candidates(lab, 4, 0))
        return [
            lab.spent,
            *(f"{rate:.3g}" for candidate in found for rate in candidate.rates),
            *(f"{c.valid[kind].loss:.3f}" for c in found for kind in KINDS),
        ]

    return version_of(tiny_run)


PROCESSORS = "processors.json"
"""File that says which versions are the same code on processors that round differently.

A list of ``{"processor": ..., "commit": ..., "versions": {here: stored}}``: what the code of a
commit comes to on a processor, and what it came to where its stored results are from.
"""


class Store:
    """Results in a folder: a file for each method and version, a line for each run.

    Args:
        folder: Where the files are; made when the first result comes.
        is_read_only: Whether a method that has no results of its version has those stored last,
            as on a processor that rounds differently.
    """

    def __init__(self, folder: Path, is_read_only: bool = False) -> None:
        self._folder = folder
        self._is_read_only = is_read_only
        self._results: dict[Path, dict[str, Result]] = {}
        self._same: dict[str, str] = {}
        if (path := folder / PROCESSORS).exists():
            for entry in json.loads(path.read_text()):
                self._same |= entry["versions"]

    def missing(self, jobs: Sequence[Job]) -> list[Job]:
        """List what has no result yet."""
        return [job for job in jobs if job.key not in self._of(job.method)]

    def read(self, jobs: Sequence[Job]) -> dict[Job, Result]:
        """Return the results that there are."""
        found = ((job, self._of(job.method).get(job.key)) for job in jobs)
        return {job: result for job, result in found if result is not None}

    def add(self, job: Job, result: Result) -> None:
        """Add a result, on disk on return."""
        add_line(self._path(job.method), {"key": job.key, "result": result})
        self._of(job.method)[job.key] = result

    def _path(self, method: AnyMethod) -> Path:
        known = self._same.get(version(method), version(method))
        return versioned(self._folder, method.name, known, self._is_read_only)

    def _of(self, method: AnyMethod) -> dict[str, Result]:
        path = self._path(method)
        if path not in self._results:
            self._results[path] = {line["key"]: line["result"] for line in read_lines(path)}
        return self._results[path]
