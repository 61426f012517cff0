"""What becomes of a trial: values, reports, epochs, failures, and the run's fingerprint."""

from __future__ import annotations

from collections.abc import Callable
import json
import math
from pathlib import Path
import re
from typing import Any

import optuna
from optuna.artifacts import FileSystemArtifactStore
from optuna.trial import FixedTrial
import pytest
import torch
from torch.nn import functional as F

from optuna_gamma import create_staged_study
from optuna_gamma import kappa
from optuna_gamma.staged import StagedSchedule
from optuna_gamma.staged import StageRecord
from optuna_gamma.vision import create_model
from optuna_gamma.vision import Dataset
from optuna_gamma.vision import VisionTask
from tests.vision.tasks import linear
from tests.vision.tasks import MemoryStage
from tests.vision.tasks import train_once


def test_metrics_and_reports(make: Callable[..., VisionTask]) -> None:
    task = make(epochs_per_stage=3)
    study = optuna.create_study(direction=task.direction)
    stage = MemoryStage(number=2)
    study.optimize(lambda trial: task(trial, stage), n_trials=1)  # type: ignore[arg-type]
    (trial,) = study.trials
    assert list(trial.intermediate_values) == [7, 8, 9]
    assert trial.intermediate_values[9] == trial.value
    metrics = task.evaluate(stage.saved[-1], "valid")
    assert trial.value == kappa(metrics.accuracy, metrics.loss)
    assert metrics.scalars.items() <= trial.user_attrs.items()
    assert trial.user_attrs["train_loss"] > 0
    assert trial.user_attrs["kappa"] == trial.value


def test_stages_take_their_epochs_in_turns(make: Callable[..., VisionTask]) -> None:
    task = make(epochs_per_stage=(1, 3))
    study = optuna.create_study(direction=task.direction)
    for number in (0, 1, 2):
        stage = MemoryStage(number=number)
        study.optimize(lambda trial, stage=stage: task(trial, stage), n_trials=1)  # type: ignore
    assert [list(t.intermediate_values) for t in study.trials] == [[1], [2, 3, 4], [5]]
    assert [t.user_attrs["epochs"] for t in study.trials] == [1, 3, 1]
    assert task.fingerprint["epochs_per_stage"] == (1, 3)


def test_defaults_are_the_form_that_won(
    make: Callable[..., VisionTask], digits: Dataset, tmp_path: Path
) -> None:
    """Six candidates of 250 steps, or as many as whole epochs make; then 18 times as many."""
    for batch_size, epochs in ((50, (63, 1134)), (60, (63, 1134)), (7, (9, 162))):
        task = make(epochs_per_stage=None, batch_size=batch_size)
        assert task.fingerprint["epochs_per_stage"] == epochs  # of 200 images
    task = make(epochs_per_stage=None, model=linear, batch_size=1)
    assert task.fingerprint["epochs_per_stage"] == (2, 36)
    staged = create_staged_study(study_name="run", directory=tmp_path)
    staged.optimize(task)
    assert [len(study.trials) for study in staged.studies] == [6, 1]
    assert [record.user_attrs["epochs"] for record in staged.schedule] == [2, 36]


@pytest.mark.parametrize("objective", ["kappa", "accuracy", "loss"])
def test_objectives(make: Callable[..., VisionTask], objective: str) -> None:
    task = make(objective=objective)
    assert task.direction == ("minimize" if objective == "loss" else "maximize")
    value, state = train_once(task, MemoryStage(), 0.02)
    metrics = task.evaluate(state, "valid")
    scores = {**metrics.scalars, "kappa": kappa(metrics.accuracy, metrics.loss)}
    assert value == scores[objective]


def test_divergence_fails_the_trial(make: Callable[..., VisionTask], tmp_path: Path) -> None:
    task = make(space=lambda trial: {"lr": trial.suggest_float("lr", 1e-3, 1e9)})
    staged = create_staged_study(study_name="run", directory=tmp_path)
    rates = [{"lr": 1e8}, {"lr": 0.01}]
    staged.optimize(task, n_stages=1, n_trials=2, enqueue=rates)
    failed, good = staged.studies[0].trials
    assert failed.state == optuna.trial.TrialState.FAIL
    reason = failed.user_attrs["failure"]
    assert re.fullmatch(r"diverged in epoch 1 with [^{]*: the training loss is (nan|inf)", reason)
    assert "lr=100000000.0" in reason
    assert staged.schedule[0].trial_number == good.number


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_largest_settings_diverge(make: Callable[..., VisionTask], optimizer: str) -> None:
    space = {"lr": 1e37, "weight_decay": 1e37}
    task, trial = make(optimizer=optimizer, space=lambda trial: space), FixedTrial({})
    assert math.isnan(task(trial, MemoryStage()))  # type: ignore[arg-type]
    assert trial.user_attrs["failure"].startswith("diverged in epoch 1")


