"""Random views of images, drawn for a whole epoch and made batch by batch on the device."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import torch
from torch import Tensor


Augmentation = Literal["flip", "crop"]


class Views:
    """How each image is seen in one epoch.

    Everything is drawn here, from PyTorch's global random numbers, for one image after the other:
    an image's view depends neither on the batch it is in nor on the batches before. (torchvision's
    transforms draw once for all images of a batch, so that there each image must be transformed
    by itself: 9 ms for 128 images of 32×32 on a CPU, where this takes 0.4 ms.)

    Args:
        images: ``(n, channels, height, width)``.
        augment: ``"flip"``: half of the images are mirrored left to right. ``"crop"``: each image
            is moved by up to an eighth of its shorter side, both ways, the border filled by
            reflection.

    Reference:
        K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2 (on
        32×32, 4 pixels, filled with zeros); reflection as in K. Jordan, ``airbench``, 2024.
    """

    def __init__(self, images: Tensor, augment: Collection[Augmentation]) -> None:
        self._images = images
        self._active = bool(augment)
        n, _, height, width = images.shape
        # Of each image, the source's row of each row and the source's column of each column.
        rows = torch.arange(height).expand(n, -1)
        columns = torch.arange(width).expand(n, -1)
        if "flip" in augment:
            columns = torch.where(torch.rand(n, 1) < 0.5, columns.flip(1), columns)
        if "crop" in augment:
            reach = crop_reach(height, width)
            down, right = torch.randint(-reach, reach + 1, (2, n, 1))
            rows, columns = _reflect(rows + down, height), _reflect(columns + right, width)
        self._rows = rows.to(images.device)
        self._columns = columns.to(images.device)

    def __call__(self, batch: Tensor) -> Tensor:
        """Return the views of some images.

        Args:
            batch: Indices of the images, ``(b,)``.

        Returns:
            ``(b, channels, height, width)``.
        """
        images = self._images[batch]
        if not self._active:
            return images
        channels, width = images.shape[1], images.shape[3]
        pixels = self._rows[batch, :, None] * width + self._columns[batch, None, :]
        pixels = pixels.flatten(1)[:, None].expand(-1, channels, -1)
        return images.flatten(2).gather(2, pixels).view_as(images)


def crop_reach(height: int, width: int) -> int:
    """Return by how many pixels ``"crop"`` moves an image at most."""
    return min(height, width) // 8


def _reflect(index: Tensor, size: int) -> Tensor:
    return (size - 1) - ((size - 1) - index.abs()).abs()
