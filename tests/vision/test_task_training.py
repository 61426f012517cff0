"""How a trial is trained: random numbers, optimizers, images, what is searched."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
import copy
from dataclasses import replace
import math
from typing import Any

import pytest
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from optuna_gamma import kappa
from optuna_gamma.vision import create_model
from optuna_gamma.vision import Dataset
from optuna_gamma.vision import task as task_module
from optuna_gamma.vision import VisionTask
from optuna_gamma.vision.augmentation import Views
from optuna_gamma.vision.trainer import random_numbers
from optuna_gamma.vision.trainer import train_epoch
from tests.vision.tasks import linear
from tests.vision.tasks import MemoryStage
from tests.vision.tasks import train_once


CPU = torch.device("cpu")


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, Tensor):
        return a.equal(b)
    return bool(a == b)


def test_candidates_of_a_stage_share_their_random_numbers(
    make: Callable[..., VisionTask],
) -> None:
    task, stage = make(momentum=0.9), MemoryStage()
    value, state = train_once(task, stage, 0.02)
    train_once(task, stage, 0.05)
    torch.manual_seed(123)
    torch.rand(5)
    again, same_state = train_once(task, stage, 0.02)
    assert value == again
    assert _same(state, same_state)
    # Nor does it matter who came before, or that this is another object.
    alone, alone_state = train_once(make(momentum=0.9), MemoryStage(), 0.02)
    assert value == alone
    assert _same(state, alone_state)

    parent = copy.deepcopy(state)
    second = MemoryStage(number=1, seed=8, parent=parent)
    results = [train_once(task, second, lr) for lr in (0.03, 0.01, 0.03)]
    assert results[0][0] == results[2][0]
    assert _same(results[0][1], results[2][1])
    assert _same(parent, state)  # what the stage gave is left as it was


def test_another_seed_is_another_training(make: Callable[..., VisionTask]) -> None:
    task = make()
    first, second = (train_once(task, MemoryStage(seed=seed), 0.02)[1]["model"] for seed in (1, 2))
    assert not _same(first, second)


def test_random_numbers_of_the_caller_are_left_alone(make: Callable[..., VisionTask]) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    task, stage = make(), MemoryStage()
    _, state = train_once(task, stage, 0.02)
    task.evaluate(state)
    assert torch.get_rng_state().equal(before)
    with suppress(ZeroDivisionError), random_numbers(0, CPU):
        torch.rand(1)
        raise ZeroDivisionError
    assert torch.get_rng_state().equal(before)


def test_trains_as_the_textbook_loop(make: Callable[..., VisionTask], digits: Dataset) -> None:
    """The naive twin: the same random numbers, SGD with momentum written out."""
    lr, momentum, decay, size, epochs = 0.05, 0.9, 1e-2, 30, 2
    task = make(
        momentum=momentum,
        weight_decay=decay,
        batch_size=size,
        epochs_per_stage=epochs,
        averaging=None,
        device="cpu",
    )
    value, state = train_once(task, MemoryStage(seed=11), lr)

    images, labels = digits.train
    with random_numbers(11, CPU):
        model = create_model("deep-conv", digits.input_shape, digits.n_classes)
        velocities = [torch.zeros_like(weights) for weights in model.parameters()]
        for _ in range(epochs):
            order = torch.randperm(len(images))
            for start in range(0, len(images), size):
                batch = order[start : start + size]
                model.zero_grad()
                F.cross_entropy(model(images[batch]), labels[batch]).backward()
                with torch.no_grad():
                    for weights, velocity in zip(model.parameters(), velocities, strict=True):
                        assert weights.grad is not None
                        velocity.mul_(momentum).add_(weights.grad + decay * weights)
                        weights -= lr * velocity
    for name, weights in model.state_dict().items():
        torch.testing.assert_close(state["model"][name], weights, rtol=1e-3, atol=1e-4)

    model.eval()
    with torch.no_grad():
        logits = model(digits.valid[0])
    accuracy = (logits.argmax(1) == digits.valid[1]).double().mean().item()
    loss = F.cross_entropy(logits, digits.valid[1]).item()
    assert value == pytest.approx(kappa(accuracy, loss), rel=1e-3)


def test_learning_rate_is_the_trials_after_loading(make: Callable[..., VisionTask]) -> None:
    task = make(momentum=0.9)
    _, parent = train_once(task, MemoryStage(), 0.02)
    _, state = train_once(task, MemoryStage(parent=parent), 0.005)
    (group,) = state["optimizer"]["param_groups"]
    assert group["lr"] == 0.005
    assert len(state["optimizer"]["state"]) == len(state["model"])  # the momentum buffers


def test_single_images_train_what_does_not_normalise_batches(
    make: Callable[..., VisionTask],
) -> None:
    value, _ = train_once(make(batch_size=1), MemoryStage(), 1e-3)
    assert math.isfinite(value)


def test_all_settings_can_be_searched(make: Callable[..., VisionTask]) -> None:
    settings = {"lr": 0.01, "momentum": 0.5, "weight_decay": 0.25}
    _, state = train_once(make(space=lambda trial: settings), MemoryStage(), 0.01)
    (group,) = state["optimizer"]["param_groups"]
    assert settings.items() <= group.items()


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({"optimizer": "sgd"}, {"momentum": 0.8, "weight_decay": 0.01}),
        ({"nesterov": True, "momentum": 0.5}, {"momentum": 0.8, "weight_decay": 0.01}),
        ({"optimizer": "adamw"}, {"weight_decay": 0.01}),
    ],
)
def test_optimizers_go_on_from_stage_to_stage(
    make: Callable[..., VisionTask],
    digits: Dataset,
    options: dict[str, Any],
    settings: dict[str, float],
) -> None:
    """The naive twin: PyTorch's optimiser, never saved; a stage of one batch, so no order."""
    task = make(
        model=linear,
        batch_size=200,
        space=lambda trial: {"lr": trial.suggest_float("lr", 0, 1), **settings},
        device="cpu",
        **options,
    )
    state = None
    for number, lr in enumerate([0.01, 0.03, 0.02]):
        _, state = train_once(task, MemoryStage(number=number, parent=state), lr)

    with random_numbers(7, CPU):
        model = linear(digits.input_shape, digits.n_classes)
    kind = torch.optim.AdamW if options.get("optimizer") == "adamw" else torch.optim.SGD
    nesterov = {"nesterov": True} if "nesterov" in options else {}
    optimizer = kind(model.parameters(), lr=1.0, **settings, **nesterov)
    for lr in (0.01, 0.03, 0.02):
        optimizer.param_groups[0]["lr"] = lr
        optimizer.zero_grad()
        F.cross_entropy(model(digits.train[0]), digits.train[1]).backward()
        optimizer.step()
    for name, weights in model.state_dict().items():
        torch.testing.assert_close(state["model"][name], weights, rtol=1e-3, atol=1e-4)


