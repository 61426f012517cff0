"""Data sets of the user's own images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image
import pytest
from sklearn.datasets import load_digits
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import IterableDataset
from torch.utils.data import TensorDataset

from optuna_gamma.vision import create_dataset
from optuna_gamma.vision import VisionTask


def _pair(n: int = 60, shape: tuple[int, ...] = (3, 4, 5), seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, *shape), generator=generator, dtype=torch.uint8)
    return images, torch.arange(n) % 3


class Items(TorchDataset[Any]):
    """Images as another library has them."""

    def __init__(self, pair: tuple[Tensor, Tensor], kind: str) -> None:
        self.pair = pair
        self.kind = kind

    def __len__(self) -> int:
        return len(self.pair[0])

    def __getitem__(self, k: int) -> tuple[Any, Any]:
        image, label = self.pair[0][k], self.pair[1][k]
        if self.kind == "tensor":
            return image, label
        pixels = image.permute(1, 2, 0).numpy()
        return (Image.fromarray(pixels) if self.kind == "pillow" else pixels), int(label)


def test_pair_of_tensors() -> None:
    (images, labels), test = _pair(), _pair(12, seed=1)
    data = create_dataset(train=(images, labels), test=test, n_valid=15, name="mine")
    assert (data.name, data.input_shape, data.classes) == ("mine", (3, 4, 5), ("0", "1", "2"))
    assert torch.bincount(data.valid[1]).tolist() == [5, 5, 5]
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (data.mean, data.std))
    assert ((data.test[0] * std + mean) * 255).round().byte().equal(test[0])
    assert data.test[1].equal(test[1])
    assert data.train[0].double().mean((0, 2, 3)).tolist() == pytest.approx([0] * 3, abs=1e-6)
    restored = {image.numpy().tobytes() for image in ((data.train[0] * std + mean) * 255).round()}
    assert restored < {image.numpy().tobytes() for image in images.float()}


@pytest.mark.parametrize("kind", ["tensor", "pillow", "array", "TensorDataset"])
def test_all_kinds_are_the_same_data(kind: str) -> None:
    pairs = {"train": _pair(), "test": _pair(12, seed=1)}
    wrapped = {
        name: TensorDataset(*pair) if kind == "TensorDataset" else Items(pair, kind)
        for name, pair in pairs.items()
    }
    expected = create_dataset(**pairs, n_valid=15, seed=3)  # type: ignore[arg-type]
    assert create_dataset(**wrapped, n_valid=15, seed=3).digest == expected.digest  # type: ignore[arg-type]


def test_own_validation_images() -> None:
    train, valid, test = _pair(), _pair(9, seed=1), _pair(12, seed=2)
    data = create_dataset(train=train, valid=valid, test=test, classes=["ant", "bee", "cat"])
    assert data.classes == ("ant", "bee", "cat")
    assert (len(data.train[0]), data.valid[1].tolist()) == (60, valid[1].tolist())
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (data.mean, data.std))
    assert ((data.valid[0] * std + mean) * 255).round().byte().equal(valid[0])
    assert data.mean == pytest.approx((train[0] / 255).mean((0, 2, 3)).tolist())  # train's alone


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64])
def test_types_and_grey_images(dtype: torch.dtype) -> None:
    train, test = _pair(shape=(4, 5)), _pair(12, (4, 5), seed=1)
    data = create_dataset(train=(train[0].to(dtype), train[1]), test=(test[0].to(dtype), test[1]))
    assert data.input_shape == (1, 4, 5)
    assert data.train[0].dtype == torch.float32


def test_any_number_of_channels() -> None:
    data = create_dataset(train=_pair(shape=(7, 4, 5)), test=_pair(9, (7, 4, 5), seed=1))
    assert data.input_shape == (7, 4, 5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"train": (torch.zeros(60, 20), torch.zeros(60))}, r"`train` .*\(60, 20\)"),
        ({"test": (_pair(seed=1)[0], torch.zeros(60))}, "y_test must hold 60 labels.*float32"),
        (
            {"test": (_pair(12, seed=1)[0], torch.arange(11))},
            r"y_test must hold 12 labels.*\(11,\)",
        ),
        ({"test": (_pair(12, seed=1)[0], torch.full((12,), 7))}, "Test label 7"),
        ({"test": _pair(12, (3, 5, 5))}, "same shape"),
        ({"test": (_pair(12)[0] / 255, _pair(12)[1])}, "both be bytes or neither"),
        ({"valid": _pair(12, (3, 5, 5))}, "Training and validation images must be alike"),
        ({"valid": (_pair(12, seed=2)[0], torch.full((12,), 7))}, "Validation label 7"),
        (
            {"train": (torch.full((60, 3, 4, 5), torch.nan), _pair()[1])},
            "60 of its 60 images have NaN",
        ),
        ({"train": (_pair()[0], torch.zeros(60, dtype=torch.int64))}, "at least two classes"),
        ({"classes": ["a", "b"]}, "names 2 classes"),
        ({"test": _pair(50)}, "50 of the 50 images of `test` are also in `train`"),
        ({"valid": _pair(50)}, "50 of the 50 images of `valid` are also in `train`"),
        ({"valid": _pair(12, seed=1)}, "12 of the 12 images of `test` are also in `valid`"),
        ({"valid": _pair(12, seed=2), "n_valid": 5}, "`n_valid` 5, but they split `train`"),
        ({"n_train": 58, "n_valid": 5}, "Cannot take 58 images"),
        ({"train": Items((_pair()[0][:0], _pair()[1]), "tensor")}, "`train` has no images"),
    ],
)
def test_wrong_data_is_refused(change: dict[str, Any], said: str) -> None:
    options: dict[str, Any] = {"train": _pair(), "test": _pair(12, seed=1), **change}
    with pytest.raises(ValueError, match=said):
        create_dataset(**options)


def test_unlike_items_are_refused() -> None:
    images = [np.zeros((4, 5, 3), np.uint8), np.zeros((4, 6, 3), np.uint8)]
    source: Any = Items(_pair(), "array")
    source.__class__ = type(
        "Unlike", (Items,), {"__getitem__": lambda _, k: (images[k > 40], k % 3)}
    )
    with pytest.raises(ValueError, match=r"`train` must be alike.*number 41 uint8 of \(4, 6, 3\)"):
        create_dataset(train=source, test=_pair(12, seed=1))


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ((np.zeros((4, 5, 3)), 0.7), r"labels of `train` must be integers, .* number 0 is 0\.7"),
        ((np.zeros((4, 5, 3)), "cat"), "must be integers, .* number 0 is 'cat'"),
        ((np.zeros((4, 5, 3)), torch.eye(3)[0]), "must be integers"),
        (np.zeros((4, 5, 3)), r"must be pairs \(image, label\), .* is of type ndarray"),
        ((np.zeros((4, 5, 3)), 1, 2), "must be pairs .* is of type tuple"),
        ((np.zeros(20), 1), r"number 0 has \(20,\)"),
    ],
)
def test_items_that_are_not_image_and_label_are_refused(item: Any, said: str) -> None:
    source: Any = Items(_pair(), "array")
    source.__class__ = type("Other", (Items,), {"__getitem__": lambda _, k: item})
    with pytest.raises(ValueError, match=said):
        create_dataset(train=source, test=_pair(12, seed=1))


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(())


@pytest.mark.parametrize("source", [Stream(), "digits", (np.zeros((9, 4, 5)), np.zeros(9))])
def test_other_things_are_refused(source: Any) -> None:
    with pytest.raises(TypeError, match="`train` must be a pair of tensors"):
        create_dataset(train=source, test=_pair(12, seed=1))


def test_trains() -> None:
    bunch = load_digits()
    images, labels = torch.tensor(bunch.images), torch.tensor(bunch.target)
    data = create_dataset(
        train=(images[:400], labels[:400]), test=(images[400:600], labels[400:600])
    )
    task = VisionTask(
        model="deep-conv",
        data=data,
        space=lambda trial: {"lr": trial.suggest_float("lr", 1e-3, 0.5, log=True)},
    )
    assert task.fingerprint["dataset"] == "own"
    assert task.fingerprint["data"] == data.digest
