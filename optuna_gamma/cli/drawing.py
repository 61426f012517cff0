"""What is drawn of a run."""

from __future__ import annotations

from typing import get_args

from optuna_gamma.bo.acquisition import Acquisition
from optuna_gamma.cli.options import TrainOptions
from optuna_gamma.sampler import GammaBOSampler


def drawn_sampler(options: TrainOptions | None) -> GammaBOSampler:
    """Return the sampler whose model is to be drawn: the run's own, or else the default one."""
    for acquisition in get_args(Acquisition):
        if options is not None and options.sampler == acquisition:
            return GammaBOSampler(seed=options.seed, acquisition=acquisition)
    return GammaBOSampler(seed=0)
