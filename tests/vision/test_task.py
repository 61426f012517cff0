from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
import copy
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
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
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from optuna_gamma import create_staged_study
from optuna_gamma import kappa
from optuna_gamma.staged import StagedSchedule
from optuna_gamma.staged import StageRecord
from optuna_gamma.staged.per_stage import PerStage
from optuna_gamma.vision import create_model
from optuna_gamma.vision import Dataset
from optuna_gamma.vision import task as task_module
from optuna_gamma.vision import VisionTask
from optuna_gamma.vision.augmentation import Views
from optuna_gamma.vision.trainer import random_numbers
from optuna_gamma.vision.trainer import train_epoch


CPU = torch.device("cpu")


@dataclass
class MemoryStage:
    """A stage that keeps its states in memory."""

    number: int = 0
    seed: int = 7
    parent: Any = None
    saved: list[Any] = field(default_factory=list)

    def load(self) -> Any:
        return self.parent

    def save(self, trial: optuna.trial.BaseTrial, state: Any) -> None:
        self.saved.append(copy.deepcopy(state))


def _space(trial: optuna.Trial) -> dict[str, float]:
    return {"lr": trial.suggest_float("lr", 1e-3, 0.1, log=True)}


def linear(input_shape: tuple[int, int, int], n_classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), n_classes))


@pytest.fixture
def make(digits: Dataset) -> Callable[..., VisionTask]:
    def make(**options: Any) -> VisionTask:
        given = {"model": "deep-conv", "data": digits, "space": _space, "epochs_per_stage": 1}
        return VisionTask(**{**given, **options})

    return make


def _train(task: VisionTask, stage: MemoryStage, lr: float) -> tuple[float, Any]:
    value = task(FixedTrial({"lr": lr}), stage)  # type: ignore[arg-type]
    return value, stage.saved[-1]


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, Tensor):
        return a.equal(b)
    return bool(a == b)


def test_candidates_of_a_stage_share_their_random_numbers(
    make: Callable[..., VisionTask],
) -> None:
    task, stage = make(momentum=0.9), MemoryStage()
    value, state = _train(task, stage, 0.02)
    _train(task, stage, 0.05)
    torch.manual_seed(123)
    torch.rand(5)
    again, same_state = _train(task, stage, 0.02)
    assert value == again
    assert _same(state, same_state)
    # Nor does it matter who came before, or that this is another object.
    alone, alone_state = _train(make(momentum=0.9), MemoryStage(), 0.02)
    assert value == alone
    assert _same(state, alone_state)

    parent = copy.deepcopy(state)
    second = MemoryStage(number=1, seed=8, parent=parent)
    results = [_train(task, second, lr) for lr in (0.03, 0.01, 0.03)]
    assert results[0][0] == results[2][0]
    assert _same(results[0][1], results[2][1])
    assert _same(parent, state)  # what the stage gave is left as it was


def test_another_seed_is_another_training(make: Callable[..., VisionTask]) -> None:
    task = make()
    first, second = (_train(task, MemoryStage(seed=seed), 0.02)[1]["model"] for seed in (1, 2))
    assert not _same(first, second)


def test_random_numbers_of_the_caller_are_left_alone(make: Callable[..., VisionTask]) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    task, stage = make(), MemoryStage()
    _, state = _train(task, stage, 0.02)
    task.evaluate(state)
    assert torch.get_rng_state().equal(before)
    with suppress(ZeroDivisionError), random_numbers(0, CPU):
        torch.rand(1)
        raise ZeroDivisionError
    assert torch.get_rng_state().equal(before)


def test_trains_as_the_textbook_loop(make: Callable[..., VisionTask], digits: Dataset) -> None:
    """The naive twin: the same random numbers, SGD with momentum written out."""
    lr, momentum, decay, size, epochs = 0.05, 0.9, 1e-2, 30, 2
    task = make(
        momentum=momentum,
        weight_decay=decay,
        batch_size=size,
        epochs_per_stage=epochs,
        averaging=None,
        device="cpu",
    )
    value, state = _train(task, MemoryStage(seed=11), lr)

    images, labels = digits.train
    with random_numbers(11, CPU):
        model = create_model("deep-conv", digits.input_shape, digits.n_classes)
        velocities = [torch.zeros_like(weights) for weights in model.parameters()]
        for _ in range(epochs):
            order = torch.randperm(len(images))
            for start in range(0, len(images), size):
                batch = order[start : start + size]
                model.zero_grad()
                F.cross_entropy(model(images[batch]), labels[batch]).backward()
                with torch.no_grad():
                    for weights, velocity in zip(model.parameters(), velocities, strict=True):
                        assert weights.grad is not None
                        velocity.mul_(momentum).add_(weights.grad + decay * weights)
                        weights -= lr * velocity
    for name, weights in model.state_dict().items():
        torch.testing.assert_close(state["model"][name], weights, rtol=1e-3, atol=1e-4)

    model.eval()
    with torch.no_grad():
        logits = model(digits.valid[0])
    accuracy = (logits.argmax(1) == digits.valid[1]).double().mean().item()
    loss = F.cross_entropy(logits, digits.valid[1]).item()
    assert value == pytest.approx(kappa(accuracy, loss), rel=1e-3)