def test_a_network_that_breaks_on_the_validation_images_has_diverged(
    make: Callable[..., VisionTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = VisionTask._predict
    monkeypatch.setattr(VisionTask, "_predict", lambda *of: predict(*of) * math.nan)
    trial = FixedTrial({"lr": 0.01})
    assert math.isnan(make()(trial, MemoryStage()))  # type: ignore[arg-type]
    said = r"diverged in epoch 1 with .*lr=0\.01.*: the validation loss is nan"
    assert re.fullmatch(said, trial.user_attrs["failure"])


def cuda_is_full() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


def numpy_is_full() -> None:
    raise MemoryError("Unable to allocate 8.00 EiB")


def cpu_is_full() -> None:
    torch.empty(2**59)


def saying(text: str) -> Callable[[], None]:
    def full() -> None:
        raise RuntimeError(text)

    return full


@pytest.mark.parametrize(
    "full",
    [
        cuda_is_full,
        numpy_is_full,
        cpu_is_full,
        # Outside PyTorch's allocator.
        saying("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        saying("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        saying("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        saying("MPS backend out of memory (MPS allocated: 8.00 GB)"),
    ],
)
def test_out_of_memory_fails_the_trial(
    make: Callable[..., VisionTask], monkeypatch: pytest.MonkeyPatch, full: Callable[[], None]
) -> None:
    monkeypatch.setattr("optuna_gamma.vision.task.train_epoch", lambda *_, **__: full())
    task, trial = make(), FixedTrial({"lr": 0.1})
    assert math.isnan(task(trial, MemoryStage()))  # type: ignore[arg-type]
    assert trial.user_attrs["failure"].startswith("out of memory: ")


def test_other_errors_are_errors(
    make: Callable[..., VisionTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: Any, **__: Any) -> float:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr("optuna_gamma.vision.task.train_epoch", wrong)
    with pytest.raises(RuntimeError, match="shapes"):
        make()(FixedTrial({"lr": 0.1}), MemoryStage())  # type: ignore[arg-type]


def test_pruner_is_heard_between_epochs(make: Callable[..., VisionTask]) -> None:
    study = optuna.create_study(
        direction="maximize", pruner=optuna.pruners.ThresholdPruner(lower=1e9)
    )
    task, stage = make(epochs_per_stage=3), MemoryStage()
    study.optimize(lambda trial: task(trial, stage), n_trials=1)  # type: ignore[arg-type]
    assert study.trials[0].state == optuna.trial.TrialState.PRUNED
    assert list(study.trials[0].intermediate_values) == [1]
    assert not stage.saved


def test_evaluate(make: Callable[..., VisionTask], digits: Dataset) -> None:
    task = make(averaging=None)
    _, state = train_once(task, MemoryStage(), 0.02)
    model = create_model("deep-conv", digits.input_shape, digits.n_classes).eval()
    model.load_state_dict(state["model"])
    for split in ("train", "valid", "test"):
        images, labels = getattr(digits, split)
        metrics = task.evaluate(state, split)  # type: ignore[arg-type]
        with torch.no_grad():
            expected = F.cross_entropy(model(images), labels).item()
        assert metrics.loss == pytest.approx(expected, rel=1e-5)
        assert metrics.confusion.sum() == len(labels)
    assert task.evaluate(state).scalars == task.evaluate(state, "test").scalars


def test_averaged_weights_are_evaluated_where_there_are_some(
    make: Callable[..., VisionTask],
) -> None:
    task = make(averaging=None)
    _, one = train_once(task, MemoryStage(), 0.02)
    _, other = train_once(task, MemoryStage(), 0.05)
    both = {"model": one["model"], "averaged": other["model"]}
    assert task.evaluate(both).scalars == task.evaluate(other).scalars


def test_a_replay_needs_no_place_for_pictures(
    make: Callable[..., VisionTask], tmp_path: Path
) -> None:
    task = make(artifact_store=FileSystemArtifactStore(tmp_path))
    record = StageRecord(0, {"lr": 0.05}, 1.0, {}, 0, "")
    assert StagedSchedule([record]).replay(task, seed=1).values[0] > 0
    assert list(tmp_path.iterdir()) == []


def test_fingerprint_tells_runs_apart(make: Callable[..., VisionTask], digits: Dataset) -> None:
    fingerprint = make().fingerprint
    assert make(device="cpu").fingerprint == fingerprint
    assert json.loads(json.dumps(fingerprint)) == fingerprint
    changes: list[dict[str, Any]] = [
        {"epochs_per_stage": 2},
        {"batch_size": 10},
        {"momentum": 0.5},
        {"weight_decay": 0.0},
        {"dropout": 0.25},
        {"optimizer": "adamw"},
        {"momentum": 0.5, "nesterov": True},
        {"augment": ["flip"]},
        {"augment": ["flip", "crop"]},
        {"class_weights": "balanced"},
        {"class_weights": [1.0] * 10},
        {"averaging": None},
        {"objective": "loss"},
    ]
    fingerprints = [fingerprint, *(make(**change).fingerprint for change in changes)]
    texts = {json.dumps(entries, sort_keys=True) for entries in fingerprints}
    assert len(texts) == 1 + len(changes)
    views = [make(augment=order).fingerprint for order in (["flip", "crop"], ("crop", "flip"))]
    assert views[0] == views[1]
    assert fingerprint["data"] == digits.digest
    assert fingerprint["averaging"] == "tail"
    # Runs that began before there was averaging go on without.
    assert "averaging" not in make(averaging=None).fingerprint
