"""Which methods run on which problems, with which seeds."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace

from benchmarks.record import Preset
from benchmarks.record import Purpose
from benchmarks.staged.autolrs import AutoLRS
from benchmarks.staged.forms import Probed
from benchmarks.staged.forms import Staged
from benchmarks.staged.jobs import AnyMethod
from benchmarks.staged.jobs import Job
from benchmarks.staged.lab import Problem
from benchmarks.staged.methods import Sampler
from benchmarks.staged.methods import Shape
from benchmarks.staged.methods import Tuned
from benchmarks.staged.populations import PBT
from benchmarks.staged.populations import SuccessiveHalving


DEFAULT = Probed()
"""The form of the staged study that is judged."""

THESIS = Staged(0, averaging=False)

SHAPES: tuple[Shape, ...] = ("constant", "cosine", "one-cycle")

LONG = (Tuned("constant", "gamma", 1), Tuned("constant", "gamma", 3))
"""What is asked besides: whether the epochs were better spent on fewer, longer trainings."""

VARIANTS = (
    replace(DEFAULT, n_probes=3),
    replace(DEFAULT, share=48, min_steps=50),
    replace(DEFAULT, rounds=2),
    replace(DEFAULT, score="loss"),
    replace(DEFAULT, averaging=False),
    replace(DEFAULT, sampler="random"),
    Staged(100),
    Staged(100, averaging=False),
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


FEW_IMAGES = 500

HELD_OUT = {Preset.smoke: 200, Preset.cpu: 5_000, Preset.paper: 5_000}
"""Number of training images that ideas are chosen by."""


@dataclass(frozen=True)
class Plan:
    """What is run.

    Args:
        problems: Images and networks.
        methods: Methods; the first is compared with the others.
        budgets: Numbers of trainings after which is reported.
        seeds: Seeds.
        thrifty: Methods that spend a budget of their own for each report. Where there are more
            than :data:`FEW_IMAGES`, they run with the largest only.
        early: Further budgets of the first method, after each of which it is compared with what
            the others are at last.
    """

    problems: tuple[Problem, ...]
    methods: tuple[AnyMethod, ...]
    budgets: tuple[int, ...]
    seeds: tuple[int, ...]
    thrifty: tuple[AnyMethod, ...] = ()
    early: tuple[int, ...] = ()

    @property
    def all_budgets(self) -> tuple[int, ...]:
        """Budgets after which anything is reported, the smallest first."""
        return tuple(sorted({*self.budgets, *self.early}))

    def jobs_of(self, problem: Problem, method: AnyMethod, seed: int) -> list[Job]:
        """List the runs that a method's reports come from: one if a run has them all."""
        budgets = self.all_budgets if method == self.methods[0] else self.budgets
        if method.anytime:
            return [Job(problem, method, budgets, seed)]
        is_large = not 0 < problem.n_train <= FEW_IMAGES
        if is_large and method in self.thrifty:
            budgets = budgets[-1:]
        return [Job(problem, method, (n,), seed) for n in budgets]

    def jobs(self) -> list[Job]:
        """List all runs, seed by seed, so that what there is can be compared at any time."""
        return [
            job
            for seed in self.seeds
            for problem in self.problems
            for method in self.methods
            for job in self.jobs_of(problem, method, seed)
        ]


def get_plan(preset: Preset, purpose: Purpose) -> Plan:
    """Return what a preset runs.

    Ideas are chosen on two problems, seeds 0 to 4, by training images that no search sees; the
    final table is of test images, other seeds, from 100, and of problems that no choice has seen
    as well.
    """
    problems = {Preset.smoke: _SMOKE, Preset.cpu: _CPU, Preset.paper: _PAPER}[preset]
    samplers: tuple[Sampler, ...] = ("gamma",)
    if preset is Preset.paper:
        samplers = ("gamma", "gp", "tpe")
    tuned = tuple(Tuned(shape, sampler) for sampler in samplers for shape in SHAPES)
    if purpose is Purpose.choose:
        if preset is not Preset.smoke:
            problems = (_MNIST_500, _FASHION_500)
        problems = tuple(replace(problem, held_out=HELD_OUT[preset]) for problem in problems)
        methods: tuple[AnyMethod, ...] = (DEFAULT, *VARIANTS, THESIS, *tuned, *LONG)
    else:
        random = replace(DEFAULT, sampler="random")
        others = (AutoLRS(), PBT(), SuccessiveHalving())
        methods = (DEFAULT, *tuned, LONG[0], *others, THESIS, random)
    budgets, early = ((2, 4, 12), (3,)) if purpose is Purpose.final else ((12,), ())
    if preset is Preset.smoke:
        budgets, early = (2,), ()
    n_seeds = 1 if preset is Preset.smoke else 5
    first = 0 if purpose is Purpose.choose else 100
    seeds = tuple(range(first, first + n_seeds))
    thrifty = () if preset is Preset.paper else tuple(set(methods) - {DEFAULT, LONG[0]})
    return Plan(problems, methods, budgets, seeds, thrifty, early)
