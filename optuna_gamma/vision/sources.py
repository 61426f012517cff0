"""Where images come from: one function a source, which returns its images and labels as they are.

To add a source, write its function and name it in ``SOURCES`` (a fixed name) or ``PATH_SOURCES``
(a name followed by ``:PATH``). Splitting, checking and normalising are done for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from collections.abc import Sized
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
import operator
import os
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torch.utils.data import TensorDataset
from torchvision import datasets


DATA_VARIABLE = "OPTUNA_GAMMA_DATA"
"""The environment variable that names the folder of the data sets."""


@dataclass(frozen=True)
class Arrays:
    """A data set as its source has it.

    Attributes:
        x_train: Images, ``(n, height, width)`` or ``(n, height, width, channels)``.
        y_train: Labels, ``(n,)`` or ``(n, 1)``: integers or strings.
        x_test: Like ``x_train``.
        y_test: Like ``y_train``.
        classes: Names of the labels in sorted order; :obj:`None`: the labels themselves.
    """

    x_train: NDArray[Any]
    y_train: NDArray[Any]
    x_test: NDArray[Any]
    y_test: NDArray[Any]
    classes: Sequence[str] | None = None


def data_root(root: str | os.PathLike[str] | None) -> Path:
    """Return the folder of the data sets: the one given, the variable's or the cache."""
    if root is None:
        root = os.environ.get(DATA_VARIABLE)
    if not root:
        root = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "optuna-gamma"
    return Path(root).expanduser().absolute()


def _digits(root: Path) -> Arrays:
    bunch = load_digits()
    # The source has no split of its own. Its seed is fixed: every run is tested alike.
    x_train, x_test, y_train, y_test = train_test_split(
        bunch.images, bunch.target, test_size=0.2, stratify=bunch.target, random_state=0
    )
    return Arrays(x_train, y_train, x_test, y_test)


def _mnist_like(cls: type[datasets.MNIST]) -> Callable[[Path], Arrays]:
    def load(root: Path) -> Arrays:
        folder = Path(cls.__name__, "raw")
        files = ", ".join(file for file, _ in cls.resources)
        remedy = f"Put {files} from {cls.mirrors[0]} into {root / folder}"
        for name, _ in cls.resources:  # torchvision looks only whether they are there
            file = root / folder / Path(name).stem
            if file.is_file() and file.stat().st_size == 0:
                raise ValueError(f"{file} is empty: delete it to have it downloaded anew.")
        train, test = _torchvision(cls, root, folder, remedy)
        return Arrays(
            train.data.numpy(),
            train.targets.numpy(),
            test.data.numpy(),
            test.targets.numpy(),
            classes=[name.partition(" - ")[0] for name in cls.classes],
        )

    return load


def _cifar10(root: Path) -> Arrays:
    folder = Path(datasets.CIFAR10.base_folder)
    file = root / "cifar10.npz"
    if file.is_file() and not (root / folder).exists():
        return _npz(file)
    remedy = f"Unpack {datasets.CIFAR10.url} in {root}, or put a file as for npz:PATH at {file}"
    train, test = _torchvision(datasets.CIFAR10, root, folder, remedy)
    return Arrays(
        train.data, np.array(train.targets), test.data, np.array(test.targets), train.classes
    )


def _torchvision(cls: type[Any], root: Path, folder: Path, remedy: str) -> tuple[Any, Any]:
    """Return the training and the test part of a data set, downloaded if need be."""
    try:
        return cls(root, train=True), cls(root, train=False)
    except RuntimeError:  # not there yet
        places = (root / folder, *(root / parent for parent in folder.parents))
        new = [place for place in places if not place.exists()]
        try:
            return cls(root, train=True, download=True), cls(root, train=False)
        except (RuntimeError, OSError) as error:
            for path in new:
                with suppress(OSError):  # not empty: a part was downloaded
                    path.rmdir()
            raise FileNotFoundError(
                f"{cls.__name__} is not in {root} and could not be downloaded "
                f"({str(error).strip().splitlines()[-1]}). {remedy}, or set {DATA_VARIABLE} to a "
                f"folder that has {folder} in it."
            ) from error


