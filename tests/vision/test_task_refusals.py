"""What a task refuses, and how it says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import math
from pathlib import Path
import re
from typing import Any

import pytest
from torch import nn

from optuna_gamma import create_staged_study
from optuna_gamma.staged.per_stage import PerStage
from optuna_gamma.vision import Dataset
from optuna_gamma.vision import VisionTask
from tests.vision.tasks import linear
from tests.vision.tasks import MemoryStage
from tests.vision.tasks import space_of_lr
from tests.vision.tasks import train_once


@pytest.mark.parametrize(
    ("options", "space", "said"),
    [
        ({}, {}, '`space` must give "lr".* gave nothing'),
        ({}, {"lr": 0.1, "beta": 0.1}, "may give momentum.*, but gave lr, beta"),
        ({"optimizer": "adamw"}, {"lr": 0.1, "momentum": 0.1}, "gave lr, momentum"),
        ({}, {"lr": -0.1}, "`lr` must be finite and not negative, at most 1e.37, but got -0.1"),
        ({}, {"lr": 1e300}, "at most 1e.37, but got 1e.300"),
        ({}, {"lr": 0.1, "momentum": 1.0}, "`momentum` must be in"),
        ({}, {"lr": 0.1, "batch_size": 32.0}, "`batch_size` must be an int"),
        ({}, {"lr": 0.1, "dropout": -0.1}, "`dropout` must be in"),
        ({"momentum": 0.9, "nesterov": True}, {"lr": 0.1, "momentum": 0.0}, "nesterov"),
    ],
)
def test_wrong_spaces_are_refused(
    make: Callable[..., VisionTask],
    options: dict[str, Any],
    space: dict[str, float],
    said: str,
) -> None:
    with pytest.raises(ValueError, match=said):
        train_once(make(space=lambda trial: space, **options), MemoryStage(), 0.01)


@pytest.mark.parametrize("space", [{"lr": 0.1}, None, lambda trial: 0.1])
def test_a_space_is_a_function_to_a_dictionary(
    make: Callable[..., VisionTask], space: Any
) -> None:
    with pytest.raises(TypeError, match="`space` must"):
        train_once(make(space=space), MemoryStage(), 0.1)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("epochs_per_stage", (2, 0), r"an int of at least 1, or several, but got \(2, 0\)"),
        ("momentum", "0.9", "`momentum` must be a number, but got '0.9'"),
        ("batch_size", -1, "int of at least 1, but got -1"),
        ("batch_size", 32.0, "int of at least 1, but got 32.0"),
        ("momentum", 1.0, r"\[0, 1\), but got 1.0"),
        ("weight_decay", math.nan, "not negative, at most 1e.37, but got nan"),
        ("weight_decay", 1e300, "at most 1e.37, but got 1e.300"),
        ("dropout", 1.0, r"\[0, 1\), but got 1.0"),
        ("optimizer", "adam", "`optimizer` must be one of sgd, adamw, but got 'adam'"),
        ("augment", ["flip", "rotate"], "one of flip, crop, but got 'rotate'"),
        ("augment", "flip", r"a list such as \['flip'\]"),
        ("class_weights", "equal", "10 positive numbers, one a class, but got 'equal'"),
        ("class_weights", [1.0] * 9, "10 positive numbers"),
        ("class_weights", [*[1.0] * 9, 0.0], "10 positive numbers"),
        ("averaging", "ema", "`averaging` must be one of tail, but got 'ema'"),
        ("objective", "f1", "kappa, accuracy, loss, but got 'f1'"),
        ("model", "lenet", "Unknown network 'lenet'"),
        ("device", "abacus", "no device 'abacus' here"),
    ],
)
def test_wrong_arguments_are_refused(
    make: Callable[..., VisionTask], option: str, value: Any, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        make(**{option: value})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"optimizer": "adamw", "momentum": 0.9}, "`momentum` is 0.9.*'adamw' has neither"),
        ({"optimizer": "adamw", "nesterov": True}, "`nesterov` True"),
        ({"nesterov": True}, "`nesterov` needs a `momentum` above 0"),
        ({"model": "torchvision:resnet18", "dropout": 0.5}, "the network has no dropout layer"),
        ({"model": "keras-cifar"}, "from 10×10 up, but these are 8×8"),
        ({"model": "torchvision:alexnet"}, r"cannot take images of shape \(1, 8, 8\): "),
        (
            {"model": "torchvision:resnet18", "batch_size": 1},
            "`batch_size` must be at least 2.* a single image.*: Expected more than 1 value",
        ),
        (
            {"model": lambda shape, k: nn.Flatten()},
            r"logits of shape \(2, 10\), but gave \(2, 64\)",
        ),
    ],
)
def test_contradictions_are_refused(
    make: Callable[..., VisionTask], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        make(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": 3}, "`model` must be a network's name, or a function.* but got 3"),
        ({"data": (1, 2)}, "`data` must come from `load_dataset`.* but got a tuple"),
    ],
)
def test_what_is_no_task_is_refused(
    make: Callable[..., VisionTask], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(TypeError, match=said):
        make(**options)


def test_there_are_three_splits(make: Callable[..., VisionTask]) -> None:
    with pytest.raises(
        ValueError, match="`split` must be one of train, valid, test, but got 'tset'"
    ):
        make().evaluate({}, "tset")  # type: ignore[arg-type]


def test_the_wrong_direction_is_refused(make: Callable[..., VisionTask], tmp_path: Path) -> None:
    task = make(objective="loss")
    staged = create_staged_study(study_name="loss", directory=tmp_path)
    with pytest.raises(ValueError, match='direction="minimize"'):
        staged.optimize(task, 1, 2)


@pytest.mark.parametrize(("n_stages", "n_trials"), [(2, 6), (4, (6, 1, 1))])
def test_default_epochs_are_not_for_several_candidates_where_one_trains_on(
    make: Callable[..., VisionTask], tmp_path: Path, n_stages: int, n_trials: Any
) -> None:
    options = {"model": linear, "batch_size": 100}
    staged = create_staged_study(study_name="run", directory=tmp_path)
    said = (
        rf"{re.escape(repr(n_trials))}, but .* \(125, 2250\) that go with \(6, 1\).* such as 125"
    )
    with pytest.raises(ValueError, match=said):
        staged.optimize(make(epochs_per_stage=None, **options), n_stages, n_trials)
    assert staged.studies[0].trials == []
    make(epochs_per_stage=None).check_plan(n_stages - 1, PerStage.of("n_trials", n_trials))
    make(epochs_per_stage=None).check_plan(2, PerStage((12, 1)))
    make(epochs_per_stage=(2, 36)).check_plan(n_stages, PerStage.of("n_trials", n_trials))


def test_too_small_to_crop(digits: Dataset) -> None:
    narrow = {}
    for split in ("train", "valid", "test"):
        images, labels = getattr(digits, split)
        narrow[split] = images[..., :7], labels
    small = replace(digits, **narrow)
    with pytest.raises(ValueError, match="8×7 are too small to crop"):
        VisionTask(model="deep-conv", data=small, space=space_of_lr, augment=["crop"])
