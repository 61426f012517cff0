"""Which finished runs still hold."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
import hashlib
from importlib.metadata import version as package_version
from typing import cast

import optuna
from optuna.trial import FixedTrial
import torch
from torch.nn import functional as F

from benchmarks.thesis.jobs import OnlyStage
from benchmarks.thesis.setting import BAYESIAN
from benchmarks.thesis.setting import make_sampler
from optuna_gamma.staged import Stage
from optuna_gamma.vision import load_dataset
from optuna_gamma.vision import VisionTask


@lru_cache
def version() -> str:
    """Hash what two tiny trainings and three short studies come to, with the libraries' versions.

    Not the sources: hours of training need no repetition because a sentence was changed.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as where the runs are
    try:
        seen = [*map(_train, ("deep-conv", "keras-cifar")), *map(_search, BAYESIAN)]
    finally:
        torch.set_num_threads(threads)
    digest = hashlib.sha256(repr(seen).encode()).hexdigest()[:6]
    return f"torch-{package_version('torch')}+optuna-{package_version('optuna')}+{digest}"


def _train(model: str) -> str:
    data = load_dataset("digits", n_train=100, n_valid=50)
    # Keras's network takes no images as small as these.
    train, valid = ((F.interpolate(x, scale_factor=2), y) for x, y in (data.train, data.valid))
    data = replace(data, train=train, valid=valid)
    task = VisionTask(
        model=model,
        data=data,
        space=lambda trial: {"lr": trial.suggest_float("lr", 0.0, 1.0)},
        device="cpu",
    )
    trial = FixedTrial({"lr": 0.05})
    task(cast(optuna.Trial, trial), cast(Stage, OnlyStage(0)))
    return f"{trial.user_attrs['loss']:.3f}"


def _search(sampler: str) -> str:
    study = optuna.create_study(study_name="version", sampler=make_sampler(sampler, 0))
    for _ in range(6):
        trial = study.ask()
        study.tell(trial, (trial.suggest_float("x", 0.0, 1.0) - 0.3) ** 2)
    return " ".join(f"{trial.params['x']:.2f}" for trial in study.trials)
