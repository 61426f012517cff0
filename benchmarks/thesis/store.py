"""Finished runs on disk, as they come."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from benchmarks.lines import add_line
from benchmarks.lines import read_lines
from benchmarks.thesis.jobs import Job
from benchmarks.thesis.jobs import key
from benchmarks.thesis.jobs import Result
from benchmarks.thesis.jobs import StagedRun
from benchmarks.thesis.jobs import Trainings


AnyJob = TypeVar("AnyJob", bound=Job)


class Store:
    """Results in a folder: a file for each kind of run and version, a line for each run.

    Args:
        folder: Where the files are; made when the first result comes.
        version: What the results depend on; see :func:`benchmarks.thesis.version.version`.
    """

    def __init__(self, folder: Path, version: str) -> None:
        self._folder = folder
        self._version = version
        self._results: dict[str, Result] = {}
        for path in folder.glob(f"*@{version}.jsonl"):
            for line in read_lines(path):
                self._results[line["key"]] = line["result"]

    @staticmethod
    def versions(folder: Path) -> list[str]:
        """List the versions that there are results of, the last used last."""
        paths = sorted(folder.glob("*@*.jsonl"), key=lambda path: path.stat().st_mtime)
        return list(dict.fromkeys(path.stem.partition("@")[2] for path in paths))

    def missing(self, jobs: Sequence[AnyJob]) -> list[AnyJob]:
        """List what has no result yet."""
        return [job for job in jobs if key(job) not in self._results]

    def read(self, jobs: Sequence[AnyJob]) -> dict[AnyJob, Result]:
        """Return the results that there are."""
        return {job: self._results[key(job)] for job in jobs if key(job) in self._results}

    def add(self, job: Job, result: Result) -> None:
        """Add a result, on disk on return."""
        kinds = {Trainings: "trainings", StagedRun: "staged"}
        path = self._folder / f"{kinds.get(type(job), 'searches')}@{self._version}.jsonl"
        add_line(path, {"key": key(job), "result": result})
        self._results[key(job)] = result
