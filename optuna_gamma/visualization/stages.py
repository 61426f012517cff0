"""A staged study as pictures want it: where its trials lie along the training."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from optuna_gamma.staged import StagedStudy
from optuna_gamma.staged import StageStatus
from optuna_gamma.staged.trial import epochs_of
from optuna_gamma.visualization.style import MAX_POINTS
from optuna_gamma.visualization.style import thinned


@dataclass(frozen=True)
class Drawn:
    """A stage with the trials that are drawn.

    Attributes:
        status: The stage.
        start: Where it begins on the axis of the training.
        end: Where it ends.
        trials: Finished trials, an even choice of very many, in the order of their numbers.
        x: Where they lie: side by side within the stage.
        goodness: How each ranks in its stage, from 0, the worst, to 1; 0 without a value.
    """

    status: StageStatus
    start: float
    end: float
    trials: tuple[FrozenTrial, ...]
    x: NDArray[np.float64]
    goodness: NDArray[np.float64]

    @property
    def promoted(self) -> FrozenTrial | None:
        """The promoted trial, if the stage is finished."""
        return self.status.best if self.status.is_finished else None

    @property
    def said(self) -> str:
        """What one of its trials is introduced by: people count stages from one."""
        return f"stage {self.status.number + 1}, "

    def where(self, trial: FrozenTrial) -> float:
        """Return where one of its trials lies."""
        [i] = [i for i, drawn in enumerate(self.trials) if drawn.number == trial.number]
        return float(self.x[i])


@dataclass(frozen=True)
class Stages:
    """All stages of a staged study that have finished trials.

    Attributes:
        drawn: The stages.
        axis: What the axis of the training counts.
    """

    drawn: tuple[Drawn, ...]
    axis: str

    @property
    def path(self) -> list[tuple[Drawn, FrozenTrial]]:
        """The finished stages with their promoted trials: the winning path."""
        return [(d, trial) for d in self.drawn if (trial := d.promoted) is not None]

    @property
    def values(self) -> list[float]:
        """The values of all trials drawn that have one."""
        return [trial.value for d in self.drawn for trial in d.trials if trial.value is not None]


def read_stages(staged: StagedStudy, by_epochs: bool = True) -> Stages:
    """Read a staged study.

    Args:
        staged: The staged study.
        by_epochs: Whether the axis counts the epochs of the promoted trials, where all trials
            with a value have the user attribute ``"epochs"``; else it counts stages.
    """
    stages = [
        (stage, tuple(trial for trial in stage.trials if trial.state.is_finished()))
        for stage in staged.status().stages
    ]
    stages = [(stage, trials) for stage, trials in stages if trials]
    lengths = [_epochs(stage) for stage, _ in stages] if by_epochs else [None]
    counts_epochs = bool(stages) and None not in lengths
    ends = np.cumsum([0.0, *lengths]) if counts_epochs else 0.5 + np.arange(len(stages) + 1.0)
    most = max(MAX_POINTS // max(len(stages), 1), 2)
    drawn = []
    for (stage, trials), start, end in zip(stages, ends[:-1], ends[1:], strict=True):
        best = [
            i
            for i, trial in enumerate(trials)
            if stage.best is not None and trial.number == stage.best.number
        ]
        chosen = thinned(len(trials), most, best)
        goodness = _goodness(trials, staged.direction)
        drawn.append(
            Drawn(
                stage,
                float(start),
                float(end),
                tuple(trials[i] for i in chosen),
                start + (end - start) * (0.1 + 0.8 * (chosen + 0.5) / len(trials)),
                goodness[chosen],
            )
        )
    return Stages(tuple(drawn), "epochs kept" if counts_epochs else "stage")


def _epochs(stage: StageStatus) -> float | None:
    """Return how many epochs a stage's trials trained; :obj:`None` if that is not known."""
    trials = stage.trials if stage.best is None else (stage.best,)
    return max(map(epochs_of, trials)) or None


def _goodness(trials: tuple[FrozenTrial, ...], direction: str) -> NDArray[np.float64]:
    sign = 1.0 if direction == "maximize" else -1.0
    values = [-math.inf if trial.value is None else sign * trial.value for trial in trials]
    levels, ranks = np.unique(values, return_inverse=True)
    return ranks / max(len(levels) - 1, 1) if len(levels) > 1 else np.ones(len(trials))
