"""Where all methods train: one network, one loop, one count of what was spent."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
from functools import lru_cache
from itertools import islice
import math
from typing import NamedTuple

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel
from torch.optim.swa_utils import get_swa_multi_avg_fn

from optuna_gamma.vision import create_model
from optuna_gamma.vision import load_dataset
from optuna_gamma.vision.data import Dataset
from optuna_gamma.vision.trainer import n_batches
from optuna_gamma.vision.trainer import predict
from optuna_gamma.vision.trainer import random_numbers
from optuna_gamma.vision.trainer import shuffled_batches
from optuna_gamma.vision.trainer import to_device


CPU = torch.device("cpu")
BATCH_SIZE = 50
WEIGHT_DECAY = 1e-3
MIN_RATE, MAX_RATE = 1e-3, 0.5
"""Learning rates are searched on a logarithmic scale, and SGD has no momentum."""

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Problem:
    """Part of a data set, a network, and how long a training is.

    Args:
        dataset: Name of the data set.
        n_train: Number of images to train with; 0: all that validation leaves.
        n_valid: Number of images that choose.
        n_test: Number of images that nothing is chosen by, evenly taken; 0: all there are.
        epochs: Number of epochs of one training, which is what a budget counts.
        model: Name of the network; it must have no batch normalisation.
    """

    dataset: str
    n_train: int
    n_valid: int
    n_test: int
    epochs: int
    model: str = "deep-conv"

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"{self.dataset}-{self.n_train or 'all'}"


class Score(NamedTuple):
    """Mean cross-entropy in nats and fraction of correct answers."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class State:
    """A network somewhere in its training.

    Args:
        step: Number of steps taken since the first weights.
        model: Weights as trained.
        averaged: Mean of the weights after each step since averaging began, if it has.
        n_averaged: Number of weights in the mean.
        losses: Training losses of the last segment's steps.
    """

    step: int
    model: Weights
    averaged: Weights | None
    n_averaged: int
    losses: tuple[float, ...]


@dataclass(frozen=True)
class Candidate:
    """A finished training, scored on the validation images.

    Args:
        rates: Learning rates that it was made with; of a schedule with a shape, the highest.
        weights: Of ``"raw"`` weights, as trained, and of ``"averaged"`` ones.
        valid: Their scores.
    """

    rates: tuple[float, ...]
    weights: dict[str, Weights]
    valid: dict[str, Score]


KINDS = ("raw", "averaged")


class Lab:
    """Trains for a method and counts the steps, of search and of training alike.

    Args:
        problem: What is trained.
        seed: What the choice of images depends on.
    """

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem = problem
        self._data = _load(problem, seed)
        self._scorer = self._create_model()
        self.epoch_steps = n_batches(self._scorer, len(self._data.train[0]), BATCH_SIZE)
        self.training_steps = self.epoch_steps * problem.epochs
        self.spent = 0

    @property
    def epochs(self) -> float:
        """Number of epochs spent so far."""
        return self.spent / self.epoch_steps

    def train(
        self,
        state: State | None,
        rate: Callable[[int], float],
        n_steps: int,
        seed: int,
        average_after: int,
    ) -> State:
        """Train a segment by plain SGD.

        Args:
            state: Where it begins; it is not changed. ``None``: fresh weights.
            rate: From the number of steps since the first weights to the learning rate.
            n_steps: Number of steps.
            seed: Seed of fresh weights, batches and dropout.
            average_after: Number of steps since the first weights after which averaging begins
                anew. A mean that had begun then goes on.
        """
        with random_numbers(seed, CPU):
            model = self._create_model()
            average = AveragedModel(model, multi_avg_fn=get_swa_multi_avg_fn())
            if state is not None:
                model.load_state_dict(state.model)
                if state.averaged is not None:
                    average.module.load_state_dict(state.averaged)
                    average.n_averaged.fill_(state.n_averaged)
            first = 0 if state is None else state.step
            optimizer = torch.optim.SGD(model.parameters(), 1.0, weight_decay=WEIGHT_DECAY)
            losses = []
            batches = islice(self._batches(model), n_steps)
            for step, (images, labels) in enumerate(batches, start=first):
                optimizer.param_groups[0]["lr"] = rate(step)
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(float(loss.detach()))
                if step == average_after:
                    average.n_averaged.zero_()
                if step >= average_after:
                    average.update_parameters(model)
        self.spent += n_steps
        n_averaged = int(average.n_averaged)
        return State(
            first + n_steps,
            model.state_dict(),
            average.module.state_dict() if n_averaged else None,
            n_averaged,
            tuple(losses),
        )

    def validate(self, weights: Weights) -> Score:
        """Score weights on the validation images, by which everything is chosen."""
        return self._score(weights, self._data.valid)

    def test(self, weights: Weights) -> Score:
        """Score weights on the test images, by which nothing is."""
        return self._score(weights, self._data.test)

    def candidate(self, state: State, rates: tuple[float, ...]) -> Candidate:
        """Score a finished training; one that diverged has a loss that is not a number."""
        weights = {"raw": state.model, "averaged": state.averaged or state.model}
        return Candidate(rates, weights, {k: self.validate(w) for k, w in weights.items()})

    def _batches(self, model: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
        images, labels = self._data.train
        while True:
            model.train()
            for views, batch in shuffled_batches(model, images, BATCH_SIZE, ()):
                yield views, labels[batch]

    def _create_model(self) -> nn.Module:
        data = self._data
        model = create_model(self._problem.model, data.input_shape, data.n_classes)
        return to_device(model, CPU)

    def _score(self, weights: Weights, split: tuple[Tensor, Tensor]) -> Score:
        images, labels = split
        self._scorer.load_state_dict(weights)
        logits = predict(self._scorer, images)
        loss = float(F.cross_entropy(logits, labels))
        accuracy = float((logits.argmax(1) == labels).double().mean())
        return Score(loss if math.isfinite(loss) else math.nan, accuracy)


@lru_cache(maxsize=2)
def _load(problem: Problem, seed: int) -> Dataset:
    data = load_dataset(
        problem.dataset, n_train=problem.n_train or None, n_valid=problem.n_valid, seed=seed
    )
    if not problem.n_test:
        return data
    # The first half of MNIST's test images is easier than the second.
    images, labels = data.test
    every = max(len(labels) // problem.n_test, 1)
    return replace(
        data, test=(images[::every][: problem.n_test], labels[::every][: problem.n_test])
    )
