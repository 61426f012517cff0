"""A learned schedule as a learning rate scheduler of PyTorch. Importing this imports torch."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class StagedLR(LRScheduler):
    """Sets the learning rate of each stage for as many epochs as the stage had.

    After the last stage its rate stays.

    Args:
        optimizer: The optimizer; all its parameter groups get the same rate.
        rates: Learning rate of each stage.
        epochs: Epochs of each stage.
    """

    def __init__(
        self, optimizer: Optimizer, rates: Sequence[float], epochs: Sequence[int]
    ) -> None:
        self.rates = list(rates)
        self.ends = list(accumulate(epochs))
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        """Return the rate of the current epoch, for each parameter group."""
        stage = min(bisect_right(self.ends, self.last_epoch), len(self.rates) - 1)
        return [self.rates[stage] for _ in self.optimizer.param_groups]
