from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from optuna_gamma.vision import create_model
from optuna_gamma.vision.models import set_dropout


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


def test_keras_cifar_is_the_network_of_the_example() -> None:
    model = create_model("keras-cifar", (3, 32, 32), 10)
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [32, 32, 64, 64]
    assert [layer.padding for layer in convolutions] == [(1, 1), (0, 0), (1, 1), (0, 0)]
    assert _rates(model) == [0.25, 0.25, 0.5]
    assert sum(weights.numel() for weights in model.parameters()) == 1_250_858  # Keras counts it
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fans = (layer.weight.shape[0] + layer.weight.shape[1]) * layer.weight[0, 0].numel()
            assert layer.weight.abs().max().item() == pytest.approx(math.sqrt(6 / fans), rel=0.02)
    assert create_model("keras-cifar", (1, 10, 11), 3)(torch.zeros(2, 1, 10, 11)).shape == (2, 3)
    with pytest.raises(ValueError, match="from 10×10 up, but these are 9×32"):
        create_model("keras-cifar", (3, 9, 32), 10)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "googlenet"])
@pytest.mark.parametrize("channels", [1, 3])
def test_torchvision_networks(name: str, channels: int) -> None:
    model = create_model(f"torchvision:{name}", (channels, 64, 64), 7)
    assert model(torch.zeros(2, channels, 64, 64)).shape == (2, 7)
    # A saved network is torchvision's own, whatever its images.
    assert (
        model.state_dict().keys()
        == create_model(f"torchvision:{name}", (3, 64, 64), 7).state_dict().keys()
    )


def test_torchvision_refuses_other_channels_and_names() -> None:
    with pytest.raises(ValueError, match="1 or 3 channels, but these have 4"):
        create_model("torchvision:resnet18", (4, 32, 32), 10)
    for name in ("resnet19", "", "fcn_resnet50"):
        with pytest.raises(ValueError, match=f"'torchvision:{name}'.*alexnet.*resnet18"):
            create_model(f"torchvision:{name}", (3, 32, 32), 10)


def _rates(model: nn.Module) -> list[float]:
    return [layer.p for layer in model.modules() if isinstance(layer, nn.Dropout)]


def test_dropout_keeps_the_shares_of_the_layers() -> None:
    assert _rates(create_model("deep-conv", (1, 8, 8), 10, dropout=0.1)) == [0.1]
    assert _rates(create_model("keras-cifar", (1, 10, 10), 10, dropout=0.4)) == [0.2, 0.2, 0.4]
    none = create_model("keras-cifar", (1, 10, 10), 10, dropout=0.0)
    assert _rates(none) == [0.0, 0.0, 0.0]
    set_dropout(none, 0.3)
    assert _rates(none) == [0.3, 0.3, 0.3]


@pytest.mark.parametrize(
    ("name", "rate", "said"),
    [
        ("deep-conv", 1.0, r"\[0, 1\), but got 1.0"),
        ("deep-conv", math.nan, "but got nan"),
        ("torchvision:resnet18", 0.5, "`dropout` is 0.5, but the network has no dropout layer"),
    ],
)
def test_impossible_dropout_is_refused(name: str, rate: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        create_model(name, (3, 32, 32), 10, dropout=rate)


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
    with pytest.raises(ValueError, match=r"'lenet'.*deep-conv, keras-cifar, torchvision:NAME"):
        create_model("lenet", (1, 8, 8), 10)
