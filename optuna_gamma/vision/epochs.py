"""How long a trial trains where nobody says it."""

from __future__ import annotations

from collections.abc import Sequence
import math


# What a rate gains in a short stage is mostly that it does not shake the weights: the best one
# looks small, and the network starves (Wu et al., ICLR 2018).
_STEPS = 250

_TRAIN_ON = 3
"""How many times the epochs of a search the stage after it trains on for."""


def default_epochs(
    n_train: int, batch_size: int, n_trials: int | Sequence[int] = (6, 1)
) -> int | tuple[int, ...]:
    """Return the epochs of a trial: one number, or as many as ``n_trials`` has.

    A stage that searches is given the epochs that make 250 steps, one that trains on, having a
    single trial, three times as many as all trials of the search before it. The first stage has
    nothing to train on: its epochs are a search's, also of a single trial, and also when it is
    its turn again.

    >>> [default_epochs(250, 10, n_trials) for n_trials in (6, (6, 1), (6, 1, 1), (1, 6))]
    [10, (10, 180), (10, 180, 180), (10, 10)]

    Args:
        n_train: Number of training images.
        batch_size: Number of images in a batch.
        n_trials: Trials of each stage, as for
            :meth:`~optuna_gamma.staged.StagedStudy.optimize`.
    """
    epochs = math.ceil(_STEPS / math.ceil(n_train / batch_size))
    if isinstance(n_trials, int):
        return epochs
    found, searched = [epochs], n_trials[0]
    for n in n_trials[1:]:
        found.append(epochs if n > 1 else _TRAIN_ON * epochs * searched)
        searched = n if n > 1 else searched
    return tuple(found)
