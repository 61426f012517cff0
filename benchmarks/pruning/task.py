"""Real trainings: a perceptron with one hidden layer, trained by SGD with momentum.

A task is small enough to be trained a hundred times in seconds, and no table: every epoch that a
study spends is one of SGD. The seed of a repetition chooses images, split and initial weights;
these are the same for all trials, so that a value depends on the parameters alone.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
import math
from typing import Any
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from sklearn.datasets import load_breast_cancer
from sklearn.datasets import load_digits


EPOCHS = 27
"""Epochs of a trial that is not pruned."""

SPACE: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-3, 1.0, log=True),
    "momentum": FloatDistribution(0.0, 0.99),
    "weight_decay": FloatDistribution(1e-6, 1e-1, log=True),
    "width": IntDistribution(8, 128, log=True),
    "batch_size": IntDistribution(16, 128, log=True),
}

Array = NDArray[np.float32]
Labels = NDArray[np.intp]
Part = tuple[Array, Labels]
"""Inputs (n, d) and labels (n,)."""

Metric = Literal["loss", "error"]


@dataclass(frozen=True)
class Report:
    """What is known after an epoch.

    Args:
        valid: The metric on the validation examples; NaN if training diverged.
        test_error: Computes the share of the test examples that are not recognised, while the
            training is where it is.
    """

    valid: float
    test_error: Callable[[], float]


@dataclass(frozen=True)
class Task:
    """A data set and what is minimised on it.

    Args:
        data: ``"digits"``, ``"breast-cancer"``, or a name that
            :func:`optuna_gamma.vision.load_dataset` knows.
        metric: ``"loss"``: cross-entropy on the validation images; ``"error"``: the share of them
            that is not recognised, which comes in steps.
        n: Number of examples to train with, and of those to choose with; twice as many, or what
            is left, are to test with.
    """

    data: str
    metric: Metric
    n: int

    @property
    def name(self) -> str:
        """Data set and metric."""
        return f"{self.data}, {self.metric}"

    def split(self, seed: int) -> tuple[Part, Part, Part]:
        """Draw examples to train, to choose and to test with; inputs are standardised."""
        x, y = _examples(self.data)
        order = np.random.default_rng(seed).permutation(len(x))[: 4 * self.n]
        x, y = x[order], y[order]
        train = x[: self.n]
        x = (x - train.mean()) / train.std()
        a, b = self.n, 2 * self.n
        return (x[:a], y[:a]), (x[a:b], y[a:b]), (x[b:], y[b:])

    def train(self, params: Mapping[str, Any], seed: int) -> Iterator[Report]:
        """Train epoch by epoch; a diverged training ends with a report of NaN."""
        (x, y), valid, test = _cached_split(self, seed)

        def test_error() -> float:
            return network.evaluate(*test)[1]

        rng = np.random.default_rng(seed)
        network = _Perceptron(rng, x.shape[1], params["width"], int(y.max()) + 1)
        size = params["batch_size"]
        for _ in range(EPOCHS):
            order = rng.permutation(len(x))
            with np.errstate(all="ignore"):
                for start in range(0, len(x), size):
                    chosen = order[start : start + size]
                    network.step(x[chosen], y[chosen], params)
                loss, error = network.evaluate(*valid)
            if not math.isfinite(loss):
                yield Report(math.nan, test_error)
                return
            yield Report(loss if self.metric == "loss" else error, test_error)


class _Perceptron:
    """One hidden layer of rectifiers, with the initialisation of He."""

    def __init__(self, rng: np.random.Generator, d: int, width: int, classes: int) -> None:
        # The first rows of one draw, so that networks of any width begin alike.
        first = rng.standard_normal((128, d), dtype=np.float32)[:width]
        last = rng.standard_normal((128, classes), dtype=np.float32)[:width]
        self._weights: list[Array] = [
            first.T * np.float32(math.sqrt(2.0 / d)),
            np.zeros(width, dtype=np.float32),
            last * np.float32(math.sqrt(2.0 / width)),
            np.zeros(classes, dtype=np.float32),
        ]
        self._speeds: list[Array] = [np.zeros_like(w) for w in self._weights]

    def _forward(self, x: Array) -> tuple[Array, Array]:
        w1, b1, w2, b2 = self._weights
        hidden = np.maximum(x @ w1 + b1, 0.0)
        return hidden, hidden @ w2 + b2

    def step(self, x: Array, y: Labels, params: Mapping[str, Any]) -> None:
        """Take one step of SGD."""
        hidden, scores = self._forward(x)
        delta = np.exp(scores - scores.max(axis=1, keepdims=True))
        delta /= delta.sum(axis=1, keepdims=True)
        delta[np.arange(len(y)), y] -= 1.0
        delta /= np.float32(len(y))
        back = delta @ self._weights[2].T
        back *= hidden > 0.0
        gradients = [x.T @ back, back.sum(axis=0), hidden.T @ delta, delta.sum(axis=0)]
        rate, momentum = np.float32(params["rate"]), np.float32(params["momentum"])
        decay = np.float32(params["weight_decay"])
        for weight, speed, gradient in zip(self._weights, self._speeds, gradients, strict=True):
            speed *= momentum
            speed += gradient + decay * weight
            weight -= rate * speed

    def evaluate(self, x: Array, y: Labels) -> tuple[float, float]:
        """Return cross-entropy and share of errors."""
        scores = self._forward(x)[1].astype(np.float64)
        scores -= scores.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(scores).sum(axis=1))
        loss = float(np.mean(log_sum - scores[np.arange(len(y)), y]))
        return loss, float(np.mean(scores.argmax(axis=1) != y))


@lru_cache(maxsize=1)
def _cached_split(task: Task, seed: int) -> tuple[Part, Part, Part]:
    return task.split(seed)


@lru_cache
def _examples(name: str) -> tuple[Array, Labels]:
    if name == "digits":
        x, y = load_digits(return_X_y=True)
    elif name == "breast-cancer":
        x, y = load_breast_cancer(return_X_y=True)
        x = (x - x.mean(axis=0)) / x.std(axis=0)
    else:
        # Imported late: it takes seconds.
        from optuna_gamma.vision import load_dataset

        images, labels = load_dataset(name).train
        x, y = images.numpy().reshape(len(images), -1), labels.numpy()
    return np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.intp)
