from __future__ import annotations

import hashlib
import os
from pathlib import Path
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray
import pytest
import torch

from optuna_gamma.vision import create_dataset
from optuna_gamma.vision import Dataset
from optuna_gamma.vision import load_dataset
from optuna_gamma.vision.sources import DATA_VARIABLE


Npz = dict[str, NDArray[Any]]


def _arrays(n: int = 60, shape: tuple[int, ...] = (4, 5, 3), n_classes: int = 3) -> Npz:
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (n, *shape), dtype=np.uint8),
        "y_train": np.arange(n) % n_classes,
        "x_test": rng.integers(0, 256, (10, *shape), dtype=np.uint8),
        "y_test": np.arange(10) % n_classes,
    }


def _save(folder: Path, arrays: Npz) -> str:
    path = folder / "images.npz"
    np.savez(path, **arrays)
    return f"npz:{path}"


def _rows(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def _equal(a: Dataset, b: Dataset) -> bool:
    pairs = [(getattr(a, s), getattr(b, s)) for s in ("train", "valid", "test")]
    return all(x.equal(u) and y.equal(v) for (x, y), (u, v) in pairs)


def test_digits() -> None:
    data = load_dataset("digits")
    assert (data.input_shape, data.n_classes) == ((1, 8, 8), 10)
    assert [len(y) for _, y in (data.train, data.valid, data.test)] == [1198, 239, 360]
    assert data.train[0].mean().item() == pytest.approx(0, abs=1e-5)
    assert data.train[0].std().item() == pytest.approx(1, abs=1e-3)
    assert data.train[0].dtype == torch.float32
    assert data.train[1].dtype == torch.int64
    assert data.classes == tuple("0123456789")


def test_splits_have_no_image_in_common(tmp_path: Path) -> None:
    data = load_dataset(_save(tmp_path, _arrays()))
    parts = [_rows(images) for images, _ in (data.train, data.valid, data.test)]
    assert [len(part) for part in parts] == [50, 10, 10]
    assert len(set.union(*parts)) == 70


def test_subsets_keep_the_shares_of_the_classes(tmp_path: Path) -> None:
    data = load_dataset(_save(tmp_path, _arrays(n=300)), n_train=60, n_valid=30)
    assert torch.bincount(data.train[1]).tolist() == [20, 20, 20]
    assert torch.bincount(data.valid[1]).tolist() == [10, 10, 10]


def test_split_depends_on_the_seed_alone() -> None:
    first, again = (load_dataset("digits", n_train=100, seed=3) for _ in range(2))
    other = load_dataset("digits", n_train=100, seed=4)
    assert _equal(first, again)
    assert first.digest == again.digest != other.digest
    assert not first.train[1].equal(other.train[1])
    assert first.test[1].equal(other.test[1])  # as many classes, in the same order


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (1198, 239)),
        ({"n_train": 100}, (100, 200)),
        ({"n_train": 1400}, (1400, 37)),
        ({"n_valid": 500}, (937, 500)),
    ],
)
def test_default_sizes(given: dict[str, int], expected: tuple[int, int]) -> None:
    data = load_dataset("digits", **given)  # type: ignore[arg-type]
    assert (len(data.train[1]), len(data.valid[1])) == expected


def test_default_sizes_of_a_large_data_set() -> None:
    images = torch.rand(40_000, 1, 2, 2)
    labels = torch.arange(40_000) % 2
    data = create_dataset(train=(images, labels), test=(1 - images[:2], labels[:2]))
    assert (len(data.train[1]), len(data.valid[1])) == (35_000, 5_000)


def test_normalised_by_the_training_images_alone(tmp_path: Path) -> None:
    arrays = _arrays()
    data = load_dataset(_save(tmp_path, arrays))
    mean = torch.tensor(data.mean).reshape(3, 1, 1)
    std = torch.tensor(data.std).reshape(3, 1, 1)
    for channel in range(3):
        values = (data.train[0] * std + mean)[:, channel].double()
        assert values.mean().item() == pytest.approx(data.mean[channel], abs=1e-6)
        assert values.std(correction=0).item() == pytest.approx(data.std[channel], abs=1e-6)
    # The test images, in order, are the source's.
    restored = ((data.test[0] * std + mean) * 255).round().permute(0, 2, 3, 1)
    assert restored.numpy().astype(np.uint8).tolist() == arrays["x_test"].tolist()


def test_constant_channel_and_grey_images(tmp_path: Path) -> None:
    arrays = _arrays(shape=(4, 5))
    arrays["x_train"][:] = arrays["x_test"][:] = 7
    data = load_dataset(_save(tmp_path, arrays))
    assert data.input_shape == (1, 4, 5)
    assert not data.test[0].any()


