"""A problem of 36 steps, and the methods that are tried on it."""

from __future__ import annotations

from benchmarks.staged.autolrs import AutoLRS
from benchmarks.staged.forms import Probed
from benchmarks.staged.forms import Staged
from benchmarks.staged.jobs import AnyMethod
from benchmarks.staged.lab import Problem
from benchmarks.staged.methods import Tuned
from benchmarks.staged.populations import PBT
from benchmarks.staged.populations import SuccessiveHalving


TINY = Problem("digits", n_train=100, n_valid=50, n_test=40, epochs=18)
"""36 steps."""

METHODS: tuple[AnyMethod, ...] = (
    Tuned("constant", "gamma"),
    Tuned("one-cycle", "tpe"),
    Staged(10, averaging=True, sampler="gamma"),
    Staged(0, averaging=False, sampler="random", score="loss"),
    Probed(n_probes=3, min_steps=5),
    Probed(rounds=2, min_steps=5, sampler="random"),
    Probed(),
    Tuned("constant", "gamma", 1),
    Tuned("cosine", "gamma", 3),
    AutoLRS(),
    PBT(),
    SuccessiveHalving(),
)
