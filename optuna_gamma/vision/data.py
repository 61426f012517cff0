"""Image data sets as tensors, with training, validation and test images kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Sized
from dataclasses import dataclass
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
import torch
from torch import Tensor
from torch.utils import data

from optuna_gamma.vision.sources import Arrays
from optuna_gamma.vision.sources import data_root
from optuna_gamma.vision.sources import own_images
from optuna_gamma.vision.sources import PATH_SOURCES
from optuna_gamma.vision.sources import SOURCES


_MAX_VALID = 5_000
"""Validation images of a large data set: an accuracy of 99 % is then known to 0.14 %."""


@dataclass(frozen=True)
class Dataset:
    """Images and labels, ready to train with.

    Images are float32 of shape ``(n, channels, height, width)``, normalised to mean 0 and
    standard deviation 1 per channel over the training images; labels are int64 of shape ``(n,)``
    in ``0 .. n_classes - 1``. Build one with :func:`load_dataset` or :func:`create_dataset`.

    Attributes:
        name: What :func:`load_dataset` was asked for, or :func:`create_dataset` was told.
        train: Images and labels to train with.
        valid: Images and labels to compare candidates by.
        test: Images and labels for the final report. Nothing is ever chosen by them.
        classes: The label in the source for each class.
        mean: Mean of the training images, for each channel, before they were normalised.
        std: Their standard deviation. Like ``mean`` it is of brightness in [0, 1] if the source
            has bytes, else of the source's numbers.
        digest: SHA-256 of images, labels and split: equal digests are equal data.
    """

    name: str
    train: tuple[Tensor, Tensor]
    valid: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train[0].shape[1:]
        return channels, height, width

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)


def load_dataset(
    name: str,
    root: str | os.PathLike[str] | None = None,
    n_train: int | None = None,
    n_valid: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Load a data set and split it into training, validation and test images.

    Validation images are taken from the source's training images, never from its test images.
    Both subsets keep the source's shares of the classes and depend on ``seed`` alone; the test
    images are always the same.

    Args:
        name: ``"digits"`` (1,797 images of 8×8, part of scikit-learn), ``"mnist"``,
            ``"fashion-mnist"`` (70,000 images of 28×28, downloaded when first used),
            ``"cifar10"`` (60,000 colour images of 32×32, downloaded when first used, or read from
            ``cifar10.npz`` in ``root``), or one of

            - ``"npz:PATH"``: a file in the convention of Keras with the arrays ``x_train``,
              ``y_train``, ``x_test`` and ``y_test``, images as ``(n, height, width)`` or
              ``(n, height, width, channels)``. It may also have ``classes``, the names of the
              labels in sorted order.
            - ``"folder:PATH"``: image files in the layout of torchvision's ``ImageFolder``,
              ``PATH/train/CLASS/IMAGE`` and ``PATH/test/CLASS/IMAGE``; or ``PATH/CLASS/IMAGE``
              alone, of which a fifth is kept for the test, always the same. All must have one
              size; they are grey if all files are, else colour without transparency.
        root: Folder of the downloaded data sets. Default: the environment variable
            ``OPTUNA_GAMMA_DATA``, else ``optuna-gamma`` in the user's cache folder.
        n_train: Number of images to train with. Default: all that validation leaves.
        n_valid: Number of images to validate with. Default: a sixth of the source's training
            images, but at most 5,000 and at most twice ``n_train``.
        seed: Seed of the split.

    Returns:
        The data set on the CPU.

    Raises:
        ValueError: If the name is unknown, the arrays are not images and labels, or there are
            too few images for ``n_train`` and ``n_valid``.
        FileNotFoundError: If the data is not there and cannot be downloaded. The message says
            how to get it.

    Example:
        >>> data = load_dataset("digits", n_train=500)
        >>> data.train[0].shape, data.valid[0].shape, data.test[0].shape
        (torch.Size([500, 1, 8, 8]), torch.Size([239, 1, 8, 8]), torch.Size([360, 1, 8, 8]))
        >>> data.input_shape, data.n_classes
        ((1, 8, 8), 10)
    """
    kind, _, path = name.partition(":")
    if name in SOURCES:
        arrays = SOURCES[name](data_root(root))
    elif kind in PATH_SOURCES and path:
        arrays = PATH_SOURCES[kind](Path(path).expanduser())
    else:
        known = ", ".join([*SOURCES, *(f"{kind}:PATH" for kind in PATH_SOURCES)])
        raise ValueError(f"Unknown data set {name!r}; known are {known}.")
    return _split(name, arrays, n_train, n_valid, seed)


Source = tuple[Tensor, Tensor] | data.Dataset[Any]


