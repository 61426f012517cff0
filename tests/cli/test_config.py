"""``optuna-gamma train --config``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from typer.testing import Result

from optuna_gamma.cli.app import app
from optuna_gamma.cli.options import read_config
from optuna_gamma.cli.options import TrainOptions


Trained = Callable[..., Result]


def run(*options: str) -> Result:
    return CliRunner().invoke(app, ["train", *options])


def repeatable(out: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return {name: metrics[name] for name in ("stages", "final", "fingerprint", "seed")}


def test_a_run_is_repeated_from_its_own_file(
    finished: tuple[Path, Result], tmp_path: Path
) -> None:
    first, _ = finished
    again = tmp_path / "again"
    result = run("--config", str(first / "config.toml"), "--out", str(again))
    assert result.exit_code == 0, result.output
    assert repeatable(again) == repeatable(first)
    assert replace(TrainOptions.read(again), out=first) == TrainOptions.read(first)


def test_the_same_command_resumes(finished: tuple[Path, Result]) -> None:
    first, _ = finished
    result = run("--config", str(first / "config.toml"))
    assert result.exit_code == 0, result.output
    assert f"{first} holds this run, finished" in result.output


def test_options_that_are_given_count_more(trained: Trained, tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(
        "stages = 3\ntrials = [2, 1]\nmomentum = [0.5, 0.9]\nlr-min = 0.01\nlr_max = 0.1\n"
        'augment = ["crop", "flip"]\nquiet = true\n'
    )
    trained(tmp_path / "run", "--config", str(file), "--epochs-per-stage", "1")
    options = TrainOptions.read(tmp_path / "run")
    assert options.stages == 2  # given by `trained`
    assert options.trials == 3
    assert options.momentum == (0.5, 0.9)
    assert (options.lr_min, options.lr_max) == (0.01, 0.1)
    assert options.augment == ("crop", "flip")
    assert not options.quiet  # of the call, not of the run


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("learning-rate = 0.1", "'learning-rate', which is none of dataset"),
        ("stages = ", "is not TOML"),
        ("[train]\nstages = 2", "has 'train'"),
        ("stages = 1979-05-27", "where one value is expected"),
        ("stages = 0", "greater than or equal to 1"),
        ('sampler = "magic"', "'magic' is not one of"),
        ("trials = [0]", "neither a whole number of at least 1"),
    ],
)
def test_a_bad_file_is_refused(content: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(content)
    result = run("--config", str(file), "--out", str(tmp_path / "run"))
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())
    assert not (tmp_path / "run").exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere\.toml cannot be read"):
        read_config(tmp_path / "nowhere.toml")
