from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import optuna
import pytest

from benchmarks.staged import autolrs
from benchmarks.staged.lab import Lab
from benchmarks.staged.lab import State
from optuna_gamma.vision.sources import DATA_VARIABLE


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    monkeypatch.setattr(autolrs, "FIRST_STAGE", 20)
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, list[float]]]:
    """Of each segment trained: first step, seed, and the rates of its steps, counted apart."""
    seen: list[tuple[int, int, list[float]]] = []
    train = Lab.train

    def watch(
        self: Lab,
        state: State | None,
        rate: Any,
        n_steps: int,
        seed: int,
        average_after: Sequence[int],
    ) -> State:
        rates: list[float] = []
        seen.append((0 if state is None else state.step, seed, rates))

        def counted(step: int) -> float:
            rates.append(rate(step))
            return rates[-1]

        return train(self, state, counted, n_steps, seed, average_after)

    monkeypatch.setattr(Lab, "train", watch)
    return seen