def create_dataset(
    *,
    train: Source,
    test: Source,
    valid: Source | None = None,
    n_train: int | None = None,
    n_valid: int | None = None,
    classes: Sequence[str] | None = None,
    name: str = "own",
    seed: int = 0,
) -> Dataset:
    """Make a data set of images you have.

    They are checked, split and normalised as by :func:`load_dataset`, and copied into memory once.

    Args:
        train: Images and labels to train with, and to take validation images from if there is no
            ``valid``. Either a pair of tensors, images ``(n, channels, height, width)`` or
            ``(n, height, width)``, of bytes or of floats, and integer labels ``(n,)``; or any
            :class:`torch.utils.data.Dataset` that knows its length and has items (image, label):
            tensors ``(channels, height, width)``, Pillow images or arrays
            ``(height, width, channels)``, all of one shape. Each item is read once, so that random
            transforms would be frozen: give those to :class:`VisionTask`.
        test: Images and labels for the final report.
        valid: Images and labels to compare candidates by.
        n_train: As for :func:`load_dataset`; only without ``valid``.
        n_valid: As for :func:`load_dataset`; only without ``valid``.
        classes: Names of the labels in sorted order. Default: the labels.
        name: Name of the data set.
        seed: Seed of the split.

    Raises:
        TypeError: If the data is of another kind.
        ValueError: If it is not images and labels, there are too few of them, or most images of
            one part are also in another.

    Example:
        >>> images, labels = torch.rand(60, 3, 16, 16), torch.arange(60) % 2
        >>> pair = images[:50], labels[:50]
        >>> data = create_dataset(train=pair, test=(images[50:], labels[50:]), n_valid=10)
        >>> data.input_shape, data.n_classes, len(data.train[0])
        ((3, 16, 16), 2, 40)
    """
    x_train, y_train = own_images(train, "train")
    x_test, y_test = own_images(test, "test")
    _refuse_leak("train", x_train, "test", x_test)
    chosen = None
    if valid is not None:
        if n_train is not None or n_valid is not None:
            raise ValueError(
                f"`n_train` is {n_train} and `n_valid` {n_valid}, but they split `train`, and "
                "`valid` was given: leave them out."
            )
        x_valid, y_valid = own_images(valid, "valid")
        _refuse_leak("train", x_train, "valid", x_valid)
        _refuse_leak("valid", x_valid, "test", x_test)
        if x_valid.shape[1:] != x_train.shape[1:] or x_valid.dtype != x_train.dtype:
            raise ValueError(
                f"Training and validation images must be alike, but they are {x_train.dtype} of "
                f"shape {x_train.shape[1:]} and {x_valid.dtype} of {x_valid.shape[1:]} (height, "
                "width, channels)."
            )
        chosen = np.split(np.arange(len(x_train) + len(x_valid)), [len(x_train)])
        x_train, y_train = np.concatenate([x_train, x_valid]), np.concatenate([y_train, y_valid])
    arrays = Arrays(x_train, y_train, x_test, y_test, classes)
    return _split(name, arrays, n_train, n_valid, seed, chosen)


def _refuse_leak(name: str, images: NDArray[Any], other: str, others: NDArray[Any]) -> None:
    """Refuse data that was given twice; single images are twice in good data sets too."""
    known = {hashlib.sha256(image.tobytes()).digest() for image in images}
    shared = sum(hashlib.sha256(image.tobytes()).digest() in known for image in others)
    if shared > len(others) / 2:
        raise ValueError(
            f"{shared} of the {len(others)} images of `{other}` are also in `{name}`: scores on "
            "them would say nothing. Give images that were kept apart."
        )