@pytest.mark.parametrize("labels", [np.array([5, -2, 40]), np.array(["cat", "ant", "bee"])])
def test_any_labels_become_classes(tmp_path: Path, labels: NDArray[Any]) -> None:
    plain, odd = _arrays(), _arrays()
    odd["y_train"], odd["y_test"] = labels[odd["y_train"]][:, None], labels[odd["y_test"]]
    data = load_dataset(_save(tmp_path, odd))
    assert data.classes == tuple(map(str, sorted(labels)))
    names = np.array(data.classes)[data.test[1].numpy()]
    assert names.tolist() == [str(labels[k]) for k in plain["y_test"]]


def test_floats_are_taken_as_they_are(tmp_path: Path) -> None:
    arrays = _arrays()
    scaled = {k: v / 255 if k.startswith("x") else v for k, v in arrays.items()}
    (tmp_path / "scaled").mkdir()
    a = load_dataset(_save(tmp_path, arrays))
    b = load_dataset(_save(tmp_path / "scaled", scaled))
    torch.testing.assert_close(a.train[0], b.train[0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"x_train": np.zeros((60, 16))}, r"x_train must hold images.*\(60, 16\)"),
        ({"x_train": np.zeros((60, 3, 4, 5))}, r"1, 3 or 4 channels, but.*\(60, 3, 4, 5\)"),
        ({"x_test": np.zeros((10, 4, 6, 3))}, r"\(4, 5, 3\) and \(4, 6, 3\)"),
        ({"x_test": np.zeros((0, 4, 5, 3))}, "x_test must hold images"),
        ({"x_train": np.full((60, 4, 5, 3), np.nan)}, "finite"),
        ({"x_train": np.full((60, 4, 5, 3), 1e39)}, "60 of its 60 images .* above float32's"),
        ({"x_train": np.full((60, 4, 5, 3), "a")}, "finite numbers.*<U1"),
        ({"y_train": np.arange(59)}, r"y_train must hold 60 labels.*\(59,\)"),
        ({"y_train": np.eye(60)}, r"\(60, 60\)"),
        ({"y_test": np.zeros(10)}, "integers or strings.*float64"),
        ({"y_test": np.full(10, 9)}, "Test label 9 .* no training image"),
        ({"y_test": np.full(10, "9")}, "both be integers or both strings"),
        ({"y_train": np.zeros(60, int)}, "at least two classes"),
        ({"y_train": np.arange(60)}, "two training images each"),
        ({"classes": np.array(5)}, "names of the classes .* must be a list.* but they are 5"),
        ({"classes": np.array("abc")}, "must be a list.* but they are 'abc'"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path: Path, change: Npz, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load_dataset(_save(tmp_path, {**_arrays(), **change}))


@pytest.mark.parametrize(
    "sizes", [{"n_train": 1430}, {"n_train": 5}, {"n_valid": 5}, {"n_train": 2000}]
)
def test_too_few_images_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"1437.*number of classes, 10"):
        load_dataset("digits", **sizes)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["n_train", "n_valid", "seed"])
@pytest.mark.parametrize("value", [-1, 10.5, "100", True])
def test_numbers_that_are_none_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be an int of at least ., but got"):
        load_dataset("digits", **{name: value})


@pytest.mark.parametrize("name", ["", "imagenet", "npz", "npz:", "zip:a", "digits:a"])
def test_unknown_data_set_is_refused(name: str) -> None:
    known = "digits, mnist, fashion-mnist, cifar10, npz:PATH"
    with pytest.raises(ValueError, match=f"'{name}'.*{known}"):
        load_dataset(name)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file .*absent\.npz.*x_train"):
        load_dataset(f"npz:{tmp_path / 'absent.npz'}")


def test_pickles_are_refused(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "executed"),)

    name = _save(tmp_path, {**_arrays(), "y_test": np.array([Harmful()], dtype=object)})
    with pytest.raises(ValueError, match="not pickled"):
        load_dataset(name)
    (tmp_path / "images.npz").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(ValueError, match="not pickled"):
        load_dataset(name)
    assert not (tmp_path / "executed").exists()


