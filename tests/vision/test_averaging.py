from __future__ import annotations

from collections.abc import Callable
import math
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FixedTrial
import pytest
import torch
from torch import nn
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from torch.optim.swa_utils import get_swa_multi_avg_fn
from torch.utils._python_dispatch import TorchDispatchMode

from optuna_gamma import create_staged_study
from optuna_gamma import kappa
from optuna_gamma.vision import Dataset
from optuna_gamma.vision import VisionTask
from optuna_gamma.vision.averaging import TailAverage
from optuna_gamma.vision.trainer import n_batches
from optuna_gamma.vision.trainer import shuffled_batches
from tests.vision.tasks import linear
from tests.vision.tasks import MemoryStage


def normalised(input_shape: tuple[int, int, int], n_classes: int) -> nn.Module:
    n = math.prod(input_shape)
    return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(n), nn.Dropout(0.5), nn.Linear(n, n_classes))


@pytest.fixture
def train(digits: Dataset) -> Callable[..., tuple[VisionTask, FixedTrial, MemoryStage]]:
    def train(
        stage: MemoryStage | None = None, **options: Any
    ) -> tuple[VisionTask, FixedTrial, MemoryStage]:
        task = VisionTask(
            **{
                "model": "deep-conv",
                "data": digits,
                "space": lambda trial: {"lr": trial.suggest_float("lr", 0, 1)},
                "momentum": 0.9,
                "epochs_per_stage": 3,
                "device": "cpu",
                **options,
            }
        )
        trial, stage = FixedTrial({"lr": 0.05}), stage or MemoryStage()
        trial.value = task(trial, stage)  # type: ignore[attr-defined,arg-type]
        return task, trial, stage

    return train


