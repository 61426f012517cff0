"""What is run: problems, seeds and trials of each suite, at each preset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.record import Preset
from benchmarks.samplers.contenders import CONTENDERS
from benchmarks.samplers.run import ENTRANTS
from benchmarks.samplers.run import Job
from benchmarks.samplers.suites import select


BUDGETS = (12, 30, 50, 100, 200)
"""Numbers of trials after which samplers are compared."""


@dataclass(frozen=True)
class Plan:
    """What is run of one suite.

    Args:
        trials: Number of trials of a run.
        seeds: Number of repetitions of each problem.
        dimensions: Numbers of parameters, where there is a choice.
        instances: Instances of each function, where there are any.
        problems: Shell patterns of the names of problems.
        slow: Those among them that slow samplers run.
        slow_trials: The most trials that these run for.
    """

    trials: int
    seeds: int = 1
    dimensions: Sequence[int] = ()
    instances: Sequence[int] = (1,)
    problems: Sequence[str] = ("*",)
    slow: Sequence[str] = ("*",)
    slow_trials: int = 30


SLOW_FUNCTIONS = ("f01-*", "f03-*", "f06-*", "f08-*", "f10-*", "f15-*", "f20-*", "f21-*")
"""At least one of each of the five groups that BBOB has."""

SLOW_TABLES = ("hpobench-vehicle", "hpolib-protein_structure", "nasbench201-cifar10")

PAIRS = ("f08-*", "f19-*", "f29-*", "f37-*", "f50-*")
"""Some of the 55 pairs of BBOB functions, each of another combination of groups. The sampler was
tuned on instance 9 of others, and of f50."""

CONSTRAINED = ("f01-*", "f09-*", "f16-*", "f23-*", "f30-*", "f37-*", "f43-*", "f52-*")
"""One with each objective function but one, with 1 to 18 constraints. The sampler was tuned on
instances 4 and 5 of f01 and of others."""

PLANS: dict[Preset, dict[str, Plan]] = {
    Preset.smoke: {
        "bbob": Plan(15, dimensions=(2,), problems=("f01-*", "f08-*", "f21-*")),
        "bbob-noisy": Plan(15, dimensions=(2,), problems=("f101-*", "f130-*")),
        "bbob-mixint": Plan(15, dimensions=(5,), problems=("f01-*", "f15-*")),
        "hpobench": Plan(15, problems=("hpobench-vehicle", "nasbench201-cifar10")),
        "sklearn": Plan(15, problems=("digits-linear", "diabetes-trees")),
        "outliers": Plan(15, dimensions=(2,), problems=("f01-*", "f08-*")),
        "conditional": Plan(15, problems=("svm-cancer",), slow=()),
        "zdt": Plan(12, dimensions=(3,), problems=("zdt1-*",)),
        "dtlz": Plan(12, dimensions=(3,)),
        "bbob-biobj": Plan(12, dimensions=(2,), problems=("f01-*",)),
        "bbob-constrained": Plan(12, dimensions=(2,), problems=("f01-*", "f28-*")),
    },
    Preset.cpu: {
        "bbob": Plan(100, dimensions=(2, 5, 10), instances=(1, 2), slow=SLOW_FUNCTIONS),
        "bbob-noisy": Plan(50, dimensions=(2, 5), slow=()),
        "bbob-mixint": Plan(50, dimensions=(5, 10), slow=()),
        "hpobench": Plan(100, seeds=3, slow=SLOW_TABLES),
        "sklearn": Plan(100, seeds=5),
        "outliers": Plan(50, dimensions=(2, 5), instances=(1, 2), slow=()),
        "conditional": Plan(50, seeds=10, slow=()),
        "zdt": Plan(100, seeds=3, dimensions=(4,)),
        "dtlz": Plan(100, seeds=3, dimensions=(4,)),
        "bbob-biobj": Plan(100, seeds=3, dimensions=(2,), problems=PAIRS),
        "bbob-constrained": Plan(50, seeds=3, dimensions=(2, 3), problems=CONSTRAINED),
    },
    Preset.paper: {
        "bbob": Plan(
            trials=200,
            dimensions=(2, 5, 10, 20),
            instances=(1, 2, 3, 4, 5),
            slow=SLOW_FUNCTIONS,
            slow_trials=100,
        ),
        "bbob-noisy": Plan(
            trials=200,
            dimensions=(2, 5, 10, 20),
            instances=(1, 2, 3),
            slow=("f104-*", "f128-*"),
            slow_trials=100,
        ),
        "bbob-mixint": Plan(
            trials=200, dimensions=(5, 10, 20), instances=(1, 2, 3), slow=SLOW_FUNCTIONS
        ),
        "hpobench": Plan(trials=200, seeds=10),
        "sklearn": Plan(trials=200, seeds=10),
        "outliers": Plan(trials=100, dimensions=(2, 5), instances=(1, 2, 3), slow=()),
        "conditional": Plan(100, seeds=20, slow=()),
        "zdt": Plan(trials=100, seeds=10, dimensions=(4, 10)),
        "dtlz": Plan(trials=100, seeds=10, dimensions=(4, 10)),
        "bbob-biobj": Plan(trials=100, dimensions=(2, 5, 10), instances=(1, 2, 3)),
        "bbob-constrained": Plan(trials=100, dimensions=(2, 3, 5, 10), instances=(1, 2, 3)),
    },
}
"""Preset, suite, plan."""

SAMPLERS: dict[Preset, tuple[str, ...]] = {
    Preset.smoke: ("gamma", "tpe", "cmaes", "qmc", "random", "grid", "nsga2"),
    Preset.cpu: tuple(CONTENDERS),
    Preset.paper: tuple(CONTENDERS),
}
"""Samplers that take part if none are named."""


SEVERAL = ("gamma", "gaussian", "gp", "tpe", "nsga2", "qmc", "random")
"""Samplers that know several objectives and, but for the last two, constraints."""

ENTRIES = dict.fromkeys(("zdt", "dtlz", "bbob-biobj", "bbob-constrained"), SEVERAL)
"""Which samplers take part in a suite, where it is not all but those of :data:`ELSEWHERE`."""

ELSEWHERE = ("nsga2",)
"""Samplers that are for several objectives alone."""


def takes_part(sampler: str, suite: str) -> bool:
    """Tell whether a sampler takes part in a suite."""
    return sampler in ENTRIES[suite] if suite in ENTRIES else sampler not in ELSEWHERE


def jobs(suite: str, plan: Plan, versions: dict[str, str]) -> list[Job]:
    """List the runs of a suite.

    Args:
        suite: Name of the suite.
        plan: What is run of it.
        versions: Version of each sampler that takes part, by its label, with or without
            ``@version``.

    Returns:
        Runs, problem by problem, so that samplers can be compared long before all is done.
    """
    listed = []
    slow = set(select(suite, plan.dimensions, plan.instances, plan.slow))
    for seed in range(plan.seeds):
        for problem in select(suite, plan.dimensions, plan.instances, plan.problems):
            for label, version in versions.items():
                sampler = label.partition("@")[0]
                if not takes_part(sampler, suite):
                    continue
                contender = ENTRANTS[sampler]
                if contender.is_slow and problem not in slow:
                    continue
                trials = min(plan.trials, plan.slow_trials) if contender.is_slow else plan.trials
                counts = (trials,) if contender.is_anytime else budgets(trials)
                listed += [Job(sampler, version, problem, seed, count) for count in counts]
    return listed


def budgets(trials: int) -> tuple[int, ...]:
    """List the budgets within a number of trials, and that number itself."""
    return tuple(dict.fromkeys((*(b for b in BUDGETS if b < trials), trials)))
