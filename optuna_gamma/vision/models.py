"""Networks by name.

A network is one function of input shape and number of classes; to add one, write it and name it
in ``_MODELS``.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn
from torch import Tensor
from torchvision import models


_TORCHVISION = "torchvision:"


def create_model(
    name: str,
    input_shape: tuple[int, int, int],
    n_classes: int,
    dropout: float | None = None,
) -> nn.Module:
    """Build a network with fresh weights, drawn from PyTorch's global random numbers.

    Args:
        name: One of

            - ``"deep-conv"``: the thesis's network, three times two 3×3 convolutions and a
              pooling with 16, 32 and 64 channels, a dense layer of 50 and dropout of 0.5; ReLU
              and He initialisation. Takes images from 1×1 up; on 28×28 it has 123,552 parameters.
            - ``"keras-cifar"``: the network of Keras's CIFAR-10 example, twice two 3×3
              convolutions (the second one without padding), a pooling and dropout of 0.25 with 32
              and 64 channels, a dense layer of 512 and dropout of 0.5; ReLU and Glorot's uniform
              initialisation. Takes images from 10×10 up; on 32×32×3 it has 1,250,858 parameters.
            - ``"torchvision:NAME"``: a classification network of torchvision, such as
              ``"torchvision:resnet18"``, untrained, without auxiliary outputs. Images of one
              channel are given to all three of its input channels. Many of these networks need
              images larger than 32×32.
        input_shape: Channels, height and width of an image.
        n_classes: Number of classes.
        dropout: Rate of the strongest dropout layers, in [0, 1). The others keep their share of
            it: with 0.4 those of ``"keras-cifar"`` drop 0.2, 0.2 and 0.4. Default: the network's
            own rates.

    Returns:
        A module from images ``(n, channels, height, width)`` to logits ``(n, n_classes)``.

    Raises:
        ValueError: If the name is unknown, the network cannot take such images or has no dropout.

    Example:
        >>> import torch
        >>> model = create_model("deep-conv", (1, 8, 8), 10)
        >>> model(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 10])

    Reference:
        Y. H. Kim, doctoral thesis, Pukyong National University, chapter 5, after the
        ``DeepConvNet`` of K. Saitoh, "Deep Learning from Scratch", O'Reilly Japan, 2016. He
        initialisation: K. He et al., "Delving Deep into Rectifiers", ICCV 2015. ``cifar10_cnn.py``
        in the examples of Keras 2. Glorot initialisation: X. Glorot and Y. Bengio, AISTATS 2010.
    """
    if name.startswith(_TORCHVISION):
        model = _torchvision(name, input_shape, n_classes)
    elif name in _MODELS:
        model = _MODELS[name](input_shape, n_classes)
    else:
        known = ", ".join([*_MODELS, f"{_TORCHVISION}NAME"])
        raise ValueError(f"Unknown network {name!r}; known are {known}.")
    if dropout is not None:
        set_dropout(model, dropout)
    return model


def set_dropout(model: nn.Module, rate: float) -> None:
    """Set the dropout of a network that has some.

    Args:
        model: The network, changed in place.
        rate: As ``dropout`` of :func:`create_model`.

    Raises:
        ValueError: If the rate is outside its range or the network has no dropout layer.
    """
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"`dropout` must be in [0, 1), but got {rate}.")
    kinds = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
    layers = [layer for layer in model.modules() if isinstance(layer, kinds)]
    if not layers:
        raise ValueError(
            f"`dropout` is {rate}, but the network has no dropout layer. Leave it out, or take "
            "another network."
        )
    strongest = max(layer.p for layer in layers)
    for layer in layers:
        layer.p = rate * layer.p / strongest if strongest > 0 else rate


def _deep_conv(input_shape: tuple[int, int, int], n_classes: int) -> nn.Module:
    channels, height, width = input_shape
    layers: list[nn.Module] = []
    for filters in (16, 32, 64):
        for _ in range(2):
            layers += [nn.Conv2d(channels, filters, kernel_size=3, padding=1), nn.ReLU()]
            channels = filters
        # Rounding up keeps the last row and column: 28 -> 14 -> 7 -> 4, and 8 -> 4 -> 2 -> 1.
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
        height, width = (height + 1) // 2, (width + 1) // 2
    layers += [nn.Flatten(), nn.Linear(channels * height * width, 50), nn.ReLU()]
    layers += [nn.Dropout(0.5), nn.Linear(50, n_classes)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def _keras_cifar(input_shape: tuple[int, int, int], n_classes: int) -> nn.Module:
    channels, height, width = input_shape
    if min(height, width) < 10:
        raise ValueError(
            f"keras-cifar takes images from 10×10 up, but these are {height}×{width}."
        )
    layers: list[nn.Module] = []
    for filters in (32, 64):
        layers += [nn.Conv2d(channels, filters, kernel_size=3, padding=1), nn.ReLU()]
        layers += [nn.Conv2d(filters, filters, kernel_size=3), nn.ReLU()]
        layers += [nn.MaxPool2d(2), nn.Dropout(0.25)]
        channels, height, width = filters, (height - 2) // 2, (width - 2) // 2
    layers += [nn.Flatten(), nn.Linear(channels * height * width, 512), nn.ReLU()]
    layers += [nn.Dropout(0.5), nn.Linear(512, n_classes)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def _torchvision(name: str, input_shape: tuple[int, int, int], n_classes: int) -> nn.Module:
    kind = name.removeprefix(_TORCHVISION)
    known = models.list_models(module=models)
    if kind not in known:
        raise ValueError(
            f"Unknown network {name!r}; torchvision's classification networks are "
            f"{', '.join(known)}."
        )
    channels = input_shape[0]
    if channels not in (1, 3):
        raise ValueError(f"{name} takes images of 1 or 3 channels, but these have {channels}.")
    options = {"aux_logits": False, "init_weights": True} if kind in _WITH_AUXILIARY else {}
    model: nn.Module = models.get_model(kind, weights=None, num_classes=n_classes, **options)
    if channels == 1:
        model.register_forward_pre_hook(_to_three_channels)
    return model


def _to_three_channels(model: nn.Module, args: tuple[Tensor]) -> Tensor:
    return args[0].expand(-1, 3, -1, -1)


_WITH_AUXILIARY = ("googlenet", "inception_v3")

_MODELS: dict[str, Callable[[tuple[int, int, int], int], nn.Module]] = {
    "deep-conv": _deep_conv,
    "keras-cifar": _keras_cifar,
}
