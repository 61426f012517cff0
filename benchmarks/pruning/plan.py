"""Which samplers run with which pruners on which tasks, with which seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.pruning.jobs import Job
from benchmarks.pruning.methods import ABLATIONS
from benchmarks.pruning.methods import PRUNERS
from benchmarks.pruning.methods import SAMPLERS
from benchmarks.pruning.task import EPOCHS
from benchmarks.pruning.task import Task
from benchmarks.record import Preset
from benchmarks.record import Purpose


@dataclass(frozen=True)
class Plan:
    """What is run.

    Args:
        tasks: What is trained.
        seeds: Seeds of each task.
        epochs: Epochs of each run.
        pruners: Names of pruners.
    """

    tasks: Sequence[Task]
    seeds: Sequence[int]
    epochs: int
    pruners: Sequence[str] = tuple(PRUNERS)

    def samplers(self, pruner: str) -> tuple[str, ...]:
        """List the samplers that differ with a pruner."""
        is_nop = pruner == "NopPruner"
        return tuple(name for name in SAMPLERS if not (is_nop and name in ABLATIONS))

    def jobs(self) -> list[Job]:
        """List all runs, seed by seed."""
        return [
            Job(task, sampler, pruner, seed, self.epochs)
            for seed in self.seeds
            for task in self.tasks
            for pruner in self.pruners
            for sampler in self.samplers(pruner)
        ]


_BUNDLED = (Task("digits", "loss", 400), Task("digits", "error", 400))

PLANS: dict[Preset, dict[Purpose, Plan]] = {
    Preset.smoke: {
        purpose: Plan((Task("digits", "loss", 100),), range(1), 4 * EPOCHS, ("HyperbandPruner",))
        for purpose in Purpose
    },
    Preset.cpu: {
        Purpose.choose: Plan(
            (*_BUNDLED, Task("breast-cancer", "loss", 140)), range(12), 15 * EPOCHS
        ),
        Purpose.final: Plan(
            (Task("mnist", "loss", 800), Task("fashion-mnist", "error", 800)),
            range(100, 110),
            15 * EPOCHS,
        ),
    },
    Preset.paper: {
        Purpose.choose: Plan(
            (*_BUNDLED, Task("breast-cancer", "loss", 140)), range(50), 40 * EPOCHS
        ),
        Purpose.final: Plan(
            tuple(
                Task(data, metric, 4000)
                for data in ("mnist", "fashion-mnist")
                for metric in ("loss", "error")
            ),
            range(100, 130),
            40 * EPOCHS,
        ),
    },
}
"""Preset, purpose, plan: nothing is chosen on what is judged by."""
