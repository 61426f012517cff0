"""Use an installed optuna-gamma with one extra more each time: ``python smoke.py EXTRA``.

The first time there is none (``''``), then ``cli``, then ``dashboard``, all in one empty folder.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
import subprocess
import sys

import numpy as np
import optuna

import optuna_gamma
from optuna_gamma import create_staged_study
from optuna_gamma import GammaBOSampler
from optuna_gamma import load_staged_study
from optuna_gamma.staged import Stage


RUN = "run"


def main(extra: str) -> None:
    """Check what works and what is refused with this extra."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    package = Path(optuna_gamma.__file__).parent
    assert package.is_relative_to(sys.prefix), f"not the installed one: {package}"
    assert (package / "py.typed").exists()
    refuse_import("optuna_gamma.vision", "train")
    {"": without_extras, "cli": with_cli, "dashboard": with_dashboard}[extra]()


def without_extras() -> None:
    """Sample, train in stages, and be refused the rest."""
    sample()
    train_in_stages()
    refuse_command("cli")
    refuse_import("optuna_gamma.visualization", "dashboard")
    refuse_import("optuna_gamma.dashboard", "dashboard")


def with_cli() -> None:
    """Look at the run of those stages."""
    assert "2 of 2 stages finished" in command("status", RUN)
    assert "params_lr" in command("export", RUN)
    command("export", RUN, "--what", "weights", "--to", "weights.safetensors")
    command("clean", RUN)
    refuse_command("train", "export", RUN, "--what", "weights", "--to", "weights.pt")
    refuse_command("train", "train")
    refuse_command("train", "worker", RUN)
    refuse_command("train", "replay", RUN)
    refuse_command("dashboard", "report", RUN)
    refuse_command("dashboard", "dashboard", RUN)


def with_dashboard() -> None:
    """Draw that run."""
    study = load_staged_study(study_name="numpy", directory=RUN).studies[0]
    assert import_module("optuna_gamma.visualization").plot_process(study).data
    command("report", RUN)
    assert "plotly" in Path(RUN, "report.html").read_text(encoding="utf-8")
    import_module("optuna_gamma.cli.dashboard")


def sample() -> None:
    """Find the minimum of a function with the sampler."""

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", -5, 5)
        n = trial.suggest_int("n", 1, 64, log=True)
        return (x - 2) ** 2 + abs(n - 8) / 8 + (trial.suggest_categorical("kind", "ab") == "a")

    study = optuna.create_study(sampler=GammaBOSampler(seed=0))
    study.optimize(objective, n_trials=20)
    assert study.best_value < 1, study.best_trial


def train_in_stages() -> None:
    """Carry NumPy arrays from stage to stage, and go on with what is there."""

    def objective(trial: optuna.Trial, stage: Stage) -> float:
        state = stage.load()
        weights = np.zeros(3) if state is None else state["model"]["w"]
        weights = weights + trial.suggest_float("lr", 1e-3, 1.0, log=True) * (1 - weights)
        stage.save(trial, {"model": {"w": weights}})
        return -float(np.sum((weights - 1) ** 2))

    for n_stages in (1, 2):
        staged = create_staged_study(study_name="numpy", directory=RUN)
        staged.optimize(objective, n_stages=n_stages, n_trials=5)
    first, second = staged.schedule
    assert second.value > first.value
    assert np.sum((staged.load_best()["model"]["w"] - 1) ** 2) == -second.value


def refuse_import(module: str, extra: str) -> None:
    """Check that a module cannot be imported and that the error says what to install."""
    said = ""
    try:
        import_module(module)
    except ImportError as error:
        said = str(error)
    assert f"pip install 'optuna-gamma[{extra}]'" in said, said or f"{module} could be imported"


def command(*arguments: str, code: int = 0) -> str:
    """Run optuna-gamma and return all that it printed."""
    program = Path(sys.executable).with_name("optuna-gamma")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def refuse_command(extra: str, *arguments: str) -> None:
    """Check that a command ends with one line that says what to install."""
    said = command(*arguments, code=1)
    assert said.count("\n") == 1, said
    assert f"pip install 'optuna-gamma[{extra}]'" in said, said


if __name__ == "__main__":
    main(sys.argv[1])