def test_momentum_may_be_nothing_first(make: Callable[..., VisionTask]) -> None:
    momenta = iter([0.0, 0.9])
    task = make(space=lambda trial: {"lr": 0.01, "momentum": next(momenta)})
    _, state = train_once(task, MemoryStage(), 0.01)
    _, state = train_once(task, MemoryStage(parent=state), 0.01)
    buffers = state["optimizer"]["state"].values()
    assert all(weights["momentum_buffer"].any() for weights in buffers)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_buffers_that_were_loaded_lie_in_the_order_of_their_parameters(
    make: Callable[..., VisionTask], monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    momentum = {"momentum": 0.9} if optimizer == "sgd" else {}
    task = make(optimizer=optimizer, **momentum)
    _, state = train_once(task, MemoryStage(), 0.01)

    def as_read_from_a_file(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: as_read_from_a_file(item) for key, item in value.items()}
        return value.contiguous() if isinstance(value, Tensor) else value

    seen: list[torch.optim.Optimizer] = []

    def look(model: nn.Module, optimizer: torch.optim.Optimizer, *others: Any) -> float:
        seen.append(optimizer)
        for parameter, buffers in optimizer.state.items():
            for buffer in buffers.values():
                if isinstance(buffer, Tensor) and buffer.shape == parameter.shape:
                    assert buffer.stride() == parameter.stride()
        return train_epoch(model, optimizer, *others)

    monkeypatch.setattr(task_module, "train_epoch", look)
    train_once(task, MemoryStage(parent=as_read_from_a_file(state)), 0.01)
    assert any(
        parameter.dim() == 4 and not parameter.is_contiguous() for parameter in seen[0].state
    )


@pytest.mark.parametrize("name", ["batch_size", "dropout"])
def test_candidates_see_the_same_images_in_the_same_order(
    make: Callable[..., VisionTask], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whatever they search: on a CPU a dropout of 0 takes no numbers from the common stream."""
    seen: list[Tensor] = []
    views = Views.__call__

    def watch(self: Views, batch: Tensor) -> Tensor:
        images = views(self, batch)
        seen.append(images)
        return images

    monkeypatch.setattr(Views, "__call__", watch)
    orders = []
    for value in {"batch_size": (20, 50), "dropout": (0.0, 0.5)}[name]:
        seen.clear()
        task = make(
            space=lambda trial, value=value: {"lr": 0.01, name: value},
            epochs_per_stage=2,
            augment=["crop", "flip"],
            device="cpu",
        )
        train_once(task, MemoryStage(), 0.01)
        orders.append(torch.cat(seen))
    assert orders[0].equal(orders[1])
    first, second = orders[0].split(200)
    assert not first.equal(second)


def test_searched_batch_size_is_used(make: Callable[..., VisionTask]) -> None:
    space = {"lr": 0.02, "batch_size": 20}
    searched, _ = train_once(make(space=lambda trial: space), MemoryStage(), 0.02)
    given, _ = train_once(make(batch_size=20), MemoryStage(), 0.02)
    other, _ = train_once(make(), MemoryStage(), 0.02)
    assert searched == given != other


def test_dropout_is_the_trials(make: Callable[..., VisionTask]) -> None:
    of_the_network, _ = train_once(make(), MemoryStage(), 0.02)
    given, _ = train_once(make(dropout=0.5), MemoryStage(), 0.02)
    space = {"lr": 0.02, "dropout": 0.5}
    searched, _ = train_once(make(space=lambda trial: space, dropout=0.1), MemoryStage(), 0.02)
    other, _ = train_once(make(dropout=0.1), MemoryStage(), 0.02)
    assert of_the_network == given == searched != other


def test_class_weights(make: Callable[..., VisionTask], digits: Dataset) -> None:
    images, labels = digits.train
    kept = torch.cat([(labels == k).nonzero()[: 2 + 2 * k, 0] for k in range(10)])
    unbalanced = replace(digits, train=(images[kept], labels[kept]))
    counts = torch.bincount(labels[kept]).double()
    weights = (len(kept) / 10 / counts).tolist()

    def train(**options: Any) -> tuple[float, Any]:
        return train_once(make(data=unbalanced, **options), MemoryStage(), 0.02)

    balanced, given, plain = (
        train(class_weights="balanced"),
        train(class_weights=weights),
        train(),
    )
    assert balanced[0] == pytest.approx(given[0], rel=1e-4)
    assert balanced[0] != plain[0]
    assert train(class_weights=[1.0] * 10)[0] == pytest.approx(plain[0], rel=1e-4)


def test_single_image_left_over_with_batch_normalisation(digits: Dataset) -> None:
    images, labels = (split[:41] for split in digits.train)
    sizes: list[int] = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.BatchNorm1d(10))
    model.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    for size, expected in ((20, [20, 20]), (39, [39, 2])):
        sizes.clear()
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        assert math.isfinite(train_epoch(model, optimizer, images, labels, size))
        assert sizes == expected


def test_own_network(make: Callable[..., VisionTask]) -> None:
    task = make(model=linear)
    _, state = train_once(task, MemoryStage(), 0.1)
    assert task.evaluate(state).accuracy > 0.3
    assert task.fingerprint["model"].endswith("linear")  # type: ignore[union-attr]
