from __future__ import annotations

import math
from typing import cast

import numpy as np
import optuna
from optuna.trial import FixedTrial
import pytest
import torch

from benchmarks.staged import lab as lab_module
from benchmarks.staged import methods
from benchmarks.staged.lab import Lab
from benchmarks.staged.methods import schedule
from benchmarks.thesis.jobs import OnlyStage
from optuna_gamma.staged import Stage
from optuna_gamma.vision import load_dataset
from optuna_gamma.vision import VisionTask
from tests.benchmarks.staged.tiny import TINY


def test_it_is_that_of_vision_task() -> None:
    data = load_dataset("digits", n_train=100, n_valid=50)
    task = VisionTask(
        model="deep-conv",
        data=data,
        space=lambda trial: {"lr": trial.suggest_float("lr", 1e-3, 0.5)},
        epochs_per_stage=3,
        averaging="tail",
        device="cpu",
    )
    stage = OnlyStage(7)
    task(cast(optuna.Trial, FixedTrial({"lr": 0.05})), cast(Stage, stage))
    state = Lab(TINY, 0).train(None, lambda step: 0.05, 6, 7, [3])
    for name, weights in state.model.items():
        assert weights.equal(stage.state["model"][name])
        assert state.means[3].weights[name].equal(stage.state["averaged"][name])


def test_a_mean_goes_on_over_segments() -> None:
    """The naive twin: every weight kept, then averaged."""
    lab, state, kept = Lab(TINY, 0), None, []
    for k in range(6):
        state = lab.train(state, lambda step: 0.02, 1, k, [3, 5])
        kept.append(state.model["0.weight"].clone())
    assert state is not None
    for after, mean in state.means.items():
        assert mean.n_steps == 6 - after
        expected = torch.stack(kept[after:]).mean(0)
        torch.testing.assert_close(mean.weights["0.weight"], expected)


@pytest.mark.parametrize("n_steps", [10, 200])
def test_schedules_are_those_of_pytorch(n_steps: int) -> None:
    parameter = [torch.nn.Parameter(torch.zeros(1))]
    for shape, make in (
        ("cosine", lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, n_steps)),
        ("one-cycle", lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.3, n_steps)),
    ):
        optimizer = torch.optim.SGD(parameter, 0.3, momentum=0.9)
        scheduler = make(optimizer)
        expected = []
        for _ in range(n_steps):
            expected.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step() if len(expected) < n_steps else None
        ours = schedule(cast(methods.Shape, shape), 0.3, n_steps)
        np.testing.assert_allclose([ours(step) for step in range(n_steps)], expected)


def test_a_training_that_diverges_is_never_the_best() -> None:
    lab = Lab(TINY, 0)
    state = lab.train(None, lambda step: 1e6, 36, 0, [18])
    candidate = lab.candidate(state, (1e6,))
    assert math.isnan(candidate.valid["raw"].loss)
    assert candidate.valid["raw"].kappa == -math.inf


def test_the_mean_that_validates_best_is_taken() -> None:
    lab = Lab(TINY, 0)
    state = lab.train(None, lambda step: 0.05, 36, 0, lab_module.windows(36))
    assert list(state.means) == [18, 27, 32]
    scores = [lab.validate(mean.weights).kappa for mean in state.means.values()]
    assert lab.candidate(state, (0.05,)).valid["averaged"].kappa == max(scores)
