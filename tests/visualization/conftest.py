"""Studies to draw."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from optuna_gamma import create_staged_study
from optuna_gamma import GammaBOSampler
from optuna_gamma.staged import Stage
from optuna_gamma.staged import StagedStudy


pytest.importorskip("plotly", reason="needs pip install 'optuna-gamma[dashboard]'")

Staged = Callable[..., StagedStudy]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.logging.enable_propagation()  # for caplog
    yield
    optuna.logging.disable_propagation()
    optuna.logging.set_verbosity(optuna.logging.INFO)


def training(trial: optuna.Trial, stage: Stage) -> float:
    """Two parameters, two epochs; the second trial is pruned and the third fails."""
    before = (stage.load() or {"score": 0.0})["score"]
    lr = trial.suggest_float("lr", 1e-3, 1.0, log=True)
    kind = trial.suggest_categorical("kind", ["<b>a</b>", "b"])
    if trial.number == 1:
        raise optuna.TrialPruned
    if trial.number == 2:
        return float("nan")
    for epoch in range(2):
        trial.report(before + 0.5 * (epoch + 1) * lr, epoch)
    trial.set_user_attr("epochs", 2)
    stage.save(trial, {"score": before + lr})
    return before + lr - (0.01 if kind == "b" else 0.0)


@pytest.fixture
def staged(tmp_path: Path) -> Staged:
    """Make a staged study, with the objective above by default, and run it."""

    def make(n_stages: int, n_trials: int, objective: object = training) -> StagedStudy:
        made = create_staged_study(
            study_name="run",
            directory=tmp_path / "run",
            storage=optuna.storages.InMemoryStorage(),
            sampler=lambda seed: optuna.samplers.RandomSampler(seed=seed),
        )
        if n_trials:
            made.optimize(objective, n_stages, n_trials)  # type: ignore[arg-type]
        return made

    return make


def two_parameters(trial: optuna.Trial) -> float:
    lr = trial.suggest_float("lr", 1e-4, 1.0, log=True)
    x = trial.suggest_float("x", -1.0, 1.0)
    return (lr - 0.1) ** 2 + x * x


@pytest.fixture
def study() -> optuna.Study:
    """Twelve trials of the sampler, to be minimised, two parameters."""
    made = optuna.create_study(sampler=GammaBOSampler(seed=1))
    made.optimize(two_parameters, n_trials=12)
    return made


def add_trials(study: optuna.Study, n: int) -> None:
    """Add trials at random, quickly."""
    distribution = optuna.distributions.FloatDistribution(-1.0, 1.0)
    study.add_trials(
        optuna.trial.create_trial(
            params={"x": (x := ((i * 0.618) % 2.0) - 1.0)},
            distributions={"x": distribution},
            value=x * x,
        )
        for i in range(n)
    )
