from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from optuna_gamma.vision import Dataset
from optuna_gamma.vision import load_dataset


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_dataset("digits", n_train=200, n_valid=100)