def _npz(path: Path) -> Arrays:
    names = ("x_train", "y_train", "x_test", "y_test")
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {path}; expected an .npz file with the arrays {', '.join(names)}."
        )
    try:
        if not is_zipfile(path):  # NumPy would say how to unpickle it
            raise ValueError("it is no zip archive")
        # Unpickling would run whatever code the file holds.
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in names if name not in file]
            if missing:
                raise ValueError(
                    f"it lacks {', '.join(missing)}; it has {', '.join(file) or 'nothing'}"
                )
            classes = file["classes"].tolist() if "classes" in file else None
            arrays = Arrays(**{name: file[name] for name in names}, classes=classes)
    except Exception as error:  # a damaged file raises anything from EOFError to zlib.error
        raise ValueError(
            f"{path} is not an .npz file with the plain (not pickled) arrays "
            f"{', '.join(names)}: {str(error).rstrip('.')}."
        ) from error
    for name, images in (("x_train", arrays.x_train), ("x_test", arrays.x_test)):
        if images.ndim != 3 and (images.ndim != 4 or images.shape[-1] not in (1, 3, 4)):
            raise ValueError(
                f"{name} must hold images of shape (n, height, width) or (n, height, width, "
                f"channels) with 1, 3 or 4 channels, but its shape is {images.shape}."
            )
    return arrays


_GREY = {"1", "L"}
_COLOUR = {"P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}


def _folder(path: Path) -> Arrays:
    parts = [path / "train", path / "test"]
    if not any(part.is_dir() for part in parts):
        parts = [path]
    for part in parts:
        if not part.is_dir():
            raise FileNotFoundError(
                f"There is no folder {part}; expected PATH/train/CLASS/IMAGE and "
                "PATH/test/CLASS/IMAGE, or PATH/CLASS/IMAGE alone."
            )
    try:
        folders = [datasets.ImageFolder(part) for part in parts]
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{str(error).strip()} Expected PATH/train/CLASS/IMAGE and PATH/test/CLASS/IMAGE, or "
            "PATH/CLASS/IMAGE alone."
        ) from error
    channels, size = _form([file for folder in folders for file, _ in folder.samples])
    pairs = [_read(folder, channels, size) for folder in folders]
    if len(pairs) == 2:
        return Arrays(*pairs[0], *pairs[1])
    ((x, y),) = pairs
    try:  # as with "digits": every run is tested alike
        x_train, x_test, y_train, y_test = train_test_split(
            x, y, test_size=0.2, stratify=y, random_state=0
        )
    except ValueError as error:
        raise ValueError(
            f"A fifth of the images in {path} cannot be kept for the test: {error} Add images, or "
            f"put them into {path / 'train'} and {path / 'test'}."
        ) from error
    return Arrays(x_train, y_train, x_test, y_test)


def _form(files: Sequence[str]) -> tuple[int, tuple[int, int]]:
    """Return what images have in common: number of channels, width and height."""
    channels, first = 1, None
    for file in files:
        with _opened(file) as image:
            if image.mode not in _GREY | _COLOUR:
                raise ValueError(
                    f"{file} is an image of mode {image.mode!r}; expected 8 bits a channel. "
                    "Convert it first."
                )
            if first is not None and image.size != first:
                raise ValueError(
                    f"All images must have one size, but {files[0]} is {_times(first)} and {file} "
                    f"{_times(image.size)} pixels. Resize them first, or give `create_dataset` an "
                    "ImageFolder with a transform that does."
                )
            first = image.size
            channels = max(channels, 1 if image.mode in _GREY else 3)
    assert first is not None  # ImageFolder refuses empty folders
    return channels, first


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"


