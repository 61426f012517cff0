"""Where images come from: one function a source, which returns its images and labels as they are.

To add a source, write its function and name it in ``SOURCES`` (a fixed name) or ``PATH_SOURCES``
(a name followed by ``:PATH``). Splitting, checking and normalising are done for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
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
        # Unpickling would run whatever code the file holds.
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in names if name not in file]
            if missing:
                raise ValueError(
                    f"it lacks {', '.join(missing)}; it has {', '.join(file) or 'nothing'}"
                )
            classes = file["classes"].tolist() if "classes" in file else None
            return Arrays(**{name: file[name] for name in names}, classes=classes)
    except Exception as error:  # a damaged file raises anything from EOFError to zlib.error
        raise ValueError(
            f"{path} is not an .npz file with the plain (not pickled) arrays "
            f"{', '.join(names)}: {error}."
        ) from error


SOURCES: dict[str, Callable[[Path], Arrays]] = {
    "digits": _digits,
    "mnist": _mnist_like(datasets.MNIST),
    "fashion-mnist": _mnist_like(datasets.FashionMNIST),
    "cifar10": _cifar10,
}

PATH_SOURCES: dict[str, Callable[[Path], Arrays]] = {
    "npz": _npz,
}
