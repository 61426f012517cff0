"""Images in folders, a class a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
import pytest
import torch

from optuna_gamma.vision import load_dataset


def _write(
    folder: Path, n: int, mode: str = "RGB", size: tuple[int, int] = (6, 5), seed: int = 0
) -> None:
    """Write n images each of the classes cat and dog; the red of a cat is below 100."""
    rng = np.random.default_rng(seed)
    for label, low in (("cat", 0), ("dog", 100)):
        (folder / label).mkdir(parents=True)
        for k in range(n):
            pixels = rng.integers(low, low + 100, (*size[::-1], 3), dtype=np.uint8)
            Image.fromarray(pixels).convert(mode).save(folder / label / f"{k}.png")


def test_training_and_test_folders(tmp_path: Path) -> None:
    _write(tmp_path / "train", 20)
    _write(tmp_path / "test", 5, seed=1)
    data = load_dataset(f"folder:{tmp_path}", n_valid=10)
    assert data.input_shape == (3, 5, 6)
    assert data.classes == ("cat", "dog")
    assert [len(y) for _, y in (data.train, data.valid, data.test)] == [30, 10, 10]
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (data.mean, data.std))
    images, labels = data.test
    red = ((images * std + mean) * 255).round()[:, 0].flatten(1)
    assert labels.tolist() == (red.amax(1) >= 100).long().tolist()
    file = tmp_path / "test" / "dog" / "0.png"
    first = ((images * std + mean) * 255).round()[5].permute(1, 2, 0).numpy().astype(np.uint8)
    assert first.tolist() == np.asarray(Image.open(file)).tolist()


def test_one_folder_is_split_always_alike(tmp_path: Path) -> None:
    _write(tmp_path, 20)
    data = load_dataset(f"folder:{tmp_path}", n_valid=8)
    other = load_dataset(f"folder:{tmp_path}", n_valid=8, seed=1)
    assert [len(y) for _, y in (data.train, data.valid, data.test)] == [24, 8, 8]
    assert torch.bincount(data.test[1]).tolist() == [4, 4]
    # Normalised by other training images, so only up to a linear map.
    restored = [
        (d.test[0] * torch.tensor(d.std).reshape(3, 1, 1)) + torch.tensor(d.mean).reshape(3, 1, 1)
        for d in (data, other)
    ]
    torch.testing.assert_close(*restored)


def test_a_folder_may_be_moved(tmp_path: Path) -> None:
    _write(tmp_path / "here", 10)
    here = load_dataset(f"folder:{tmp_path / 'here'}", n_valid=4)
    (tmp_path / "here").rename(tmp_path / "there")
    assert load_dataset(f"folder:{tmp_path / 'there'}", n_valid=4).digest == here.digest


@pytest.mark.parametrize(
    ("modes", "channels"),
    [(("L", "1"), 1), (("L", "RGB"), 3), (("P", "P"), 3), (("RGBA", "LA"), 3)],
)
def test_grey_and_colour(tmp_path: Path, modes: tuple[str, str], channels: int) -> None:
    _write(tmp_path / "train", 10, modes[0])
    _write(tmp_path / "test", 3, modes[1], seed=1)
    assert load_dataset(f"folder:{tmp_path}", n_valid=4).input_shape == (channels, 5, 6)


def test_images_of_other_sizes_and_depths_are_refused(tmp_path: Path) -> None:
    _write(tmp_path / "train", 10)
    _write(tmp_path / "test", 3, size=(7, 5), seed=1)
    with pytest.raises(ValueError, match=r"one size, but .*6×5 and .*test.cat.0\.png 7×5"):
        load_dataset(f"folder:{tmp_path}")
    deep = Image.fromarray(np.zeros((5, 6), np.uint16))
    deep.save(tmp_path / "train" / "dog" / "3.png")
    with pytest.raises(ValueError, match=r"dog.3\.png is an image of mode 'I;16'"):
        load_dataset(f"folder:{tmp_path}")


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_damaged_image_is_named(tmp_path: Path, share: float) -> None:
    _write(tmp_path, 10, size=(60, 50))
    file = tmp_path / "dog" / "3.png"
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"dog.3\.png cannot be read as an image"):
        load_dataset(f"folder:{tmp_path}")


def test_folders_without_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent; expected PATH/train/CLASS"):
        load_dataset(f"folder:{tmp_path / 'absent'}")
    with pytest.raises(FileNotFoundError, match=r"class folder.* Expected PATH/train/CLASS"):
        load_dataset(f"folder:{tmp_path}")
    _write(tmp_path / "train", 10)
    with pytest.raises(FileNotFoundError, match=r"no folder .*test; expected"):
        load_dataset(f"folder:{tmp_path}")
    (tmp_path / "test" / "cat").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"classes cat(.|\n)*Expected PATH/train/"):
        load_dataset(f"folder:{tmp_path}")


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    _write(tmp_path, 1)
    with pytest.raises(ValueError, match=r"A fifth of the images .* cannot be kept for the test"):
        load_dataset(f"folder:{tmp_path}")