def _read(
    folder: datasets.ImageFolder, channels: int, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    width, height = size
    images = np.empty((len(folder), height, width, channels), dtype=np.uint8)
    for image, (file, _) in zip(images, folder.samples, strict=True):
        with _opened(file) as opened:
            converted = np.asarray(opened.convert("L" if channels == 1 else "RGB"))
        image[:] = converted.reshape(image.shape)
    return images, np.array(folder.classes)[folder.targets]


@contextmanager
def _opened(file: str) -> Iterator[Image.Image]:
    try:
        with Image.open(file) as image:
            yield image
    except (OSError, SyntaxError) as error:  # what Pillow raises for damaged files
        raise ValueError(f"{file} cannot be read as an image: {error}") from error


def own_images(
    source: tuple[Tensor, Tensor] | Dataset[Any], name: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the images, ``(n, height, width, channels)``, and labels of a user's own data.

    Args:
        source: See :func:`~optuna_gamma.vision.create_dataset`.
        name: What the user calls it.

    Raises:
        TypeError: If it is neither tensors nor a data set that knows its length.
        ValueError: If its items are not images of one shape and integer labels.
    """
    if isinstance(source, TensorDataset):
        source = source.tensors  # type: ignore[assignment]
    if isinstance(source, tuple):
        if len(source) != 2 or not all(isinstance(part, Tensor) for part in source):
            raise TypeError(
                f"`{name}` must be a pair of tensors, images and labels, but got "
                f"{tuple(type(part).__name__ for part in source)}."
            )
        images, labels = source
        if images.ndim not in (3, 4):
            raise ValueError(
                f"The images of `{name}` must have the shape (n, channels, height, width) or "
                f"(n, height, width), but it is {tuple(images.shape)}."
            )
        return _channels_last(images, images.ndim == 4), labels.detach().cpu().numpy()
    if not (isinstance(source, Dataset) and isinstance(source, Sized)):
        raise TypeError(
            f"`{name}` must be a pair of tensors or a torch.utils.data.Dataset with a length, but "
            f"got {type(source).__name__}."
        )
    return _items(source, name)


def _items(source: Dataset[Any], name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    images: NDArray[Any] | None = None
    labels: list[int] = []
    n = len(source)  # type: ignore[arg-type]
    for k in range(n):
        item, label = _pair(source[k], k, name)
        if isinstance(item, Tensor):
            image = _channels_last(item, item.ndim == 3)
        else:
            image = np.asarray(item)
        if image.ndim not in (2, 3):
            raise ValueError(
                f"The images of `{name}` must have the shape (channels, height, width) as "
                "tensors, (height, width, channels) as arrays, or (height, width), but number "
                f"{k} has {image.shape}."
            )
        if images is None:
            images = np.empty((n, *image.shape), image.dtype)
        if image.shape != images.shape[1:] or image.dtype != images.dtype:
            raise ValueError(
                f"All images of `{name}` must be alike, but the first is {images.dtype} of shape "
                f"{images.shape[1:]} and number {k} {image.dtype} of {image.shape} (height, "
                "width, channels). Give the data set a transform that makes them so."
            )
        images[k] = image
        labels.append(label)
    if images is None:
        raise ValueError(f"`{name}` has no images.")
    return images, np.array(labels)


def _pair(item: Any, k: int, name: str) -> tuple[Any, int]:
    """Return image and label of an item."""
    try:
        image, label = item
    except (TypeError, ValueError):
        raise ValueError(
            f"The items of `{name}` must be pairs (image, label), but number {k} is of type "
            f"{type(item).__name__}."
        ) from None
    try:
        return image, operator.index(label)
    except TypeError:
        raise ValueError(
            f"The labels of `{name}` must be integers, but that of number {k} is {label!r}."
        ) from None


def _channels_last(images: Tensor, has_channels: bool) -> NDArray[Any]:
    """Return ``(…, channels, height, width)`` as a NumPy array with the channels last."""
    images = images.detach().cpu()
    if has_channels:
        images = images.movedim(-3, -1)
    if images.dtype == torch.bfloat16:  # NumPy has no such type
        images = images.float()
    array: NDArray[Any] = images.numpy()
    return array


SOURCES: dict[str, Callable[[Path], Arrays]] = {
    "digits": _digits,
    "mnist": _mnist_like(datasets.MNIST),
    "fashion-mnist": _mnist_like(datasets.FashionMNIST),
    "cifar10": _cifar10,
}

PATH_SOURCES: dict[str, Callable[[Path], Arrays]] = {
    "npz": _npz,
    "folder": _folder,
}
