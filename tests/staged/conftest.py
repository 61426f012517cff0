"""A staged study to try, and an objective that costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from benchmarks.chaos.server import fork_server
from benchmarks.chaos.server import Run
from optuna_gamma.staged import create_staged_study
from optuna_gamma.staged import Stage
from optuna_gamma.staged import StagedStudy


def random_sampler(seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.RandomSampler(seed=seed)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


@pytest.fixture(scope="session", autouse=True)
def _cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Copies of remote checkpoints stay out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def run(_cache_folder: None) -> Iterator[Run]:
    """Run workers, in processes, at the same time, and return their exit codes."""
    with fork_server() as run:
        yield run


@pytest.fixture
def create(tmp_path: Path) -> Callable[..., StagedStudy]:
    """Create a staged study "run" in the directory "run"."""

    def create(**options: Any) -> StagedStudy:
        options = {"directory": tmp_path / "run", "sampler": random_sampler, **options}
        return create_staged_study(study_name=options.pop("study_name", "run"), **options)

    return create


@pytest.fixture
def objective() -> Callable[[optuna.Trial, Stage], float]:
    """One parameter, which is the value; the state has those that led there."""

    def objective(trial: optuna.Trial, stage: Stage) -> float:
        state = stage.load() or {"path": []}
        x = trial.suggest_float("x", 0.0, 1.0)
        trial.set_user_attr("twice", 2 * x)
        stage.save(trial, {"path": [*state["path"], x]})
        return x

    return objective
