"""Averages of a network's weights over the steps of a training."""

from __future__ import annotations

from collections.abc import Iterable
import copy
from typing import Literal

import torch
from torch import nn
from torch import Tensor
from torch.optim.swa_utils import get_swa_multi_avg_fn
from torch.optim.swa_utils import update_bn


Averaging = Literal["tail"]


class TailAverage:
    """The mean of the weights after each step of a training's second half.

    The training is not changed by it. Statistics of batch normalisation are not averaged, because
    those of the mean weights are others: they are measured anew.

    Args:
        model: The network that is trained.
        n_steps: Number of steps T of the training. Averaged are the weights after the steps
            T // 2 + 1 to T.

    Reference:
        P. Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization"
        (SWA), UAI 2018, there with the weights after each epoch; tail averaging: P. Jain et al.,
        "Parallelizing Stochastic Gradient Descent for Least Squares Regression", JMLR 18, 2018.
    """

    def __init__(self, model: nn.Module, n_steps: int) -> None:
        self.trained = model
        self._average = copy.deepcopy(model)
        self._average_in = get_swa_multi_avg_fn()
        self._n_left_out = n_steps // 2
        self._n_seen = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights in that a step has come to."""
        self._n_seen += 1
        if self._n_seen <= self._n_left_out:
            return
        means, weights = list(self._average.parameters()), list(self.trained.parameters())
        # PyTorch's AveragedModel does the same, but keeps the count in a tensor on the CPU, for
        # which a GPU is waited for at each step.
        if n_averaged := self._n_seen - self._n_left_out - 1:
            self._average_in(means, weights, n_averaged)
        else:
            _copy(means, weights)

    def model(self, batches: Iterable[tuple[Tensor, Tensor]]) -> nn.Module:
        """Return the network with the mean weights so far, or as it is if there are none yet.

        Args:
            batches: Pairs that begin with training images, ``(b, channels, height, width)``, to
                measure the statistics of batch normalisation with. Not looked at without it.
        """
        if self._n_seen <= self._n_left_out:
            return self.trained
        _copy(self._average.buffers(), self.trained.buffers())
        update_bn(batches, self._average)
        return self._average


def _copy(to: Iterable[Tensor], these: Iterable[Tensor]) -> None:
    for here, there in zip(to, these, strict=True):
        here.copy_(there)
