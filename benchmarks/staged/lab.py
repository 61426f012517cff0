"""Where all methods train: one network, one loop, one count of what was spent."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
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

from optuna_gamma import kappa
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
        held_out: Number of training images that take the place of the test images, where
            something is chosen by the results.
    """

    dataset: str
    n_train: int
    n_valid: int
    n_test: int
    epochs: int
    model: str = "deep-conv"
    held_out: int = 0

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"{self.dataset}-{self.n_train or 'all'}"


class Score(NamedTuple):
    """Mean cross-entropy in nats, not a number if training diverged, and accuracy."""

    loss: float
    accuracy: float

    @property
    def kappa(self) -> float:
        """κ, by which everything is chosen; minus infinity if training diverged."""
        return -math.inf if math.isnan(self.loss) else kappa(self.accuracy, self.loss)


class Mean(NamedTuple):
    """Mean of the weights after each of so many steps."""

    weights: Weights
    n_steps: int


@dataclass(frozen=True)
class State:
    """A network somewhere in its training.

    Args:
        step: Number of steps taken since the first weights.
        model: Weights as trained.
        means: Means of the weights after each step since, by the number of steps before they
            began; only those that have begun.
    """

    step: int
    model: Weights
    means: Mapping[int, Mean]


@dataclass(frozen=True)
class Candidate:
    """A finished training, scored on the validation images.

    Args:
        rates: Learning rates that it was made with; of a schedule with a shape, the highest.
        weights: Of ``"raw"`` weights, as trained, and of ``"averaged"`` ones: of the means of the
            state the one that is best on the validation images.
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
        average_after: Sequence[int],
    ) -> State:
        """Train a segment by plain SGD.

        Args:
            state: Where it begins; it is not changed. ``None``: fresh weights.
            rate: From the number of steps since the first weights to the learning rate.
            n_steps: Number of steps.
            seed: Seed of fresh weights, batches and dropout.
            average_after: Numbers of steps since the first weights after which means begin. Those
                that the state has go on.
        """
        with random_numbers(seed, CPU):
            model = self._create_model()
            if state is not None:
                model.load_state_dict(state.model)
            first = 0 if state is None else state.step
            begun: Mapping[int, Mean] = {} if state is None else state.means
            averages = {after: _average(model, begun.get(after)) for after in average_after}
            optimizer = torch.optim.SGD(model.parameters(), 1.0, weight_decay=WEIGHT_DECAY)
            batches = islice(self._batches(model), n_steps)
            for step, (images, labels) in enumerate(batches, start=first):
                optimizer.param_groups[0]["lr"] = rate(step)
                loss = F.cross_entropy(model(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                for after, average in averages.items():
                    if step >= after:
                        average.update_parameters(model)
        self.spent += n_steps
        means = {
            after: Mean(average.module.state_dict(), int(average.n_averaged))
            for after, average in averages.items()
            if average.n_averaged > 0
        }
        return State(first + n_steps, model.state_dict(), means)

    def validate(self, weights: Weights) -> Score:
        """Score weights on the validation images, by which everything is chosen."""
        return self._score(weights, self._data.valid)

    def test(self, weights: Weights) -> Score:
        """Score weights on the test images, by which nothing is."""
        return self._score(weights, self._data.test)

    def candidate(self, state: State, rates: tuple[float, ...]) -> Candidate:
        """Score a finished training."""
        means = [mean.weights for mean in state.means.values()] or [state.model]
        scores = [self.validate(weights) for weights in means]
        best = max(range(len(means)), key=lambda i: scores[i].kappa)
        return Candidate(
            rates,
            {"raw": state.model, "averaged": means[best]},
            {"raw": self.validate(state.model), "averaged": scores[best]},
        )

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


def windows(n_steps: int) -> tuple[int, ...]:
    """Return after which steps of a training means begin: its last half, quarter and eighth."""
    return tuple(n_steps - n_steps // part for part in (2, 4, 8))


def _average(model: nn.Module, begun: Mean | None) -> AveragedModel:
    average = AveragedModel(model, multi_avg_fn=get_swa_multi_avg_fn())
    if begun is not None:
        average.module.load_state_dict(begun.weights)
        average.n_averaged.fill_(begun.n_steps)
    return average


@lru_cache(maxsize=2)
def _load(problem: Problem, seed: int) -> Dataset:
    data = load_dataset(
        problem.dataset,
        n_train=problem.n_train or None,
        n_valid=problem.n_valid + problem.held_out,
        seed=seed,
    )
    if problem.held_out:
        images, labels = data.valid
        n = problem.n_valid
        return replace(data, valid=(images[:n], labels[:n]), test=(images[n:], labels[n:]))
    if not problem.n_test:
        return data
    # The first half of MNIST's test images is easier than the second.
    images, labels = data.test
    every = max(len(labels) // problem.n_test, 1)
    return replace(
        data, test=(images[::every][: problem.n_test], labels[::every][: problem.n_test])
    )
