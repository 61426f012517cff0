"""What tests of training share: a stage in memory, a small network, a space, one training."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from dataclasses import field
import math
from typing import Any

import optuna
from optuna.trial import FixedTrial
from torch import nn

from optuna_gamma.vision import VisionTask


@dataclass
class MemoryStage:
    """A stage that keeps its states in memory."""

    number: int = 0
    seed: int = 7
    parent: Any = None
    saved: list[Any] = field(default_factory=list)

    def load(self) -> Any:
        return self.parent

    def save(self, trial: optuna.trial.BaseTrial, state: Any) -> None:
        self.saved.append(copy.deepcopy(state))


def linear(input_shape: tuple[int, int, int], n_classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), n_classes))


def space_of_lr(trial: optuna.Trial) -> dict[str, float]:
    return {"lr": trial.suggest_float("lr", 1e-3, 0.1, log=True)}


def train_once(task: VisionTask, stage: MemoryStage, lr: float) -> tuple[float, Any]:
    value = task(FixedTrial({"lr": lr}), stage)  # type: ignore[arg-type]
    return value, stage.saved[-1]
