"""The training loop, on tensors that stay on the device."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
import contextlib
import math

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from optuna_gamma.vision.augmentation import Augmentation
from optuna_gamma.vision.augmentation import Views


# Small enough that the activations stay in a CPU's cache: on two cores batches of 250 took half
# the time of batches of 2,000 (10,000 images of 28×28). A GPU is fed enough by 2,000.
_EVALUATION_BATCH = {"cpu": 250}

_LARGE_IMAGE = 3 * 32 * 32
"""Number of values above which fewer images are evaluated at once, so that memory suffices."""

# A look at the loss makes a GPU wait for it, so it is not taken at every step.
_STEPS_BETWEEN_CHECKS = 100


def resolve_device(device: str) -> torch.device:
    """Return the device to train on.

    Args:
        device: ``"auto"`` (the accelerator if there is one, else the CPU) or what
            :class:`torch.device` takes.

    Raises:
        ValueError: If there is no such device on this machine.
    """
    accelerator = None
    if torch.accelerator.is_available():
        accelerator = torch.accelerator.current_accelerator()
    here = torch.device("cpu") if accelerator is None else accelerator
    if device == "auto":
        return here
    try:
        wanted = torch.device(device)
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError, ImportError) as error:
        raise ValueError(
            f'There is no device {device!r} here; "auto" would use {str(here)!r}.'
        ) from error
    return wanted


@contextlib.contextmanager
def random_numbers(seed: int, device: torch.device) -> Iterator[None]:
    """Seed PyTorch's global random numbers inside the context and restore them after it.

    Whatever is built and trained inside draws the same initial weights, batches and dropout masks
    for the same seed: candidates that differ in their learning rate alone are compared with
    common random numbers.
    """
    cpu = device.type == "cpu"
    # Those of the CPU are forked in any case; PyTorch 2.6 takes no None for a type.
    with torch.random.fork_rng(
        [] if cpu else [device], device_type="cuda" if cpu else device.type
    ):
        torch.default_generator.manual_seed(seed)
        if not cpu:
            with _current(device):
                torch.get_device_module(device).manual_seed(seed)
        yield


def _current(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Make a GPU the current one, which PyTorch's functions without a device are about."""
    if device.type == "cuda":
        return torch.cuda.device(device)
    return contextlib.nullcontext()


def to_device(model: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to the device, in the memory layout that is fast there."""
    model = model.to(device)
    if device.type != "mps":  # not measured there
        # Times of a step in this layout and in the default one, on one CPU core: deep-conv 17 and
        # 26 ms, keras-cifar 137 and 164 ms, resnet18 on 32×32 191 and 193 ms. The layout of the
        # images makes no difference.
        model.to(memory_format=torch.channels_last)
    return model


def precision(device: torch.device) -> torch.autocast:
    """Mixed precision where it pays: bfloat16, which needs no loss scaling, on recent GPUs."""
    pays = False
    if device.type == "cuda":
        with _current(device):
            pays = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=pays)


def train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    batch_size: int,
    augment: Collection[Augmentation] = (),
    class_weights: Tensor | None = None,
    after_step: Callable[[], object] | None = None,
) -> float:
    """Train for one epoch of shuffled batches; see :func:`shuffled_batches`.

    Args:
        model: The network, on the device of the data. Changed in place.
        optimizer: Its optimizer.
        images: ``(n, channels, height, width)``.
        labels: ``(n,)``.
        batch_size: Number of images in a batch.
        augment: See :class:`~optuna_gamma.vision.augmentation.Views`.
        class_weights: Weights of the classes in the loss, ``(n_classes,)``. Default: all alike.
        after_step: Called after each step of the optimizer.

    Returns:
        The mean cross-entropy of the batches while training. It is not finite if training
        diverged, in which case the epoch is not finished.
    """
    model.train()
    total = torch.zeros((), device=images.device)
    batches = shuffled_batches(model, images, batch_size, augment)
    for step, (views, batch) in enumerate(batches, start=1):
        with precision(images.device):
            loss = F.cross_entropy(model(views), labels[batch], class_weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if after_step is not None:
            after_step()
        total += loss.detach()
        if step % _STEPS_BETWEEN_CHECKS == 0 and not total.isfinite():
            break
    return float(total) / step


def shuffled_batches(
    model: nn.Module, images: Tensor, batch_size: int, augment: Collection[Augmentation]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw an epoch's batches from PyTorch's global random numbers.

    Yields:
        As often as :func:`n_batches` says, views of the images of a batch,
        ``(b, channels, height, width)``, and the images' indices, ``(b,)``.
    """
    order = torch.randperm(len(images)).to(images.device)
    draw = Views(images, augment)
    for batch in order.split(batch_size)[: n_batches(model, len(images), batch_size)]:
        yield draw(batch), batch


def n_batches(model: nn.Module, n_images: int, batch_size: int) -> int:
    """Return the number of batches of an epoch, of which the last one holds what is left.

    If a single image is left, a network with batch normalisation, which needs two, is not given
    it.
    """
    single = n_images % batch_size == 1
    return math.ceil(n_images / batch_size) - (single and _normalises_batches(model))


def _normalises_batches(model: nn.Module) -> bool:
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
    return any(isinstance(layer, kinds) for layer in model.modules())


@torch.inference_mode()
def predict(model: nn.Module, images: Tensor) -> Tensor:
    """Return the logits of images, ``(n, n_classes)``, without dropout."""
    model.eval()
    largest = _EVALUATION_BATCH.get(images.device.type, 2000)
    n_values = max(math.prod(images.shape[1:]), _LARGE_IMAGE)
    batches = images.split(max(largest * _LARGE_IMAGE // n_values, 1))
    with precision(images.device):
        return torch.cat([model(batch) for batch in batches]).float()
