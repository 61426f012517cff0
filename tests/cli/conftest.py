"""Runs of the command line, small ones."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
import torch
from typer.testing import CliRunner
from typer.testing import Result

from optuna_gamma.cli.app import app


Train = Callable[..., Result]
"""From a run's folder and further options to how the command ended."""

SMALL = [
    *("--n-train", "100", "--n-valid", "60", "--epochs-per-stage", "2"),
    *("--stages", "2", "--trials", "3", "--device", "cpu"),
]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threads, verbosity = torch.get_num_threads(), optuna.logging.get_verbosity()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    optuna.logging.set_verbosity(verbosity)


def _train(out: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["train", *SMALL, "--out", str(out), *options])


def _trained(out: Path, *options: str) -> Result:
    result = _train(out, *options)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="session")
def small() -> list[str]:
    """Options of a small run."""
    return SMALL


@pytest.fixture(scope="session")
def train() -> Train:
    """Run the command."""
    return _train


@pytest.fixture(scope="session")
def trained() -> Train:
    """Run the command, which must succeed."""
    return _trained


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    return out, _trained(out)
