"""Training of an image classifier as the objective of a staged study."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import copy
import math
from typing import Any
from typing import get_args
from typing import Literal
from typing import TYPE_CHECKING
import warnings

import optuna
import torch
from torch import nn

from optuna_gamma.objective import kappa
from optuna_gamma.staged.claim import FAILURE_KEY
from optuna_gamma.vision.data import Dataset
from optuna_gamma.vision.metrics import classification_metrics
from optuna_gamma.vision.metrics import ClassificationMetrics
from optuna_gamma.vision.models import create_model
from optuna_gamma.vision.models import set_dropout
from optuna_gamma.vision.trainer import predict
from optuna_gamma.vision.trainer import random_numbers
from optuna_gamma.vision.trainer import resolve_device
from optuna_gamma.vision.trainer import to_device
from optuna_gamma.vision.trainer import train_epoch


if TYPE_CHECKING:
    from optuna_gamma.staged import Stage

Objective = Literal["kappa", "accuracy", "loss"]
Split = Literal["train", "valid", "test"]

_SETTINGS = ("lr", "momentum", "weight_decay", "dropout")


class VisionTask:
    """Train a network for one stage with the hyper-parameters of a trial.

    A task is an objective: hand it to ``staged.optimize``. Every trial of a stage starts from the
    weights and momentum that the last stage promoted, sees the same batches and draws the same
    dropout masks (the first stage's also the same initial weights), trains
    ``epochs_per_stage`` epochs with SGD, and is scored on the validation images. On a CPU the
    result of a trial depends on nothing else, bit by bit, as long as the number of threads is
    the same; on a GPU up to the order in which PyTorch's kernels sum.

    A training that diverges, which is one whose loss is not finite, is stopped and returns NaN,
    so that Optuna fails the trial: its weights are worth nothing to the next stage, and no number
    would rank it fairly under all three objectives; a sampler can still learn from the failure, as
    :class:`~optuna_gamma.GammaBOSampler` does. Running out of memory does the same. The trial's
    user attribute ``"failure"`` says which it was.

    Args:
        model: A name for :func:`create_model`, or a function like it that takes input shape and
            number of classes.
        data: The images; see :func:`load_dataset`.
        space: What a trial searches: a function from the trial to a dictionary with ``"lr"`` and,
            if they are searched too, ``"momentum"``, ``"weight_decay"`` and ``"dropout"``.
        epochs_per_stage: Number of epochs a trial trains.
        batch_size: Number of images in a batch.
        momentum: Momentum in [0, 1), unless ``space`` gives it.
        weight_decay: Weight decay (L2 penalty), unless ``space`` gives it.
        dropout: The network's dropout as for :func:`create_model`, unless ``space`` gives it.
            Default: the network's own.
        objective: The value of a trial on the validation images: ``"kappa"``, ``"accuracy"``
            (both to maximise) or ``"loss"`` (to minimise).
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.

    Raises:
        ValueError: If an argument is outside its range, the model is unknown or there is no such
            device.

    Example:
        .. code-block:: python

            task = VisionTask(
                model="deep-conv",
                data=load_dataset("digits"),
                space=lambda trial: {"lr": trial.suggest_float("lr", 1e-3, 0.5, log=True)},
            )
            staged = create_staged_study(
                study_name="digits", directory="runs/digits", fingerprint=task.fingerprint
            )
            staged.optimize(task, n_stages=4, n_trials=8)
            print(task.evaluate(staged.load_best(), "test").accuracy)
    """

    def __init__(
        self,
        *,
        model: str | Callable[[tuple[int, int, int], int], nn.Module],
        data: Dataset,
        space: Callable[[optuna.Trial], Mapping[str, float]],
        epochs_per_stage: int = 1,
        batch_size: int = 50,
        momentum: float = 0.0,
        weight_decay: float = 1e-3,
        dropout: float | None = None,
        objective: Objective = "kappa",
        device: str = "auto",
    ) -> None:
        for name, number in (("epochs_per_stage", epochs_per_stage), ("batch_size", batch_size)):
            if number < 1:
                raise ValueError(f"`{name}` must be at least 1, but got {number}.")
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"`momentum` must be in [0, 1), but got {momentum}.")
        if not 0.0 <= weight_decay < math.inf:
            raise ValueError(f"`weight_decay` must not be negative, but got {weight_decay}.")
        if objective not in get_args(Objective):
            known = ", ".join(get_args(Objective))
            raise ValueError(f"`objective` must be one of {known}, but got {objective!r}.")
        self.data = data
        self.epochs_per_stage = epochs_per_stage
        self.batch_size = batch_size
        self.objective = objective
        self.device = resolve_device(device)
        self._model = model
        self._space = space
        self._defaults = {
            "momentum": momentum,
            "weight_decay": weight_decay,
            "dropout": dropout,
        }
        self._splits = {
            name: (images.to(self.device), labels.to(self.device))
            for name, (images, labels) in (
                ("train", data.train),
                ("valid", data.valid),
                ("test", data.test),
            )
        }
        with random_numbers(0, self.device):
            self._create_model(dropout)  # what is wrong is refused here, not in the first trial

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Which values of the objective are better, for ``create_staged_study``."""
        return "minimize" if self.objective == "loss" else "maximize"

    @property
    def fingerprint(self) -> dict[str, str | int | float | None]:
        """What a run is defined by, for ``create_staged_study(fingerprint=...)``.

        Two tasks with equal fingerprints, and the same space, give the same results. The device
        is not part of it, so that a run may go on on another machine.
        """
        model = self._model
        return {
            "dataset": self.data.name.partition(":")[0],  # a file may be moved
            "data": self.data.digest,
            "model": model if isinstance(model, str) else f"{model.__module__}.{_name_of(model)}",
            "epochs_per_stage": self.epochs_per_stage,
            "batch_size": self.batch_size,
            "objective": self.objective,
            **self._defaults,
        }

    def __call__(self, trial: optuna.Trial, stage: Stage) -> float:
        """Train the trial's candidate for one stage, save it and return its value.

        Reports the value after each epoch (step: epochs since the first stage began), for
        learning curves and for the study's pruner, which is a median pruner unless you give
        :class:`optuna.pruners.NopPruner` or another. Sets the validation metrics and the training
        loss as the trial's user attributes.

        Args:
            trial: The trial that suggests the hyper-parameters.
            stage: The stage: where the weights come from and go to.

        Returns:
            The objective on the validation images, or NaN if training failed.

        Raises:
            ValueError: If ``space`` gives no ``"lr"`` or something unknown.
            optuna.TrialPruned: If the study's pruner says so.
        """
        try:
            return self._train(trial, stage)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            return _fail(trial, f"out of memory: {error}")

    def _train(self, trial: optuna.Trial, stage: Stage) -> float:
        settings = self._settings(trial)
        state = stage.load()
        with random_numbers(stage.seed, self.device):
            model = self._create_model(settings.pop("dropout"))
            optimizer = torch.optim.SGD(model.parameters(), settings["lr"])
            if state is not None:
                model.load_state_dict(state["model"])
                # Copied, because the optimizer would go on in the loaded momentum buffers.
                optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
            # After loading, which brings back the settings of the promoted trial.
            for group in optimizer.param_groups:
                group.update(settings)

            for epoch in range(1, self.epochs_per_stage + 1):
                train_loss = train_epoch(model, optimizer, *self._splits["train"], self.batch_size)
                metrics = self._score(model, "valid")
                if not math.isfinite(train_loss + metrics.loss):
                    return _fail(trial, f"diverged in epoch {epoch} with {settings}")
                scores = {
                    **metrics.scalars,
                    "kappa": kappa(metrics.accuracy, metrics.loss),
                }
                with warnings.catch_warnings():
                    # A trial that was taken over from a dead worker has reported this before.
                    warnings.filterwarnings("ignore", message="The reported value is ignored")
                    trial.report(
                        scores[self.objective], stage.number * self.epochs_per_stage + epoch
                    )
                if epoch < self.epochs_per_stage and trial.should_prune():
                    raise optuna.TrialPruned

        # The number of epochs is what `StagedSchedule.lr_scheduler` needs.
        attrs = {**scores, "train_loss": train_loss, "epochs": self.epochs_per_stage}
        for name, value in attrs.items():
            trial.set_user_attr(name, value)
        stage.save(trial, {"model": model.state_dict(), "optimizer": optimizer.state_dict()})
        return scores[self.objective]

    def evaluate(self, state: Mapping[str, Any], split: Split = "test") -> ClassificationMetrics:
        """Measure a saved network.

        Args:
            state: What ``staged.load_best()`` gives. If it holds ``"averaged"`` weights these are
                measured, else those of ``"model"``.
            split: ``"train"``, ``"valid"`` or ``"test"``. Choose by ``"valid"`` only.

        Returns:
            The metrics on all images of the split.
        """
        with random_numbers(0, self.device):
            model = self._create_model()
        model.load_state_dict(state["averaged"] if "averaged" in state else state["model"])
        return self._score(model, split)

    def _create_model(self, dropout: float | None = None) -> nn.Module:
        create = self._model
        shape, n_classes = self.data.input_shape, self.data.n_classes
        if isinstance(create, str):
            model = create_model(create, shape, n_classes)
        else:
            model = create(shape, n_classes)
        if dropout is not None:
            set_dropout(model, dropout)
        return to_device(model, self.device)

    def _settings(self, trial: optuna.Trial) -> dict[str, Any]:
        settings = {**self._defaults, **self._space(trial)}
        if set(settings) != set(_SETTINGS):
            raise ValueError(
                '`space` must give "lr", and may give "momentum", "weight_decay" and "dropout", '
                f"but with the defaults there are {', '.join(settings)}."
            )
        return settings

    def _score(self, model: nn.Module, split: Split) -> ClassificationMetrics:
        images, labels = self._splits[split]
        return classification_metrics(predict(model, images), labels)


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)


def _is_out_of_memory(error: Exception) -> bool:
    # PyTorch has a type for CUDA's only; for the CPU and for MPS it has a text.
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        text in str(error) for text in ("DefaultCPUAllocator", "MPS backend out of memory")
    )


def _fail(trial: optuna.Trial, reason: str) -> float:
    trial.set_user_attr(FAILURE_KEY, reason[:500])
    return math.nan