def test_learning_rate_is_the_trials_after_loading(make: Callable[..., VisionTask]) -> None:
    task = make(momentum=0.9)
    _, parent = _train(task, MemoryStage(), 0.02)
    _, state = _train(task, MemoryStage(parent=parent), 0.005)
    (group,) = state["optimizer"]["param_groups"]
    assert group["lr"] == 0.005
    assert len(state["optimizer"]["state"]) == len(state["model"])  # the momentum buffers


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_largest_settings_diverge(make: Callable[..., VisionTask], optimizer: str) -> None:
    space = {"lr": 1e37, "weight_decay": 1e37}
    task, trial = make(optimizer=optimizer, space=lambda trial: space), FixedTrial({})
    assert math.isnan(task(trial, MemoryStage()))  # type: ignore[arg-type]
    assert trial.user_attrs["failure"].startswith("diverged in epoch 1")


def test_single_images_train_what_does_not_normalise_batches(
    make: Callable[..., VisionTask],
) -> None:
    value, _ = _train(make(batch_size=1), MemoryStage(), 1e-3)
    assert math.isfinite(value)


def test_all_settings_can_be_searched(make: Callable[..., VisionTask]) -> None:
    settings = {"lr": 0.01, "momentum": 0.5, "weight_decay": 0.25}
    _, state = _train(make(space=lambda trial: settings), MemoryStage(), 0.01)
    (group,) = state["optimizer"]["param_groups"]
    assert settings.items() <= group.items()


@pytest.mark.parametrize(
    ("options", "space", "said"),
    [
        ({}, {}, '`space` must give "lr".* gave nothing'),
        ({}, {"lr": 0.1, "beta": 0.1}, "may give momentum.*, but gave lr, beta"),
        ({"optimizer": "adamw"}, {"lr": 0.1, "momentum": 0.1}, "gave lr, momentum"),
        ({}, {"lr": -0.1}, "`lr` must be finite and not negative, at most 1e.37, but got -0.1"),
        ({}, {"lr": 1e300}, "at most 1e.37, but got 1e.300"),
        ({}, {"lr": 0.1, "momentum": 1.0}, "`momentum` must be in"),
        ({}, {"lr": 0.1, "batch_size": 32.0}, "`batch_size` must be an int"),
        ({}, {"lr": 0.1, "dropout": -0.1}, "`dropout` must be in"),
        ({"momentum": 0.9, "nesterov": True}, {"lr": 0.1, "momentum": 0.0}, "nesterov"),
    ],
)
def test_wrong_spaces_are_refused(
    make: Callable[..., VisionTask],
    options: dict[str, Any],
    space: dict[str, float],
    said: str,
) -> None:
    with pytest.raises(ValueError, match=said):
        _train(make(space=lambda trial: space, **options), MemoryStage(), 0.01)


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({"optimizer": "sgd"}, {"momentum": 0.8, "weight_decay": 0.01}),
        ({"nesterov": True, "momentum": 0.5}, {"momentum": 0.8, "weight_decay": 0.01}),
        ({"optimizer": "adamw"}, {"weight_decay": 0.01}),
    ],
)
def test_optimizers_go_on_from_stage_to_stage(
    make: Callable[..., VisionTask],
    digits: Dataset,
    options: dict[str, Any],
    settings: dict[str, float],
) -> None:
    """The naive twin: PyTorch's optimiser, never saved; a stage of one batch, so no order."""
    task = make(
        model=linear,
        batch_size=200,
        space=lambda trial: {"lr": trial.suggest_float("lr", 0, 1), **settings},
        device="cpu",
        **options,
    )
    state = None
    for number, lr in enumerate([0.01, 0.03, 0.02]):
        _, state = _train(task, MemoryStage(number=number, parent=state), lr)

    with random_numbers(7, CPU):
        model = linear(digits.input_shape, digits.n_classes)
    kind = torch.optim.AdamW if options.get("optimizer") == "adamw" else torch.optim.SGD
    nesterov = {"nesterov": True} if "nesterov" in options else {}
    optimizer = kind(model.parameters(), lr=1.0, **settings, **nesterov)
    for lr in (0.01, 0.03, 0.02):
        optimizer.param_groups[0]["lr"] = lr
        optimizer.zero_grad()
        F.cross_entropy(model(digits.train[0]), digits.train[1]).backward()
        optimizer.step()
    for name, weights in model.state_dict().items():
        torch.testing.assert_close(state["model"][name], weights, rtol=1e-3, atol=1e-4)


