"""Which methods run on which problems, with which seeds."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.record import Preset
from benchmarks.record import Purpose
from benchmarks.staged.autolrs import AutoLRS
from benchmarks.staged.jobs import AnyMethod
from benchmarks.staged.jobs import Job
from benchmarks.staged.lab import Problem
from benchmarks.staged.methods import PBT
from benchmarks.staged.methods import Sampler
from benchmarks.staged.methods import Shape
from benchmarks.staged.methods import Staged
from benchmarks.staged.methods import SuccessiveHalving
from benchmarks.staged.methods import Tuned


DEFAULT = Staged(100, averaging=True, sampler="gamma")
"""The form of the staged study that is judged."""

THESIS = Staged(0, averaging=False, sampler="gamma", score="kappa")

SHAPES: tuple[Shape, ...] = ("constant", "cosine", "one-cycle")

VARIANTS = (
    Staged(50, averaging=True, sampler="gamma"),
    Staged(200, averaging=True, sampler="gamma"),
    Staged(100, averaging=False, sampler="gamma"),
)
"""What is tried beside the default where something is to be chosen."""

_MNIST_500 = Problem("mnist", 500, 1_000, 0, epochs=20)
_FASHION_500 = Problem("fashion-mnist", 500, 1_000, 0, epochs=20)
_CPU = (
    _MNIST_500,
    Problem("mnist", 5_000, 1_000, 0, epochs=10),
    _FASHION_500,
    Problem("cifar10", 2_000, 1_000, 0, epochs=20),
)
_PAPER = (
    *_CPU,
    Problem("mnist", 0, 10_000, 0, epochs=10),
    Problem("fashion-mnist", 5_000, 1_000, 0, epochs=10),
    Problem("fashion-mnist", 0, 10_000, 0, epochs=10),
    Problem("cifar10", 5_000, 1_000, 0, epochs=20, model="keras-cifar"),
    Problem("cifar10", 0, 10_000, 0, epochs=20, model="keras-cifar"),
)
_SMOKE = (Problem("digits", 300, 100, 0, epochs=20),)


@dataclass(frozen=True)
class Plan:
    """What is run.

    Args:
        problems: Images and networks.
        methods: Methods; the first is compared with the others.
        budgets: Numbers of trainings after which is reported.
        seeds: Seeds.
    """

    problems: tuple[Problem, ...]
    methods: tuple[AnyMethod, ...]
    budgets: tuple[int, ...]
    seeds: tuple[int, ...]

    def jobs_of(self, problem: Problem, method: AnyMethod, seed: int) -> list[Job]:
        """List the runs that a method's reports come from: one if a run has them all."""
        budgets = [self.budgets] if method.anytime else [(n,) for n in self.budgets]
        return [Job(problem, method, b, seed) for b in budgets]

    def jobs(self) -> list[Job]:
        """List all runs."""
        return [
            job
            for problem in self.problems
            for seed in self.seeds
            for method in self.methods
            for job in self.jobs_of(problem, method, seed)
        ]


def get_plan(preset: Preset, purpose: Purpose) -> Plan:
    """Return what a preset runs.

    Ideas are chosen by validation images on two problems, seeds 0 to 4; the final table is of
    other seeds, from 100, and of problems that no choice has seen as well.
    """
    problems = {Preset.smoke: _SMOKE, Preset.cpu: _CPU, Preset.paper: _PAPER}[preset]
    samplers: tuple[Sampler, ...] = ("gamma",)
    if preset is Preset.paper:
        samplers = ("gamma", "gp", "tpe")
    tuned = tuple(Tuned(shape, sampler) for sampler in samplers for shape in SHAPES)
    if purpose is Purpose.choose:
        if preset is not Preset.smoke:
            problems = (_MNIST_500, _FASHION_500)
        methods: tuple[AnyMethod, ...] = (DEFAULT, *VARIANTS, THESIS, *tuned)
    else:
        random = Staged(DEFAULT.stage_steps, DEFAULT.averaging, "random", DEFAULT.score)
        others = (AutoLRS(), PBT(), SuccessiveHalving())
        methods = (DEFAULT, random, THESIS, *tuned, *others)
    budgets, n_seeds = ((2,), 1) if preset is Preset.smoke else ((2, 4, 12), 5)
    first = 0 if purpose is Purpose.choose else 100
    return Plan(problems, methods, budgets, tuple(range(first, first + n_seeds)))
