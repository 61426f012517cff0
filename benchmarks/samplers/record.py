"""What a run leaves, and the files that keep it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import NamedTuple

from benchmarks.lines import add_line
from benchmarks.lines import read_lines


DIGITS = 6


class Key(NamedTuple):
    """What a run is known by; two runs of one key differ in the time they took alone."""

    sampler: str
    version: str
    suite: str
    source: str
    problem: str
    seed: int
    trials: int


@dataclass(frozen=True)
class RunRecord:
    """A finished run of one sampler on one problem.

    Args:
        sampler: Label of the sampler.
        version: Versions of what proposed.
        suite: Name of the suite.
        source: Version of what evaluated.
        problem: Name of the problem.
        dimension: Number of parameters.
        seed: Number of the repetition.
        trials: Number of trials.
        steps: Where the lowest regret so far fell: number of trials until then, regret.
        seconds: Time spent proposing, in all.
        milliseconds: Median time of a proposal.
    """

    sampler: str
    version: str
    suite: str
    source: str
    problem: str
    dimension: int
    seed: int
    trials: int
    steps: tuple[tuple[int, float], ...]
    seconds: float
    milliseconds: float

    @property
    def key(self) -> Key:
        """What the run is known by."""
        return Key(*(getattr(self, name) for name in Key._fields))

    def regret(self, trials: int) -> float:
        """Look up the lowest regret after so many trials."""
        return min(regret for n, regret in self.steps if n <= trials)


def shorten(value: float) -> float:
    """Round to the digits that are kept."""
    return float(f"{value:.{DIGITS}g}")


class Store:
    """Records in a folder: a file for each version of each sampler, a line for each run.

    Lines are only ever added; see :func:`benchmarks.lines.add_line`.

    Args:
        folder: Where the files are; made when the first record comes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def versions(self, sampler: str) -> list[str]:
        """List the versions of a sampler that there are runs of, the last used last."""
        paths = sorted(self._folder.glob(f"{sampler}@*.jsonl"), key=lambda p: p.stat().st_mtime)
        return [path.stem.removeprefix(f"{sampler}@") for path in paths]

    def read(self, sampler: str, version: str) -> list[RunRecord]:
        """Read the runs of a version of a sampler."""
        return [
            _parse(sampler, version, content)
            for content in read_lines(self._path(sampler, version))
        ]

    def add(self, records: Iterable[RunRecord]) -> None:
        """Add runs, each on disk before the next."""
        for record in records:
            content = asdict(record)
            del content["sampler"], content["version"]
            add_line(self._path(record.sampler, record.version), content)

    def _path(self, sampler: str, version: str) -> Path:
        return self._folder / f"{sampler}@{version}.jsonl"


def _parse(sampler: str, version: str, content: dict[str, Any]) -> RunRecord:
    content["steps"] = tuple((n, regret) for n, regret in content["steps"])
    return RunRecord(sampler=sampler, version=version, **content)