def test_momentum_may_be_nothing_first(make: Callable[..., VisionTask]) -> None:
    momenta = iter([0.0, 0.9])
    task = make(space=lambda trial: {"lr": 0.01, "momentum": next(momenta)})
    _, state = _train(task, MemoryStage(), 0.01)
    _, state = _train(task, MemoryStage(parent=state), 0.01)
    buffers = state["optimizer"]["state"].values()
    assert all(weights["momentum_buffer"].any() for weights in buffers)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_buffers_that_were_loaded_lie_in_the_order_of_their_parameters(
    make: Callable[..., VisionTask], monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    momentum = {"momentum": 0.9} if optimizer == "sgd" else {}
    task = make(optimizer=optimizer, **momentum)
    _, state = _train(task, MemoryStage(), 0.01)

    def as_read_from_a_file(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: as_read_from_a_file(item) for key, item in value.items()}
        return value.contiguous() if isinstance(value, Tensor) else value

    seen: list[torch.optim.Optimizer] = []

    def look(model: nn.Module, optimizer: torch.optim.Optimizer, *others: Any) -> float:
        seen.append(optimizer)
        for parameter, buffers in optimizer.state.items():
            for buffer in buffers.values():
                if isinstance(buffer, Tensor) and buffer.shape == parameter.shape:
                    assert buffer.stride() == parameter.stride()
        return train_epoch(model, optimizer, *others)

    monkeypatch.setattr(task_module, "train_epoch", look)
    _train(task, MemoryStage(parent=as_read_from_a_file(state)), 0.01)
    assert any(
        parameter.dim() == 4 and not parameter.is_contiguous() for parameter in seen[0].state
    )


@pytest.mark.parametrize("name", ["batch_size", "dropout"])
def test_candidates_see_the_same_images_in_the_same_order(
    make: Callable[..., VisionTask], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whatever they search: on a CPU a dropout of 0 takes no numbers from the common stream."""
    seen: list[Tensor] = []
    views = Views.__call__

    def watch(self: Views, batch: Tensor) -> Tensor:
        images = views(self, batch)
        seen.append(images)
        return images

    monkeypatch.setattr(Views, "__call__", watch)
    orders = []
    for value in {"batch_size": (20, 50), "dropout": (0.0, 0.5)}[name]:
        seen.clear()
        task = make(
            space=lambda trial, value=value: {"lr": 0.01, name: value},
            epochs_per_stage=2,
            augment=["crop", "flip"],
            device="cpu",
        )
        _train(task, MemoryStage(), 0.01)
        orders.append(torch.cat(seen))
    assert orders[0].equal(orders[1])
    first, second = orders[0].split(200)
    assert not first.equal(second)


def test_searched_batch_size_is_used(make: Callable[..., VisionTask]) -> None:
    space = {"lr": 0.02, "batch_size": 20}
    searched, _ = _train(make(space=lambda trial: space), MemoryStage(), 0.02)
    given, _ = _train(make(batch_size=20), MemoryStage(), 0.02)
    other, _ = _train(make(), MemoryStage(), 0.02)
    assert searched == given != other


def test_class_weights(make: Callable[..., VisionTask], digits: Dataset) -> None:
    images, labels = digits.train
    kept = torch.cat([(labels == k).nonzero()[: 2 + 2 * k, 0] for k in range(10)])
    unbalanced = replace(digits, train=(images[kept], labels[kept]))
    counts = torch.bincount(labels[kept]).double()
    weights = (len(kept) / 10 / counts).tolist()

    def train(**options: Any) -> tuple[float, Any]:
        return _train(make(data=unbalanced, **options), MemoryStage(), 0.02)

    balanced, given, plain = (
        train(class_weights="balanced"),
        train(class_weights=weights),
        train(),
    )
    assert balanced[0] == pytest.approx(given[0], rel=1e-4)
    assert balanced[0] != plain[0]
    assert train(class_weights=[1.0] * 10)[0] == pytest.approx(plain[0], rel=1e-4)


def test_single_image_left_over_with_batch_normalisation(digits: Dataset) -> None:
    images, labels = (split[:41] for split in digits.train)
    sizes: list[int] = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.BatchNorm1d(10))
    model.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    for size, expected in ((20, [20, 20]), (39, [39, 2])):
        sizes.clear()
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        assert math.isfinite(train_epoch(model, optimizer, images, labels, size))
        assert sizes == expected


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
    value, state = _train(task, MemoryStage(), 0.02)
    metrics = task.evaluate(state, "valid")
    scores = {**metrics.scalars, "kappa": kappa(metrics.accuracy, metrics.loss)}
    assert value == scores[objective]


def test_dropout_is_the_trials(make: Callable[..., VisionTask]) -> None:
    of_the_network, _ = _train(make(), MemoryStage(), 0.02)
    given, _ = _train(make(dropout=0.5), MemoryStage(), 0.02)
    space = {"lr": 0.02, "dropout": 0.5}
    searched, _ = _train(make(space=lambda trial: space, dropout=0.1), MemoryStage(), 0.02)
    other, _ = _train(make(dropout=0.1), MemoryStage(), 0.02)
    assert of_the_network == given == searched != other


@pytest.mark.parametrize(("n_stages", "n_trials"), [(2, 6), (4, (6, 1, 1))])
def test_default_epochs_are_not_for_several_candidates_where_one_trains_on(
    make: Callable[..., VisionTask], tmp_path: Path, n_stages: int, n_trials: Any
) -> None:
    options = {"model": linear, "batch_size": 100}
    staged = create_staged_study(study_name="run", directory=tmp_path)
    said = (
        rf"{re.escape(repr(n_trials))}, but .* \(125, 2250\) that go with \(6, 1\).* such as 125"
    )
    with pytest.raises(ValueError, match=said):
        staged.optimize(make(epochs_per_stage=None, **options), n_stages, n_trials)
    assert staged.studies[0].trials == []
    make(epochs_per_stage=None).check_plan(n_stages - 1, PerStage.of("n_trials", n_trials))
    make(epochs_per_stage=None).check_plan(2, PerStage((12, 1)))
    make(epochs_per_stage=(2, 36)).check_plan(n_stages, PerStage.of("n_trials", n_trials))


def test_divergence_fails_the_trial(make: Callable[..., VisionTask], tmp_path: Path) -> None:
    task = make(space=lambda trial: {"lr": trial.suggest_float("lr", 1e-3, 1e9)})
    staged = create_staged_study(study_name="run", directory=tmp_path)
    rates = [{"lr": 1e8}, {"lr": 0.01}]
    staged.optimize(task, n_stages=1, n_trials=2, enqueue=rates)
    failed, good = staged.studies[0].trials
    assert failed.state == optuna.trial.TrialState.FAIL
    reason = failed.user_attrs["failure"]
    assert re.fullmatch(r"diverged in epoch 1: the training loss is (nan|inf)", reason)
    assert staged.schedule[0].trial_number == good.number


def test_a_network_that_breaks_on_the_validation_images_has_diverged(
    make: Callable[..., VisionTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = VisionTask._predict
    monkeypatch.setattr(VisionTask, "_predict", lambda *of: predict(*of) * math.nan)
    trial = FixedTrial({"lr": 0.01})
    assert math.isnan(make()(trial, MemoryStage()))  # type: ignore[arg-type]
    assert trial.user_attrs["failure"] == "diverged in epoch 1: the validation loss is nan"


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
    _, state = _train(task, MemoryStage(), 0.02)
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
    _, one = _train(task, MemoryStage(), 0.02)
    _, other = _train(task, MemoryStage(), 0.05)
    both = {"model": one["model"], "averaged": other["model"]}
    assert task.evaluate(both).scalars == task.evaluate(other).scalars


def test_a_replay_needs_no_place_for_pictures(
    make: Callable[..., VisionTask], tmp_path: Path
) -> None:
    task = make(artifact_store=FileSystemArtifactStore(tmp_path))
    record = StageRecord(0, {"lr": 0.05}, 1.0, {}, 0, "")
    assert StagedSchedule([record]).replay(task, seed=1).values[0] > 0
    assert list(tmp_path.iterdir()) == []


def test_own_network(make: Callable[..., VisionTask]) -> None:
    task = make(model=linear)
    _, state = _train(task, MemoryStage(), 0.1)
    assert task.evaluate(state).accuracy > 0.3
    assert task.fingerprint["model"].endswith("linear")  # type: ignore[union-attr]


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


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("epochs_per_stage", (2, 0), r"an int of at least 1, or several, but got \(2, 0\)"),
        ("momentum", "0.9", "`momentum` must be a number, but got '0.9'"),
        ("batch_size", -1, "int of at least 1, but got -1"),
        ("batch_size", 32.0, "int of at least 1, but got 32.0"),
        ("momentum", 1.0, r"\[0, 1\), but got 1.0"),
        ("weight_decay", math.nan, "not negative, at most 1e.37, but got nan"),
        ("weight_decay", 1e300, "at most 1e.37, but got 1e.300"),
        ("dropout", 1.0, r"\[0, 1\), but got 1.0"),
        ("optimizer", "adam", "`optimizer` must be one of sgd, adamw, but got 'adam'"),
        ("augment", ["flip", "rotate"], "one of flip, crop, but got 'rotate'"),
        ("augment", "flip", r"a list such as \['flip'\]"),
        ("class_weights", "equal", "10 positive numbers, one a class, but got 'equal'"),
        ("class_weights", [1.0] * 9, "10 positive numbers"),
        ("class_weights", [*[1.0] * 9, 0.0], "10 positive numbers"),
        ("averaging", "ema", "`averaging` must be one of tail, but got 'ema'"),
        ("objective", "f1", "kappa, accuracy, loss, but got 'f1'"),
        ("model", "lenet", "Unknown network 'lenet'"),
        ("device", "abacus", "no device 'abacus' here"),
    ],
)
def test_wrong_arguments_are_refused(
    make: Callable[..., VisionTask], option: str, value: Any, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        make(**{option: value})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"optimizer": "adamw", "momentum": 0.9}, "`momentum` is 0.9.*'adamw' has neither"),
        ({"optimizer": "adamw", "nesterov": True}, "`nesterov` True"),
        ({"nesterov": True}, "`nesterov` needs a `momentum` above 0"),
        ({"model": "torchvision:resnet18", "dropout": 0.5}, "the network has no dropout layer"),
        ({"model": "keras-cifar"}, "from 10×10 up, but these are 8×8"),
        ({"model": "torchvision:alexnet"}, r"cannot take images of shape \(1, 8, 8\): "),
        (
            {"model": "torchvision:resnet18", "batch_size": 1},
            "`batch_size` must be at least 2.* a single image.*: Expected more than 1 value",
        ),
        (
            {"model": lambda shape, k: nn.Flatten()},
            r"logits of shape \(2, 10\), but gave \(2, 64\)",
        ),
    ],
)
def test_contradictions_are_refused(
    make: Callable[..., VisionTask], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        make(**options)


@pytest.mark.parametrize("space", [{"lr": 0.1}, None, lambda trial: 0.1])
def test_a_space_is_a_function_to_a_dictionary(
    make: Callable[..., VisionTask], space: Any
) -> None:
    with pytest.raises(TypeError, match="`space` must"):
        _train(make(space=space), MemoryStage(), 0.1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": 3}, "`model` must be a network's name, or a function.* but got 3"),
        ({"data": (1, 2)}, "`data` must come from `load_dataset`.* but got a tuple"),
    ],
)
def test_what_is_no_task_is_refused(
    make: Callable[..., VisionTask], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(TypeError, match=said):
        make(**options)


def test_there_are_three_splits(make: Callable[..., VisionTask]) -> None:
    with pytest.raises(
        ValueError, match="`split` must be one of train, valid, test, but got 'tset'"
    ):
        make().evaluate({}, "tset")  # type: ignore[arg-type]


def test_the_wrong_direction_is_refused(make: Callable[..., VisionTask], tmp_path: Path) -> None:
    task = make(objective="loss")
    staged = create_staged_study(study_name="loss", directory=tmp_path)
    with pytest.raises(ValueError, match='direction="minimize"'):
        staged.optimize(task, 1, 2)


def test_too_small_to_crop(digits: Dataset) -> None:
    narrow = {}
    for split in ("train", "valid", "test"):
        images, labels = getattr(digits, split)
        narrow[split] = images[..., :7], labels
    small = replace(digits, **narrow)
    with pytest.raises(ValueError, match="8×7 are too small to crop"):
        VisionTask(model="deep-conv", data=small, space=_space, augment=["crop"])