def _split(
    name: str,
    arrays: Arrays,
    n_train: int | None,
    n_valid: int | None,
    seed: int,
    chosen: Sequence[NDArray[np.int64]] | None = None,
) -> Dataset:
    """Check, split and normalise a source's arrays.

    ``chosen`` are the indices of the training and of the validation images, if that is settled.
    """
    x, x_test = _images(arrays.x_train, "x_train"), _images(arrays.x_test, "x_test")
    if x.shape[1:] != x_test.shape[1:]:
        raise ValueError(
            f"Training and test images of {name!r} must have the same shape, but they are "
            f"{arrays.x_train.shape[1:]} and {arrays.x_test.shape[1:]}."
        )
    if (x.dtype == np.uint8) != (x_test.dtype == np.uint8):
        raise ValueError(
            f"Training and test images of {name!r} must both be bytes or neither, because bytes "
            f"are divided by 255, but their types are {x.dtype} and {x_test.dtype}."
        )
    labels, y = np.unique(_labels(arrays.y_train, len(x), "y_train"), return_inverse=True)
    y_test = _labels(arrays.y_test, len(x_test), "y_test")
    if isinstance(arrays.classes, str) or not isinstance(arrays.classes, Sized | None):
        raise ValueError(
            f"The names of the classes of {name!r} must be a list, one a class, but they are "
            f"{arrays.classes!r}."
        )
    if arrays.classes is not None and len(arrays.classes) != len(labels):
        raise ValueError(
            f"{name!r} has {len(labels)} different training labels, but names "
            f"{len(arrays.classes)} classes."
        )
    if len(labels) < 2:
        raise ValueError(
            f"There must be at least two classes, but all training labels of {name!r} are "
            f"{labels[0].item()!r}."
        )
    if chosen is None:
        chosen = _choose(y, labels, n_train, n_valid, seed)
    train, valid = chosen
    if (y_test.dtype.kind == "U") != (labels.dtype.kind == "U"):
        raise ValueError(
            f"Training and test labels of {name!r} must both be integers or both strings, but "
            f"their types are {labels.dtype} and {y_test.dtype}."
        )
    for kind, others in (("Validation", labels[y[valid]]), ("Test", y_test)):
        unknown = np.setdiff1d(others, labels[y[train]])
        if len(unknown) > 0:
            raise ValueError(
                f"{kind} label {unknown[0].item()!r} of {name!r} has no training image."
            )
    y_test = np.searchsorted(labels, y_test)

    digest = hashlib.sha256()
    for array in (arrays.x_train, y, arrays.x_test, y_test, train, valid):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)

    images = _to_float(x[train])
    std, mean = torch.std_mean(images, dim=(0, 2, 3), correction=0, keepdim=True)
    std[std == 0] = 1.0
    return Dataset(
        name=name,
        train=(images.sub_(mean).div_(std), torch.from_numpy(y[train])),
        valid=(_to_float(x[valid]).sub_(mean).div_(std), torch.from_numpy(y[valid])),
        test=(_to_float(x_test).sub_(mean).div_(std), torch.from_numpy(y_test)),
        classes=tuple(map(str, labels if arrays.classes is None else arrays.classes)),
        mean=tuple(mean.flatten().tolist()),
        std=tuple(std.flatten().tolist()),
        digest=digest.hexdigest(),
    )


def _images(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Return images as ``(n, channels, height, width)``."""
    if array.ndim == 3:
        array = array[..., None]
    if array.size == 0:
        raise ValueError(f"{name} must hold images, but its shape is {array.shape}.")
    if array.dtype.kind not in "buif":
        raise ValueError(f"{name} must hold finite numbers, but its type is {array.dtype}.")
    if array.dtype.kind == "f":
        finite = np.isfinite(_as_float32(array)).reshape(len(array), -1).all(axis=1)
        if n_bad := int((~finite).sum()):
            raise ValueError(
                f"{name} must hold finite numbers, but {n_bad} of its {len(array)} images have "
                "NaN or infinite pixels, or some above float32's largest, 3.4e38: leave them out, "
                "or mend them."
            )
    return np.moveaxis(array, -1, 1)


def _labels(array: NDArray[Any], n: int, name: str) -> NDArray[Any]:
    """Return labels as ``(n,)``."""
    if array.shape not in ((n,), (n, 1)) or array.dtype.kind not in "buiU":
        raise ValueError(
            f"{name} must hold {n} labels, one an image, as integers or strings, but its shape "
            f"is {array.shape} and its type {array.dtype}."
        )
    return array.reshape(n)


def _choose(
    y: NDArray[np.int64],
    labels: NDArray[Any],
    n_train: int | None,
    n_valid: int | None,
    seed: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of the training and of the validation images."""
    for name, given, least in (
        ("n_train", n_train, 1),
        ("n_valid", n_valid, 1),
        ("seed", seed, 0),
    ):
        if given is None:
            continue
        if isinstance(given, bool) or not isinstance(given, int) or given < least:
            raise ValueError(f"`{name}` must be an int of at least {least}, but got {given!r}.")
    counts = np.bincount(y)
    if counts.min() < 2:
        raise ValueError(
            "The classes must have two training images each, but there is only one of label "
            f"{labels[counts.argmin()].item()!r}."
        )
    if n_valid is None:
        n_valid = min(len(y) // 6, _MAX_VALID)
        if n_train is not None:
            n_valid = min(n_valid, 2 * n_train, max(len(y) - n_train, len(labels)))
    if n_train is None:
        n_train = len(y) - n_valid
    if min(n_train, n_valid) < len(labels) or n_train + n_valid > len(y):
        raise ValueError(
            f"Cannot take {n_train} images to train and {n_valid} to validate with from "
            f"{len(y)}: each must be at least the number of classes, {len(labels)}, and both "
            f"together at most {len(y)}."
        )
    train, valid = train_test_split(
        np.arange(len(y)), train_size=n_train, test_size=n_valid, stratify=y, random_state=seed
    )
    return train, valid


def _to_float(images: NDArray[Any]) -> Tensor:
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    return torch.from_numpy(_as_float32(images)).div_(scale)


def _as_float32(images: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return images.astype(np.float32, order="C")
