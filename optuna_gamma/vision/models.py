"""Networks by name.

A network is one function of input shape and number of classes; to add one, write it and name it
in ``_MODELS``.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


def create_model(name: str, input_shape: tuple[int, int, int], n_classes: int) -> nn.Module:
    """Build a network with fresh weights, drawn from PyTorch's global random numbers.

    Args:
        name: ``"deep-conv"``: the thesis's network, three times two 3×3 convolutions and a
            pooling with 16, 32 and 64 channels, a dense layer of 50 and dropout of 0.5; ReLU and
            He initialisation. Takes images from 1×1 up; on 28×28 it has 123,552 parameters.
        input_shape: Channels, height and width of an image.
        n_classes: Number of classes.

    Returns:
        A module from images ``(n, channels, height, width)`` to logits ``(n, n_classes)``.

    Raises:
        ValueError: If the name is unknown.

    Example:
        >>> import torch
        >>> model = create_model("deep-conv", (1, 8, 8), 10)
        >>> model(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 10])

    Reference:
        Y. H. Kim, doctoral thesis, Pukyong National University, chapter 5, after the
        ``DeepConvNet`` of S. Goki, "Deep Learning from Scratch", O'Reilly Japan, 2016. He
        initialisation: K. He et al., "Delving Deep into Rectifiers", ICCV 2015.
    """
    if name not in _MODELS:
        raise ValueError(f"Unknown network {name!r}; known are {', '.join(_MODELS)}.")
    return _MODELS[name](input_shape, n_classes)


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


_MODELS: dict[str, Callable[[tuple[int, int, int], int], nn.Module]] = {"deep-conv": _deep_conv}
