"""The thesis's set-up: images, network, learning rates, objectives, samplers."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from functools import lru_cache
import math
from typing import cast

from optuna.samplers import BaseSampler
from optuna.samplers import RandomSampler
import torch

from optuna_gamma import GammaBOSampler
from optuna_gamma import GammaPrior
from optuna_gamma import kappa
from optuna_gamma.bo.acquisition import Acquisition
from optuna_gamma.vision import load_dataset
from optuna_gamma.vision import VisionTask
from optuna_gamma.vision.data import Dataset


MAX_RATE = 0.5
"""Learning rates are searched in [0, 0.5]."""

INITIAL = 2
"""Trials before the first proposal of a Bayesian method."""

PROPOSALS = 10
"""Proposals after them."""

BATCH_SIZE = 50

WEIGHT_DECAY = 1e-3

LAM = 0.05
"""The thesis does not say which λ it used. This one is ours."""

OBJECTIVES = ("accuracy", "loss", "κ original", "κ improved")

BAYESIAN = ("gaussian", "conjugate", "gamma")
"""Expected improvement of Gaussian predictions, as the thesis has it, and of Student-t ones."""


@dataclass(frozen=True)
class Images:
    """Part of a data set, and the network that is trained on it.

    Args:
        dataset: Name of the data set.
        model: Name of the network.
        n_train: Number of images to train with.
        n_valid: Number of images that choose.
        n_test: Number of images that nothing is chosen by, evenly taken; 0: all there are.
    """

    dataset: str
    model: str
    n_train: int
    n_valid: int
    n_test: int = 0


@lru_cache(maxsize=2)
def _load(images: Images, seed: int) -> Dataset:
    """Load images with brightness in [0, 1].

    The thesis does not say how it scaled them. Both programs that its networks are known from, the
    book's and Keras's, do so, and with images of mean 0 and variance 1 most rates above 0.1
    diverge, which are among those that the thesis chose.
    """
    data = load_dataset(images.dataset, n_train=images.n_train, n_valid=images.n_valid, seed=seed)
    test = data.test
    if images.n_test:
        # The first half of MNIST's test images is easier than the second.
        every = max(len(test[1]) // images.n_test, 1)
        test = test[0][::every][: images.n_test], test[1][::every][: images.n_test]
    std, mean = (torch.tensor(values)[:, None, None] for values in (data.std, data.mean))
    brightest = (data.train[0] * std + mean).max()
    train, valid, test = (
        ((x * std + mean) / brightest, y) for x, y in (data.train, data.valid, test)
    )
    return replace(data, train=train, valid=valid, test=test)


def make_task(images: Images, seed: int, epochs_per_stage: int) -> VisionTask:
    """Make the training of the thesis: SGD, batches of 50, weight decay of 0.001.

    Args:
        images: Images and network.
        seed: What the choice of images depends on.
        epochs_per_stage: Number of epochs of a trial.
    """
    return VisionTask(
        model=images.model,
        data=_load(images, seed),
        space=lambda trial: {"lr": trial.suggest_float("lr", 0.0, MAX_RATE)},
        epochs_per_stage=epochs_per_stage,
        batch_size=BATCH_SIZE,
        weight_decay=WEIGHT_DECAY,
        averaging=None,
    )


def grid(n: int) -> list[float]:
    """List n evenly spaced rates up to the largest, without 0, which learns nothing."""
    return [round(MAX_RATE * i / n, 6) for i in range(1, n + 1)]


def score(objective: str, accuracy: float, loss: float, lam: float = LAM) -> float:
    """Compute the value of a trial, to be maximised.

    Args:
        objective: One of :data:`OBJECTIVES`.
        accuracy: Fraction of correct answers.
        loss: Mean cross-entropy.
        lam: λ of κ.

    Returns:
        The value; NaN if accuracy is NaN, which is what a diverged training has.
    """
    if math.isnan(accuracy):
        return math.nan
    if objective == "accuracy":
        return accuracy
    if objective == "loss":
        return -loss
    if objective == "κ original":
        return kappa(accuracy, loss, lam=lam, variant="original")
    return kappa(accuracy, loss, lam=lam)


def make_sampler(name: str, seed: int, prior: GammaPrior | None = None) -> BaseSampler:
    """Make a sampler by its name in tables.

    Args:
        name: One of :data:`BAYESIAN`; all other names draw at random, if they are asked at all.
        seed: Seed of the sampler.
        prior: Prior of the precision; default: the sampler's.
    """
    if name in BAYESIAN:
        return GammaBOSampler(
            seed=seed,
            acquisition=cast(Acquisition, name),
            prior=prior,
            n_startup_trials=INITIAL,
        )
    return RandomSampler(seed=seed)
