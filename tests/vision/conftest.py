from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from optuna_gamma.vision import Dataset
from optuna_gamma.vision import load_dataset
from optuna_gamma.vision import VisionTask
from tests.vision.tasks import space_of_lr


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_dataset("digits", n_train=200, n_valid=100)


@pytest.fixture
def make(digits: Dataset) -> Callable[..., VisionTask]:
    def make(**options: Any) -> VisionTask:
        given = {"model": "deep-conv", "data": digits, "space": space_of_lr, "epochs_per_stage": 1}
        return VisionTask(**{**given, **options})

    return make