def test_damaged_and_incomplete_files_are_refused(tmp_path: Path) -> None:
    arrays = _arrays()
    name = _save(tmp_path, arrays)
    content = (tmp_path / "images.npz").read_bytes()
    for damaged in (b"", b"text", content[: len(content) // 2]):
        (tmp_path / "images.npz").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"images\.npz is not an \.npz .* no zip archive\.$"):
            load_dataset(name)
    del arrays["y_test"]
    with pytest.raises(ValueError, match="it lacks y_test; it has x_train, y_train, x_test"):
        load_dataset(_save(tmp_path, arrays))


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_missing_data_without_network(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*args: object, **kwargs: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
    with pytest.raises(FileNotFoundError) as caught:
        load_dataset(name)
    file = "cifar-10-python.tar.gz" if name == "cifar10" else "train-images-idx3-ubyte.gz"
    for part in (str(tmp_path), file, DATA_VARIABLE, "http"):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def _write_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> NDArray[Any]:
    """Write files like CIFAR-10's own, and have torchvision expect their hashes."""
    rng = np.random.default_rng(0)
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)

    def write(name: str, content: dict[str, Any]) -> list[str]:
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]

    pixels = rng.integers(0, 256, (60, 3072), dtype=np.uint8)
    labels = (np.arange(60) % 10).tolist()
    parts = [{"data": pixels[k : k + 10], "labels": labels[k : k + 10]} for k in range(0, 60, 10)]
    train = [write(f"data_batch_{k}", part) for k, part in enumerate(parts[:5], start=1)]
    test = write("test_batch", parts[5])
    names = [*(f"kind {k}" for k in range(9)), "ape"]
    meta, md5 = write("batches.meta", {"label_names": names})
    cifar10 = "torchvision.datasets.CIFAR10"
    monkeypatch.setattr(f"{cifar10}.train_list", train)
    monkeypatch.setattr(f"{cifar10}.test_list", [test])
    monkeypatch.setattr(f"{cifar10}.meta", {"filename": meta, "key": "label_names", "md5": md5})
    return pixels[50:].reshape(10, 3, 32, 32)


def test_cifar10_in_torchvisions_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = _write_cifar10(tmp_path, monkeypatch)
    data = load_dataset("cifar10", root=tmp_path, n_train=20, n_valid=10)
    assert data.input_shape == (3, 32, 32)
    assert data.classes == (*(f"kind {k}" for k in range(9)), "ape")
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in (data.mean, data.std))
    restored = ((data.test[0] * std + mean) * 255).round()
    assert restored.numpy().astype(np.uint8).tolist() == pixels.tolist()
    assert data.test[1].tolist() == list(range(10))


def test_cifar10_as_npz(tmp_path: Path) -> None:
    arrays = _arrays(shape=(32, 32, 3))
    np.savez(tmp_path / "cifar10.npz", **arrays, classes=np.array(["cat", "ant", "bee"]))
    data = load_dataset("cifar10", root=tmp_path)
    assert data.classes == ("cat", "ant", "bee")
    assert data.digest == load_dataset(_save(tmp_path, arrays)).digest


def test_wrong_number_of_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 different training labels, but names 2 classes"):
        load_dataset(_save(tmp_path, {**_arrays(), "classes": np.array(["a", "b"])}))


def test_root_before_variable_before_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def look(root: Path) -> Any:
        asked.append(root)
        raise FileNotFoundError

    monkeypatch.setattr("optuna_gamma.vision.data.SOURCES", {"mnist": look})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    for root in (None, "variable", "argument"):
        if root == "variable":
            monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "variable"))
        with pytest.raises(FileNotFoundError):
            load_dataset("mnist", root=tmp_path / "argument" if root == "argument" else None)
    assert asked == [
        tmp_path / "cache" / "optuna-gamma",
        tmp_path / "variable",
        tmp_path / "argument",
    ]


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (folder / f"{part}-{kind}-ubyte").touch()
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte is empty: delete it"):
        load_dataset("mnist", root=tmp_path)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_mnist(name: str) -> None:
    if DATA_VARIABLE not in os.environ:
        pytest.skip(
            f"set {DATA_VARIABLE} to a folder with {name}: `optuna-gamma train --dataset {name} "
            "--data FOLDER` downloads it there"
        )
    data = load_dataset(name, n_train=500)
    assert data.input_shape == (1, 28, 28)
    assert [len(y) for _, y in (data.train, data.valid, data.test)] == [500, 1000, 10_000]
    assert data.n_classes == 10
    assert data.classes[0] == ("0" if name == "mnist" else "T-shirt/top")
    assert torch.bincount(data.valid[1]).min() >= 80


def test_cifar10() -> None:
    if DATA_VARIABLE not in os.environ:
        pytest.skip(
            f"set {DATA_VARIABLE} to a folder with cifar10: `optuna-gamma train --dataset cifar10 "
            "--data FOLDER` downloads it there"
        )
    data = load_dataset("cifar10", n_train=500)
    assert data.input_shape == (3, 32, 32)
    assert [len(y) for _, y in (data.train, data.valid, data.test)] == [500, 1000, 10_000]
    assert data.classes[:2] == ("airplane", "automobile")
    assert all(0.4 < mean < 0.5 for mean in data.mean)
