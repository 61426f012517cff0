"""Which studies are run with which source trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from itertools import permutations

from benchmarks.record import Preset
from benchmarks.record import Purpose
from benchmarks.samplers.problem import Problem
from benchmarks.samplers.setting import Setting
from benchmarks.samplers.suites.bbob import Bbob
from benchmarks.samplers.suites.tables import Table
from benchmarks.transfer.jobs import Job
from benchmarks.transfer.methods import METHODS
from benchmarks.transfer.methods import WITH
from benchmarks.transfer.methods import WITHOUT
from benchmarks.transfer.source import Shifted
from benchmarks.transfer.source import Source


@dataclass(frozen=True)
class Pair:
    """A study and the one that its source trials are from.

    Args:
        target: What is to be solved.
        problem: What the source study was about.
        relation: What the two have to do with each other.
        values: What becomes of the source's values; see :data:`benchmarks.transfer.source.VALUES`.
    """

    target: Problem
    problem: Problem
    relation: str
    values: str = "as they are"

    @property
    def misleads(self) -> bool:
        """Whether nothing true is to be learned from the source."""
        return self.relation not in ("other data", "shifted")

    @property
    def group(self) -> str:
        """The collection of problems that the target belongs to."""
        return self.target.family if isinstance(self.target, Table) else self.target.suite

    def source(self, sampler: str) -> Source:
        """Return the source study, made by a sampler."""
        return Source(self.problem, sampler, self.values)


@dataclass(frozen=True)
class Plan:
    """What is run.

    Args:
        tables: Data sets of a family of tables each; every one is the source of every other.
        functions: Numbers of functions of BBOB.
        dimensions: Their numbers of parameters.
        instances: The instance that is to be solved and the one that misleads.
        seeds: Numbers of the repetitions.
        trials: Trials of a run.
        samplers: What source studies are made by; the first alone where methods other than ours
            are run.
    """

    tables: Sequence[tuple[str, Sequence[str]]]
    functions: Sequence[int]
    dimensions: Sequence[int]
    instances: tuple[int, int]
    seeds: Sequence[int]
    trials: int
    samplers: Sequence[str] = ("gamma", "random")

    def pairs(self) -> list[Pair]:
        """List pairs of studies."""
        pairs = []
        for family, names in self.tables:
            for target, source in permutations([Table(family, name) for name in names], 2):
                pairs.append(Pair(target, source, "other data"))
                pairs.append(Pair(target, source, "other data, negated", "negated"))
                pairs.append(Pair(target, source, "other data, shuffled", "shuffled"))
        for function in self.functions:
            for dimension in self.dimensions:
                solved, other = (Bbob(function, i, dimension) for i in self.instances)
                pairs.append(Pair(solved, Shifted(solved), "shifted"))
                pairs.append(Pair(solved, other, "other instance"))
                pairs.append(Pair(solved, solved, "itself, negated", "negated"))
        return pairs

    def job(self, pair: Pair, seed: int, method: str, sampler: str) -> Job:
        """Return a run; without source trials it is the same whatever the source."""
        source = None if method == WITHOUT else pair.source(sampler)
        version = METHODS[method].versions()
        return Job(method, version, pair.target, source, seed, self.trials)

    def methods(self, pair: Pair, sampler: str) -> list[str]:
        """List what is done with a source: beside ours only with sources of the first sampler."""
        setting = Setting(pair.target.space, 0, self.trials)
        return [
            name
            for name, method in METHODS.items()
            if name in (WITHOUT, WITH) or (sampler == self.samplers[0] and method.fits(setting))
        ]

    def jobs(self) -> list[Job]:
        """List all runs, one repetition after the other."""
        return list(
            dict.fromkeys(
                self.job(pair, seed, method, sampler)
                for seed in self.seeds
                for pair in self.pairs()
                for sampler in self.samplers
                for method in self.methods(pair, sampler)
            )
        )


_CHOOSE = Plan(
    [
        ("hpobench", ("car", "phoneme", "vehicle", "australian")),
        ("hpolib", ("naval_propulsion", "parkinsons_telemonitoring")),
    ],
    (3, 6, 12, 17, 20),
    (2, 5),
    (3, 4),
    range(4),
    50,
)

_FINAL = Plan(
    [
        ("hpobench", ("kc1", "segment", "blood_transfusion", "credit_g")),
        ("hpolib", ("protein_structure", "slice_localization")),
        ("nasbench201", ("cifar10", "cifar100", "imagenet")),
    ],
    (1, 8, 10, 15, 21),
    (2, 5),
    (1, 2),
    range(100, 104),
    50,
)

_SMOKE = Plan([("nasbench201", ("cifar10", "cifar100"))], (1,), (2,), (1, 2), range(1), 6)

PLANS: dict[Preset, dict[Purpose, Plan]] = {
    Preset.smoke: dict.fromkeys(Purpose, _SMOKE),
    Preset.cpu: {Purpose.choose: _CHOOSE, Purpose.final: _FINAL},
    Preset.paper: {
        Purpose.choose: replace(_CHOOSE, seeds=range(20)),
        Purpose.final: replace(_FINAL, seeds=range(100, 120)),
    },
}
"""Preset, purpose, plan: nothing is chosen on what is judged by."""
