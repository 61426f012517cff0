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
from benchmarks.thesis.jobs import Search
from benchmarks.thesis.jobs import StagedRun
from benchmarks.thesis.jobs import Trainings
from benchmarks.thesis.setting import BAYESIAN
from benchmarks.thesis.setting import grid
from benchmarks.thesis.setting import Images
from optuna_gamma.staged import Stage
from optuna_gamma.vision import load_dataset
from optuna_gamma.vision import VisionTask


_TINY = Images("digits", "deep-conv", n_train=100, n_valid=50, n_test=50)


@lru_cache
def version() -> str:
    """Hash what some tiny runs come to, with the versions of the libraries.

    Not the sources: an hour of training need not be repeated because a sentence was changed.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as where the runs are
    try:
        staged = StagedRun(_TINY, "gamma", "κ improved", trials=3, reported=(2,), seed=0).run()
        trained = Trainings(_TINY, 1, 0, (0.05,)).run()["trainings"][0]
        losses = [staged["stages"][0]["test"]["loss"], trained[1], _train_keras_cifar()]
        seen = [*(f"{loss:.3f}" for loss in losses), *map(_search, BAYESIAN)]
    finally:
        torch.set_num_threads(threads)
    digest = hashlib.sha256(repr(seen).encode()).hexdigest()[:6]
    return f"torch-{package_version('torch')}+optuna-{package_version('optuna')}+{digest}"


def _train_keras_cifar() -> float:
    data = load_dataset("digits", n_train=100, n_valid=50)
    # The network takes no images as small as these.
    train, valid = ((F.interpolate(x, scale_factor=2), y) for x, y in (data.train, data.valid))
    task = VisionTask(
        model="keras-cifar",
        data=replace(data, train=train, valid=valid),
        space=lambda trial: {"lr": trial.suggest_float("lr", 0.0, 1.0)},
        device="cpu",
    )
    trial = FixedTrial({"lr": 0.05})
    task(cast(optuna.Trial, trial), cast(Stage, OnlyStage(0)))
    return float(trial.user_attrs["loss"])


def _search(sampler: str) -> str:
    rates = grid(50)
    table = {rate: (0.9 - abs(rate - 0.2), 1.0, 0.9, 1.0) for rate in rates}
    search = Search(_TINY, 1, 0, len(rates), sampler, "accuracy", repetition=0, trials=8)
    return repr(search.run(table)["rates"])
