"""Training from scratch with a learned schedule: one trial a stage, and nothing is searched."""

from __future__ import annotations

from dataclasses import astuple
from dataclasses import dataclass
import math
import tempfile
from typing import Any
from typing import TYPE_CHECKING

from optuna.trial import FixedTrial

from optuna_gamma.staged.checkpoint import checkpoint_name
from optuna_gamma.staged.directory import RunDirectory
from optuna_gamma.staged.ledger import Parent
from optuna_gamma.staged.seeds import derive_seed
from optuna_gamma.staged.stage import Stage
from optuna_gamma.staged.stage import TrialWeights
from optuna_gamma.staged.tree import State


if TYPE_CHECKING:
    from optuna_gamma.staged.schedule import StagedSchedule
    from optuna_gamma.staged.worker import Objective


@dataclass(frozen=True)
class Replay:
    """What came of a replayed schedule.

    Attributes:
        values: The objective's value of each stage.
        user_attrs: The user attributes that each stage's trial set.
        state: What the last stage saved.
    """

    values: tuple[float, ...]
    user_attrs: tuple[dict[str, Any], ...]
    state: State


def replay(schedule: StagedSchedule, objective: Objective, seed: int) -> Replay:
    """Train from scratch; see :meth:`StagedSchedule.replay`."""
    values: list[float] = []
    user_attrs: list[dict[str, Any]] = []
    parent: Parent | None = None
    with tempfile.TemporaryDirectory(prefix="optuna-gamma-") as folder:
        directory = RunDirectory(folder)
        for record in schedule:
            trial = FixedTrial(record.params, record.trial_number)
            weights = TrialWeights(directory, record.number, trial.number, _LEASE, parent)
            stage_seed = derive_seed(seed, "stage", record.number)
            stage = Stage(record.number, len(schedule), stage_seed, weights)
            value = float(objective(trial, stage))  # type: ignore[arg-type]
            if weights.error is not None:
                raise weights.error
            if math.isnan(value) or weights.sha256 is None:
                raise RuntimeError(
                    f"Stage {record.number} of the schedule came to nothing with seed {seed}: the "
                    f"objective returned {value}, and set the user attributes {trial.user_attrs}."
                )
            if parent is not None:
                directory.remove(checkpoint_name(*astuple(parent)))
            parent = Parent(record.number, record.trial_number, weights.commit())
            values.append(value)
            user_attrs.append(dict(trial.user_attrs))
        last = TrialWeights(directory, len(schedule), 0, _LEASE, parent)
        return Replay(tuple(values), tuple(user_attrs), last.load())


_LEASE = "0"
"""Nobody else writes there."""
