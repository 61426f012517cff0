from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import torch
from torch import Tensor

from optuna_gamma.vision.augmentation import Augmentation
from optuna_gamma.vision.augmentation import Views


def _images(n: int, height: int, width: int, channels: int = 3) -> Tensor:
    return torch.arange(n * channels * height * width).view(n, channels, height, width).float()


def _naive(image: Tensor, flipped: bool, down: int, right: int, reach: int) -> Tensor:
    """Pad by reflection, cut out, mirror."""
    _, height, width = image.shape
    padded = torch.from_numpy(
        np.pad(image.numpy(), ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    )
    top, left = reach + down, reach + right
    view = padded[:, top : top + height, left : left + width]
    return view.flip(2) if flipped else view


@given(
    st.integers(8, 40),
    st.integers(8, 40),
    st.integers(0, 2**31),
    st.sampled_from([("flip",), ("crop",), ("crop", "flip")]),
)
def test_views_are_those_of_the_naive_twin(
    height: int, width: int, seed: int, augment: tuple[Augmentation, ...]
) -> None:
    images = _images(5, height, width)
    reach = min(height, width) // 8
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        views = Views(images, augment)
        torch.manual_seed(seed)
        flipped = torch.rand(5) < 0.5 if "flip" in augment else torch.zeros(5)
        moved = torch.zeros(2, 5, dtype=torch.int64)
        if "crop" in augment:
            moved = torch.randint(-reach, reach + 1, (2, 5))
    batch = torch.tensor([3, 0, 4])
    expected = [
        _naive(images[k], bool(flipped[k]), int(moved[0, k]), int(moved[1, k]), reach)
        for k in batch
    ]
    assert views(batch).equal(torch.stack(expected))


def test_an_images_view_does_not_depend_on_its_batch() -> None:
    views = Views(_images(20, 16, 16), ["crop", "flip"])
    order = torch.randperm(20)
    for size in (1, 7, 20):
        assert torch.cat([views(batch) for batch in order.split(size)]).equal(views(order))


def test_how_often_and_how_far() -> None:
    # Rows and columns that say where they are, far enough from the border.
    images = torch.arange(32.0).expand(4000, 1, 32, 32).clone()
    torch.manual_seed(0)
    plain = Views(images, ["crop"])(torch.arange(4000))[:, 0, 16, 16] - 16
    counts = torch.bincount(plain.long() + 4, minlength=9)
    assert counts.tolist() == pytest.approx([4000 / 9] * 9, rel=0.2)
    mirrored = Views(images, ["flip"])(torch.arange(4000))[:, 0, 0, 0] == 31
    assert mirrored.float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_no_views_are_the_images_and_draw_nothing() -> None:
    before = torch.get_rng_state()
    images = _images(4, 3, 5)
    batch = torch.tensor([2, 1])
    assert Views(images, ())(batch).equal(images[batch])
    assert torch.get_rng_state().equal(before)
