"""What a sampler may know before a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Setting:
    """What a sampler may know before a run.

    Args:
        space: Parameters and their ranges.
        seed: Seed of the study.
        trials: Number of trials that there will be.
    """

    space: Mapping[str, BaseDistribution]
    seed: int
    trials: int
