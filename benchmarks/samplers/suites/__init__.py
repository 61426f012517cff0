"""The suites of problems, by name."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from fnmatch import fnmatchcase

from benchmarks.samplers.problem import Problem
from benchmarks.samplers.suites import bbob
from benchmarks.samplers.suites import coco
from benchmarks.samplers.suites import conditional
from benchmarks.samplers.suites import constrained
from benchmarks.samplers.suites import multi
from benchmarks.samplers.suites import outliers
from benchmarks.samplers.suites import tables
from benchmarks.samplers.suites import tasks


SUITES: dict[str, Callable[[Sequence[int], Sequence[int]], list[Problem]]] = {
    "bbob": bbob.problems,
    "bbob-noisy": coco.noisy_problems,
    "bbob-mixint": coco.mixint_problems,
    "hpobench": tables.problems,
    "sklearn": tasks.problems,
    "outliers": outliers.problems,
    "conditional": conditional.problems,
    "conditional-other": conditional.other_problems,
    "zdt": multi.zdt_problems,
    "dtlz": multi.dtlz_problems,
    "bbob-biobj": multi.pair_problems,
    "bbob-constrained": constrained.problems,
}
"""From dimensions and instances to problems. Tables and tasks have neither to choose from."""


def select(
    suite: str, dimensions: Sequence[int], instances: Sequence[int], patterns: Sequence[str]
) -> list[Problem]:
    """List the problems of a suite.

    Args:
        suite: Name of the suite.
        dimensions: Numbers of parameters, for suites whose functions have any number of them.
        instances: Instances of each function, likewise.
        patterns: Shell patterns; problems whose name matches none are left out.

    Returns:
        Problems in a fixed order.
    """
    return [
        problem
        for problem in SUITES[suite](dimensions, instances)
        if any(fnmatchcase(problem.name, pattern) for pattern in patterns)
    ]
