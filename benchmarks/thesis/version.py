"""Which finished runs still hold."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import cast

import optuna
from optuna.trial import FixedTrial
from torch.nn import functional as F

from benchmarks.thesis.jobs import OnlyStage
from benchmarks.thesis.jobs import Search
from benchmarks.thesis.jobs import StagedRun
from benchmarks.thesis.jobs import Trainings
from benchmarks.thesis.setting import BAYESIAN
from benchmarks.thesis.setting import grid
from benchmarks.thesis.setting import Images
from benchmarks.version import version_of
from optuna_gamma.staged import Stage
from optuna_gamma.vision import load_dataset
from optuna_gamma.vision import VisionTask


_TINY = Images("digits", "deep-conv", n_train=100, n_valid=50, n_test=50)


@lru_cache
def version() -> str:
    """Return the version of the results that runs have now."""
    return version_of(_tiny_runs)


def _tiny_runs() -> list[str]:
    staged = StagedRun(_TINY, "gamma", "κ improved", trials=3, reported=(2,), seed=0).run()
    trained = Trainings(_TINY, 1, 0, (0.05,)).run()["trainings"][0]
    losses = [staged["stages"][0]["test"]["loss"], trained[1], _train_keras_cifar()]
    return [*(f"{loss:.3f}" for loss in losses), *map(_search, BAYESIAN)]


def _train_keras_cifar() -> float:
    data = load_dataset("digits", n_train=100, n_valid=50)
    # The network takes no images as small as these.
    train, valid = ((F.interpolate(x, scale_factor=2), y) for x, y in (data.train, data.valid))
    task = VisionTask(
        model="keras-cifar",
        data=replace(data, train=train, valid=valid),
        space=lambda trial: {"lr": trial.suggest_float("lr", 0.0, 1.0)},
        epochs_per_stage=1,
        averaging=None,
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
