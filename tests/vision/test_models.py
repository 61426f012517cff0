from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from optuna_gamma.vision import create_model


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 8, 8), (3, 32, 32), (3, 5, 9), (1, 1, 1)])
def test_logits_have_the_right_shape(shape: tuple[int, int, int]) -> None:
    model = create_model("deep-conv", shape, 7)
    assert model(torch.zeros(2, *shape)).shape == (2, 7)


def test_deep_conv_is_the_network_of_the_thesis() -> None:
    model = create_model("deep-conv", (1, 28, 28), 10)
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    dense = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    dropout = [layer for layer in model.modules() if isinstance(layer, nn.Dropout)]
    assert [layer.out_channels for layer in convolutions] == [16, 16, 32, 32, 64, 64]
    assert [(layer.in_features, layer.out_features) for layer in dense] == [(1024, 50), (50, 10)]
    assert [layer.p for layer in dropout] == [0.5]
    assert sum(weights.numel() for weights in model.parameters()) == 123_552


def test_he_initialisation() -> None:
    torch.manual_seed(0)
    for layer in create_model("deep-conv", (1, 28, 28), 10).modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_in = layer.weight[0].numel()
            deviation = 1 / math.sqrt(layer.weight.numel())  # relative, of the estimate
            assert layer.weight.std().item() == pytest.approx(
                math.sqrt(2 / fan_in), rel=4 * deviation
            )
            assert layer.bias is not None
            assert not layer.bias.any()


def test_unknown_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'lenet'.*deep-conv"):
        create_model("lenet", (1, 8, 8), 10)