@pytest.mark.parametrize("n_steps", [1, 2, 5])
def test_mean_of_the_second_half_of_the_steps(n_steps: int) -> None:
    """The naive twin: all weights kept, then averaged."""
    model = nn.Linear(3, 2)
    average = TailAverage(model, n_steps)
    weights: list[Tensor] = []
    for _ in range(n_steps):
        assert (average.model([]) is model) == (len(weights) <= n_steps // 2)
        with torch.no_grad():
            model.weight += torch.randn(2, 3)
        average.update()
        weights.append(model.weight.detach().clone())
    mean = torch.stack(weights[n_steps // 2 :]).mean(0)
    torch.testing.assert_close(average.model([]).get_parameter("weight"), mean)


class Waits(TorchDispatchMode):
    """Counts the tensors that become Python's numbers, which a GPU is waited for at."""

    n = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.n += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


def test_as_pytorchs_own_bit_by_bit_but_without_waiting() -> None:
    torch.manual_seed(0)
    model = normalised((1, 3, 3), 2)
    model.register_buffer("steps", torch.zeros((), dtype=torch.long))
    average = TailAverage(model, n_steps=400)
    theirs = AveragedModel(model, multi_avg_fn=get_swa_multi_avg_fn())
    for step in range(400):
        with torch.no_grad():
            for weights in model.parameters():
                weights += torch.randn_like(weights)
            for buffer in model.buffers():
                buffer += 1
        with Waits() as waits:
            average.update()
        assert waits.n == 0
        if step >= 200:
            theirs.update_parameters(model)
    ours, expected = average.model([]).state_dict(), theirs.module.state_dict()
    assert ours.keys() == expected.keys()
    measured_anew = {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    assert all(ours[n].equal(value) for n, value in expected.items() if n not in measured_anew)


@pytest.mark.parametrize("model", ["deep-conv", normalised])
def test_training_is_the_same_with_averaging_and_without(
    train: Callable[..., Any], model: Any
) -> None:
    *_, plain = train(model=model)
    *_, averaged = train(model=model, averaging="tail")
    for _ in range(2):
        (without,), (state,) = plain.saved, averaged.saved
        assert without.keys() | {"averaged"} == state.keys()
        assert all(state["model"][k].equal(v) for k, v in without["model"].items())
        assert any(not state["averaged"][k].equal(v) for k, v in without["model"].items())
        # So the next stage begins alike.
        *_, plain = train(MemoryStage(1, 8, without), model=model)
        *_, averaged = train(MemoryStage(1, 8, state), model=model, averaging="tail")


def test_averaged_weights_are_scored_and_reported(digits: Dataset) -> None:
    stage = MemoryStage()
    task = VisionTask(
        model="deep-conv",
        data=digits,
        space=lambda trial: {"lr": 0.05},
        epochs_per_stage=4,
        averaging="tail",
        device="cpu",
    )
    study = optuna.create_study(direction="maximize")
    study.optimize(lambda trial: task(trial, stage), n_trials=1)  # type: ignore[arg-type]
    (trial,) = study.trials
    (state,) = stage.saved
    metrics, raw = (task.evaluate(s, "valid") for s in (state, {"model": state["model"]}))
    assert trial.value == trial.intermediate_values[4] == kappa(metrics.accuracy, metrics.loss)
    assert metrics.scalars.items() <= trial.user_attrs.items()
    assert metrics.loss != raw.loss


def test_reports_of_the_first_half_are_of_the_weights_as_trained(digits: Dataset) -> None:
    values = []
    for averaging in (None, "tail"):
        task = VisionTask(
            model="deep-conv",
            data=digits,
            space=lambda trial: {"lr": 0.05},
            epochs_per_stage=4,
            averaging=averaging,  # type: ignore[arg-type]
            device="cpu",
        )
        study = optuna.create_study(direction="maximize")
        study.optimize(
            lambda trial, task=task: task(trial, MemoryStage()),  # type: ignore[misc]
            n_trials=1,
        )
        values.append(study.trials[0].intermediate_values)
    plain, averaged = values
    assert [plain[epoch] == averaged[epoch] for epoch in (1, 2, 3, 4)] == [
        True,
        True,
        False,
        False,
    ]


def test_statistics_of_batch_normalisation_are_those_of_the_mean_weights(
    digits: Dataset, train: Callable[..., Any]
) -> None:
    def batch_of_all(input_shape: tuple[int, int, int], n_classes: int) -> nn.Module:
        n = math.prod(input_shape)
        return nn.Sequential(nn.Flatten(), nn.Linear(n, 20), nn.BatchNorm1d(20), nn.Linear(20, 10))

    *_, stage = train(model=batch_of_all, averaging="tail", batch_size=len(digits.train[0]))
    averaged = stage.saved[0]["averaged"]
    hidden = digits.train[0].flatten(1) @ averaged["1.weight"].T + averaged["1.bias"]
    torch.testing.assert_close(averaged["2.running_mean"], hidden.mean(0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(averaged["2.running_var"], hidden.var(0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("model", [linear, normalised])
@pytest.mark.parametrize(
    ("n_images", "batch_size"), [(41, 20), (41, 41), (40, 20), (3, 1), (1, 1)]
)
def test_number_of_batches(model: Any, n_images: int, batch_size: int) -> None:
    network, images = model((1, 2, 2), 3), torch.rand(n_images, 1, 2, 2)
    batches = list(shuffled_batches(network, images, batch_size, ()))
    assert len(batches) == n_batches(network, n_images, batch_size)
    left_out = 1 if model is normalised and n_images % batch_size == 1 else 0
    assert sum(len(views) for views, _ in batches) == n_images - left_out


def test_runs_are_reproduced_bit_by_bit(digits: Dataset, tmp_path: Path) -> None:
    """In one go, or interrupted after each trial."""
    outcomes: list[tuple[Any, Any]] = []
    for name, pieces in (("whole", [6]), ("pieces", [1] * 6)):
        task = VisionTask(
            model=normalised,
            data=digits,
            space=lambda trial: {"lr": trial.suggest_float("lr", 1e-3, 0.5, log=True)},
            epochs_per_stage=2,
            averaging="tail",
            device="cpu",
        )
        for n in pieces:
            left = [n]

            def stop(study: optuna.Study, trial: Any, left: list[int] = left) -> None:
                left[0] -= 1
                if left[0] == 0:
                    study.stop()

            staged = create_staged_study(
                study_name="run", directory=tmp_path / name, fingerprint=task.fingerprint
            )
            staged.optimize(task, n_stages=2, n_trials=3, callbacks=[stop])
        outcomes.append(([(r.params, r.value) for r in staged.schedule], staged.load_best()))
    (schedule, state), (pieced_schedule, pieced_state) = outcomes
    assert len(schedule) == 2
    assert schedule == pieced_schedule
    for part in ("model", "averaged"):
        assert all(state[part][name].equal(v) for name, v in pieced_state[part].items())
