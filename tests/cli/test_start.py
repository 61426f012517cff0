"""The command itself: help, version, options."""

from __future__ import annotations

import os
from pathlib import Path
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from optuna_gamma.cli.app import app
from optuna_gamma.cli.options import TrainOptions


def _python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        check=False,
    )


def test_help_imports_nothing_heavy() -> None:
    done = _python(
        "import sys; from optuna_gamma.cli import main\n"
        "try: main()\n"
        "finally: print([m for m in ('torch', 'optuna', 'numpy') if m in sys.modules])",
        "train",
        "--help",
    )
    assert done.returncode == 0
    assert "--epochs-per-stage" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("optuna-gamma 0.1")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["st"], ["status"]),
        (["train", "--sam"], ["--sampler"]),
        (["train", "--sampler", "ga"], ["gamma", "gaussian"]),
    ],
)
def test_bash_completes(words: list[str], completed: list[str], tmp_path: Path) -> None:
    program = tmp_path / "optuna-gamma"
    program.write_text(f"#!{sys.executable}\nfrom optuna_gamma.cli import main\nmain()\n")
    program.chmod(0o755)
    script = """
        eval "$(optuna-gamma --show-completion bash)"
        COMP_WORDS=(optuna-gamma "$@") COMP_CWORD=$#
        _optuna_gamma_completion optuna-gamma
        printf '%s\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", script, "bash", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        check=True,
    )
    assert done.stdout.split() == completed


@pytest.mark.parametrize(("missing", "extra"), [("typer", "cli"), ("torch", "train")])
def test_missing_extra_names_the_pip_command(missing: str, extra: str) -> None:
    script = f"import sys; sys.modules['{missing}'] = None\n" + (
        "from optuna_gamma.cli import main; main()"
    )
    done = _python(script, "train")
    assert done.returncode == 1
    assert f"pip install 'optuna-gamma[{extra}]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_options_as_toml() -> None:
    tomllib = pytest.importorskip("tomllib")
    options = TrainOptions(
        dataset='npz:C:\\a "b"\n€\x7f.npz',
        model="deep-conv",
        stages=4,
        trials=8,
        epochs_per_stage=None,
        sampler="gamma",
        objective="kappa",
        lr_min=1e-05,
        lr_max=0.5,
        n_train=None,
        n_valid=100,
        batch_size=50,
        optimizer="sgd",
        momentum=(0.5, 0.9),
        nesterov=True,
        weight_decay=1e-3,
        dropout=None,
        augment=("flip", "crop"),
        class_weights="balanced",
        averaging="tail",
        data=None,
        device="auto",
        threads=None,
        out=Path("runs/ä"),
        storage=None,
        name="digits",
        seed=0,
        quiet=True,
    )
    read = tomllib.loads(options.to_toml())
    assert read["dataset"] == options.dataset
    assert read["out"] == str(Path("runs/ä"))
    assert read["lr-min"] == 1e-05
    assert read["quiet"] is True
    assert "n-train" not in read
    assert read.keys() == {
        name.replace("_", "-") for name, value in vars(options).items() if value is not None
    }


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_an_encoding_without_greek_letters_is_no_error(
    encoding: str, tmp_path: Path, small: list[str]
) -> None:
    arguments = ["train", *small, "--stages", "1", "--trials", "1", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", "from optuna_gamma.cli import main; main()", *arguments],
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": encoding},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"schedule.json" in done.stdout
