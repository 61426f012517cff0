"""The rivals of the trainer see what it sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.training import Files
from benchmarks.training import memory_of_trials
from benchmarks.training import Size
from benchmarks.training import stages
from benchmarks.training import usual_transform
from optuna_gamma.vision import load_dataset
from optuna_gamma.vision.sources import SOURCES


def test_loaders_give_the_same_images() -> None:
    data = load_dataset("digits")
    pixels = torch.rand(5, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    images = (pixels * 255).byte().numpy()
    files = Files(images, np.arange(5), usual_transform((0.4,) * 3, (0.2,) * 3, (), (3, 32, 32)))
    expected = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - 0.4) / 0.2
    torch.testing.assert_close(torch.stack([files[k][0] for k in range(5)]), expected)
    assert [files[k][1] for k in range(5)] == list(range(5))

    grey = Files(
        SOURCES["digits"](None).x_test.astype(np.uint8),  # type: ignore[arg-type]
        data.test[1].numpy(),
        usual_transform(data.mean, data.std, (), data.input_shape),
    )
    assert grey[0][0].shape == data.input_shape


def test_views_keep_the_shape() -> None:
    images = np.zeros((1, 32, 32, 3), np.uint8)
    transform = usual_transform((0.0,) * 3, (1.0,) * 3, ("flip", "crop"), (3, 32, 32))
    assert Files(images, np.zeros(1, int), transform)[0][0].shape == (3, 32, 32)


def test_shares_of_a_stage() -> None:
    row = stages(Size((), 0, 0, "digits", (200,), 1), 200)
    assert 0 < row["validating %"] < 100
    assert row["together %"] == pytest.approx(row["validating %"] + row["rest %"], abs=0.02)


def test_memory_is_told() -> None:
    assert "a process that trains a linear network" in memory_of_trials("digits")
