from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch import Tensor

from optuna_gamma.vision import create_model
from optuna_gamma.vision import Dataset
from optuna_gamma.vision.trainer import precision
from optuna_gamma.vision.trainer import predict
from optuna_gamma.vision.trainer import random_numbers
from optuna_gamma.vision.trainer import resolve_device
from optuna_gamma.vision.trainer import train_epoch


CPU = torch.device("cpu")


def test_divergence_ends_an_epoch_early(digits: Dataset) -> None:
    images, labels = (split.repeat(60, *[1] * (split.dim() - 1)) for split in digits.train)
    model = create_model("deep-conv", digits.input_shape, digits.n_classes)
    calls: list[int] = []
    model.register_forward_hook(lambda *_: calls.append(1))
    loss = train_epoch(model, torch.optim.SGD(model.parameters(), 1e8), images, labels, 50)
    assert not math.isfinite(loss)
    assert len(calls) == 100 < len(images) / 50


def test_large_batches_predict_as_one(digits: Dataset) -> None:
    model = create_model("deep-conv", digits.input_shape, digits.n_classes)
    images = digits.test[0].repeat(2, 1, 1, 1)
    with torch.no_grad():
        expected = model.eval()(images)
    model.train()
    torch.testing.assert_close(predict(model, images), expected, rtol=1e-4, atol=1e-5)


def test_fewer_large_images_are_evaluated_at_once() -> None:
    sizes: list[int] = []

    class Sizes(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            sizes.append(len(images))
            return images.flatten(1)[:, :2]

    assert predict(Sizes(), torch.zeros(500, 3, 32, 32)).shape == (500, 2)
    assert predict(Sizes(), torch.zeros(80, 3, 64, 64)).shape == (80, 2)
    assert predict(Sizes(), torch.zeros(2, 3, 600, 600)).shape == (2, 2)
    assert sizes == [250, 250, 62, 18, 1, 1]


class FakeGPUs:
    """What PyTorch's functions for GPUs would be called with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.current = 0
        self.seeds = {0: 10, 1: 11}
        gpus = self

        class device:
            def __init__(self, device: torch.device) -> None:
                self.index = gpus.current if device.index is None else device.index

            def __enter__(self) -> None:
                self.before, gpus.current = gpus.current, self.index

            def __exit__(self, *_: object) -> None:
                gpus.current = self.before

        def seed(number: int) -> None:
            self.seeds[self.current] = number

        def restore(state: int, device: torch.device) -> None:
            self.seeds[device.index] = state

        monkeypatch.setattr(torch.cuda, "device", device)
        monkeypatch.setattr(torch.cuda, "manual_seed", seed)
        monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: self.seeds[device.index])
        monkeypatch.setattr(torch.cuda, "set_rng_state", restore)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: self.current == 1)


def test_the_gpu_that_is_trained_on_is_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = FakeGPUs(monkeypatch)
    with random_numbers(5, torch.device("cuda:1")):
        assert gpus.seeds == {0: 10, 1: 5}
        assert gpus.current == 0
    assert gpus.seeds == {0: 10, 1: 11}


@pytest.mark.parametrize("index", [0, 1])
def test_the_gpu_that_is_trained_on_is_asked_for_its_precisions(
    monkeypatch: pytest.MonkeyPatch, index: int
) -> None:
    FakeGPUs(monkeypatch)
    enabled: list[bool] = []
    monkeypatch.setattr(
        torch, "autocast", lambda *_, **options: enabled.append(options["enabled"])
    )
    precision(torch.device("cuda", index))
    assert enabled == [index == 1]


def test_devices() -> None:
    assert resolve_device("cpu") == CPU
    assert torch.empty(0, device=resolve_device("auto")).device.type in ("cpu", "cuda", "mps")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="no device 'cuda:7' here"):
            resolve_device("cuda:7")
