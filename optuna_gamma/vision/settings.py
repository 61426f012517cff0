"""What a training can be set to, and what is refused."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
import math
from typing import Any
from typing import get_args

import numpy as np
from sklearn.utils.class_weight import compute_class_weight
import torch
from torch import Tensor

from optuna_gamma.vision.augmentation import Augmentation
from optuna_gamma.vision.augmentation import crop_reach
from optuna_gamma.vision.data import Dataset


# PyTorch refuses numbers above float32's largest, 3.4e38, and AdamW's first step takes ten times
# the learning rate.
_LARGEST = 1e37


def check_setting(name: str, value: Any) -> None:
    """Refuse a value that no network can be trained with."""
    if name == "dropout" and value is None:  # the network's own
        return
    if name == "batch_size":
        possible, expected = isinstance(value, int) and value >= 1, "an int of at least 1"
    elif not isinstance(value, float | int | np.number):
        possible, expected = False, "a number"
    elif name in ("momentum", "dropout"):
        possible, expected = 0.0 <= float(value) < 1.0, "in [0, 1)"
    else:
        possible = 0.0 <= float(value) <= _LARGEST
        expected = f"finite and not negative, at most {_LARGEST:g}"
    if not possible:
        raise ValueError(f"`{name}` must be {expected}, but got {value!r}.")


def one_of(name: str, value: str, names: Any) -> None:
    """Refuse a name that is not one of a :obj:`~typing.Literal`."""
    if value not in get_args(names):
        known = ", ".join(get_args(names))
        raise ValueError(f"`{name}` must be one of {known}, but got {value!r}.")


def checked_augment(augment: Collection[str], data: Dataset) -> tuple[Augmentation, ...]:
    """Return the random views in a fixed order, or refuse them."""
    if isinstance(augment, str):
        raise ValueError(f"`augment` must be a list such as [{augment!r}], but got {augment!r}.")
    for name in augment:
        one_of("augment", name, Augmentation)
    _, height, width = data.input_shape
    if "crop" in augment and crop_reach(height, width) < 1:
        raise ValueError(
            f"`augment` is {list(augment)}, but images of {height}×{width} are too small to crop: "
            "leave it out."
        )
    return tuple(name for name in get_args(Augmentation) if name in augment)


def loss_weights(
    class_weights: str | Sequence[float] | None, data: Dataset, device: torch.device
) -> Tensor | None:
    """Return the weights of the classes, ``(n_classes,)``, or refuse them."""
    if class_weights is None:
        return None
    if class_weights == "balanced":
        labels = data.train[1].numpy()
        classes = range(data.n_classes)
        weights = compute_class_weight("balanced", classes=np.array(classes), y=labels)
    elif (
        isinstance(class_weights, str)
        or len(class_weights) != data.n_classes
        or not all(0.0 < weight < math.inf for weight in class_weights)
    ):
        raise ValueError(
            f"`class_weights` must be 'balanced', None or {data.n_classes} positive numbers, one "
            f"a class, but got {class_weights!r}."
        )
    else:
        weights = class_weights
    return torch.tensor(weights, dtype=torch.float32, device=device)
