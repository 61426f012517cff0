"""Training of an image classifier as the objective of a staged study."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import math
from typing import Any
from typing import Literal
from typing import TYPE_CHECKING

import optuna
import torch
from torch import nn
from torch import Tensor

from optuna_gamma.objective import kappa
from optuna_gamma.staged.claim import FAILURE_KEY
from optuna_gamma.staged.per_stage import PerStage
from optuna_gamma.vision.artifacts import attach_pictures
from optuna_gamma.vision.augmentation import Augmentation
from optuna_gamma.vision.averaging import Averaging
from optuna_gamma.vision.averaging import TailAverage
from optuna_gamma.vision.data import Dataset
from optuna_gamma.vision.epochs import default_epochs
from optuna_gamma.vision.metrics import classification_metrics
from optuna_gamma.vision.metrics import ClassificationMetrics
from optuna_gamma.vision.models import create_model
from optuna_gamma.vision.models import set_dropout
from optuna_gamma.vision.settings import check_setting
from optuna_gamma.vision.settings import checked_augment
from optuna_gamma.vision.settings import loss_weights
from optuna_gamma.vision.settings import one_of
from optuna_gamma.vision.trainer import n_batches
from optuna_gamma.vision.trainer import precision
from optuna_gamma.vision.trainer import predict
from optuna_gamma.vision.trainer import random_numbers
from optuna_gamma.vision.trainer import resolve_device
from optuna_gamma.vision.trainer import shuffled_batches
from optuna_gamma.vision.trainer import to_device
from optuna_gamma.vision.trainer import train_epoch


if TYPE_CHECKING:
    from optuna.artifacts._protocol import ArtifactStore

    from optuna_gamma.staged import Stage

Objective = Literal["kappa", "accuracy", "loss"]
Optimizer = Literal["sgd", "adamw"]
Split = Literal["train", "valid", "test"]


class VisionTask:
    """Train a network for one stage with the hyper-parameters of a trial.

    A task is an objective: hand it to ``staged.optimize``. Every trial of a stage starts from the
    weights and optimizer state that the last stage promoted, sees the same images in the same
    order, cropped and mirrored alike, and draws the same dropout masks (the first stage's also the
    same initial weights), trains ``epochs_per_stage`` epochs, and is scored on the validation
    images. On a CPU the result of a trial depends on nothing else, bit by bit, as long as the
    number of threads is the same; on a GPU up to the order in which PyTorch's kernels sum.
    Networks are trained in the memory layout ``channels_last``, and on recent GPUs in mixed
    precision (bfloat16).

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
            if they are searched too, ``"momentum"``, ``"weight_decay"``, ``"batch_size"`` and
            ``"dropout"``.
        epochs_per_stage: Number of epochs a trial trains; or several, which the stages take in
            turns, as with ``n_trials`` of
            :meth:`~optuna_gamma.staged.StagedStudy.optimize`. :obj:`None` goes with its default,
            ``n_trials=(6, 1)``: as many epochs as make 250 steps for a rate that is tried, and
            eighteen times as many for the one chosen. An ``n_trials`` by which several would be
            tried for that long is refused.
        batch_size: Number of images in a batch, unless ``space`` gives it.
        optimizer: ``"sgd"`` or ``"adamw"``.
        momentum: Momentum of SGD in [0, 1), unless ``space`` gives it.
        nesterov: Whether SGD looks ahead along its momentum.
        weight_decay: Weight decay, unless ``space`` gives it: of SGD the L2 penalty, of AdamW
            apart from the gradient and times the learning rate.
        dropout: The network's dropout as for :func:`create_model`, unless ``space`` gives it.
            Default: the network's own.
        augment: Random views of the training images, ``"flip"`` and ``"crop"``: half of the images
            mirrored left to right; each image moved by up to an eighth of its shorter side, the
            border filled by reflection.
        class_weights: Weights of the classes in the training loss, in the order of
            ``data.classes``, or ``"balanced"``: inversely as many as a class has training images.
            Scores are never weighted. Default: all alike.
        averaging: ``"tail"``: what is scored, and used in the end, is the mean of the weights
            after each step of the stage's second half (stochastic weight averaging), so that a
            rate is not punished for the noise of its last steps. The weights as trained go on to
            the next stage: a training is the same, bit by bit, with averaging and without.
            Reports of epochs in the first half are of the weights as trained. :obj:`None`: the
            weights as trained are scored.
        objective: The value of a trial on the validation images: ``"kappa"``, ``"accuracy"``
            (both to maximise) or ``"loss"`` (to minimise).
        artifact_store: Where each trial's confusion matrix and misclassified validation images
            go, as artifacts of the trial that optuna-dashboard shows. Default: none are drawn.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.

    Raises:
        TypeError: If ``space`` is no function, ``epochs_per_stage`` no int and no ints, ``model``
            no name and no function, or ``data`` no :class:`Dataset`.
        ValueError: If an argument is outside its range or contradicts another, the model is
            unknown or cannot take the images, or there is no such device.

    Example:
        .. code-block:: python

            task = VisionTask(
                model="deep-conv",
                data=load_dataset("digits"),
                space=lambda trial: {"lr": trial.suggest_float("lr", 1e-3, 0.5, log=True)},
            )
            staged = create_staged_study(study_name="digits", directory="runs/digits")
            staged.optimize(task)
            print(task.evaluate(staged.load_best(), "test").accuracy)
    """

    def __init__(
        self,
        *,
        model: str | Callable[[tuple[int, int, int], int], nn.Module],
        data: Dataset,
        space: Callable[[optuna.Trial], Mapping[str, float]],
        epochs_per_stage: int | Sequence[int] | None = None,
        batch_size: int = 50,
        optimizer: Optimizer = "sgd",
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 1e-3,
        dropout: float | None = None,
        augment: Collection[Augmentation] = (),
        class_weights: Literal["balanced"] | Sequence[float] | None = None,
        averaging: Averaging | None = "tail",
        objective: Objective = "kappa",
        artifact_store: ArtifactStore | None = None,
        device: str = "auto",
    ) -> None:
        if not callable(space):
            raise TypeError(f"`space` must be a function of a trial, but got {space!r}.")
        if not isinstance(model, str) and not callable(model):
            raise TypeError(
                "`model` must be a network's name, or a function of input shape and number of "
                f"classes, but got {model!r}."
            )
        if not isinstance(data, Dataset):
            raise TypeError(
                "`data` must come from `load_dataset` or `create_dataset`, but got a "
                f"{type(data).__name__}."
            )
        one_of("objective", objective, Objective)
        one_of("optimizer", optimizer, Optimizer)
        if averaging is not None:
            one_of("averaging", averaging, Averaging)
        self.data = data
        self.batch_size = batch_size
        self.objective = objective
        self.device = resolve_device(device)
        self._model = model
        self._space = space
        self._optimizer = optimizer
        self._nesterov = nesterov
        self._averaging = averaging
        self._artifact_store = artifact_store
        self._defaults: dict[str, Any] = {
            "momentum": momentum,
            "weight_decay": weight_decay,
            "batch_size": batch_size,
            "dropout": dropout,
        }
        for name, value in self._defaults.items():
            check_setting(name, value)
        self._has_default_epochs = epochs_per_stage is None
        if epochs_per_stage is None:
            epochs_per_stage = default_epochs(len(data.train[0]), batch_size)
        self.epochs_per_stage = PerStage.of("epochs_per_stage", epochs_per_stage)
        if optimizer == "adamw":
            if momentum or nesterov:
                raise ValueError(
                    f"`momentum` is {momentum} and `nesterov` {nesterov}, but `optimizer` "
                    f"{optimizer!r} has neither: leave them out, or take 'sgd'."
                )
            del self._defaults["momentum"]
        elif nesterov and not momentum:
            raise ValueError(
                "`nesterov` needs a `momentum` above 0, such as 0.9, also where `space` gives "
                "another one."
            )
        self._augment = checked_augment(augment, data)
        self._class_weights = (
            class_weights
            if class_weights is None or isinstance(class_weights, str)
            else tuple(map(float, class_weights))  # tensors too
        )
        self._loss_weights = loss_weights(self._class_weights, data, self.device)
        self._splits = {
            name: (images.to(self.device), labels.to(self.device))
            for name, (images, labels) in (
                ("train", data.train),
                ("valid", data.valid),
                ("test", data.test),
            )
        }
        self._check_model(dropout)  # what is wrong is refused here, not in the first trial

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Which values of the objective are better, for ``create_staged_study``."""
        return "minimize" if self.objective == "loss" else "maximize"

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What a run is defined by, for ``create_staged_study(fingerprint=...)``.

        Two tasks with equal fingerprints, and the same space, give the same results. The device
        is not part of it, so that a run may go on on another machine. A function that was given as
        ``model`` is known by its name.
        """
        model = self._model
        return {
            "dataset": self.data.name.partition(":")[0],  # a file may be moved
            "data": self.data.digest,
            "model": model if isinstance(model, str) else f"{model.__module__}.{_name_of(model)}",
            "epochs_per_stage": self.epochs_per_stage.plain,
            "objective": self.objective,
            "optimizer": self._optimizer,
            "nesterov": self._nesterov,
            "augment": list(self._augment),
            "class_weights": self._class_weights,
            **({} if self._averaging is None else {"averaging": self._averaging}),
            **self._defaults,
        }

    def check_plan(self, n_stages: int, n_trials: PerStage) -> None:
        """Refuse to try several candidates for the epochs that are meant for the one chosen.

        ``staged.optimize`` asks, before it begins.

        Raises:
            ValueError: If ``epochs_per_stage`` was not given, and a stage that is to train on
                would search.
        """
        epochs = self.epochs_per_stage
        for stage in range(n_stages if self._has_default_epochs else 0):
            if epochs[stage] > epochs[0] and n_trials[stage] > 1:
                raise ValueError(
                    f"`n_trials` is {n_trials.plain}, but the task has the `epochs_per_stage` "
                    f"{epochs.plain} that go with (6, 1): stage {stage} would try "
                    f"{n_trials[stage]} candidates for {epochs[stage]} epochs each. Give the task "
                    f"its own `epochs_per_stage`, such as {epochs[0]}, or leave `n_trials` out."
                )

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
            TypeError: If ``space`` gives no dictionary.
            ValueError: If ``space`` gives no ``"lr"``, something unknown or an impossible value.
            optuna.TrialPruned: If the study's pruner says so.
        """
        try:
            return self._train(trial, stage)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            return _fail(trial, f"out of memory: {error}")

    def _train(self, trial: optuna.Trial, stage: Stage) -> float:
        searched = self._searched(trial)
        settings = {**self._defaults, **searched}
        n_epochs = self.epochs_per_stage[stage.number]
        first = self.epochs_per_stage.total(0, stage.number)
        state = stage.load()
        with random_numbers(stage.seed, self.device):
            model = self._create_model(settings["dropout"])
            optimizer = self._create_optimizer(model)
            if state is not None:
                model.load_state_dict(state["model"])
                optimizer.load_state_dict(state["optimizer"])
                _lay_out_like_parameters(optimizer)
            # After loading, which brings back the settings of the promoted trial.
            for group in optimizer.param_groups:
                group.update({name: value for name, value in settings.items() if name in group})

            average = self._create_average(model, settings["batch_size"], n_epochs)
            for epoch in range(1, n_epochs + 1):
                if epoch > 1 and not {"batch_size", "dropout"}.isdisjoint(searched):
                    # On a CPU the order of the images is drawn from the stream of the dropout
                    # masks, of which such candidates have taken unlike numbers.
                    torch.default_generator.manual_seed(stage.seed + epoch)
                train_loss = train_epoch(
                    model,
                    optimizer,
                    *self._splits["train"],
                    settings["batch_size"],
                    self._augment,
                    self._loss_weights,
                    None if average is None else average.update,
                )
                scored = model
                if average is not None:
                    scored = self._averaged(average, settings["batch_size"], stage.seed)
                logits = self._predict(scored, "valid")
                metrics = classification_metrics(logits, self._splits["valid"][1])
                for of, loss in (("training", train_loss), ("validation", metrics.loss)):
                    if not math.isfinite(loss):
                        given = ", ".join(f"{name}={value}" for name, value in settings.items())
                        said = f"diverged in epoch {epoch} with {given}: the {of} loss is {loss}"
                        return _fail(trial, said)
                scores = {
                    **metrics.scalars,
                    "kappa": kappa(metrics.accuracy, metrics.loss),
                }
                trial.report(scores[self.objective], first + epoch)
                if epoch < n_epochs and trial.should_prune():
                    raise optuna.TrialPruned

        # The number of epochs is what `StagedSchedule.lr_scheduler` needs.
        attrs = {**scores, "train_loss": train_loss, "epochs": n_epochs}
        for name, value in attrs.items():
            trial.set_user_attr(name, value)
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        if average is not None:
            state["averaged"] = scored.state_dict()
        stage.save(trial, state)
        is_kept = isinstance(trial, optuna.Trial)  # a replay's trial is in no study
        if self._artifact_store is not None and is_kept:
            attach_pictures(self._artifact_store, trial, self.data, logits.cpu())
        return scores[self.objective]

    def evaluate(self, state: Mapping[str, Any], split: Split = "test") -> ClassificationMetrics:
        """Measure a saved network.

        Args:
            state: What ``staged.load_best()`` gives. If it holds ``"averaged"`` weights these are
                measured, else those of ``"model"``; so ``{"model": state["model"]}`` is the
                network as trained.
            split: ``"train"``, ``"valid"`` or ``"test"``. Choose by ``"valid"`` only.

        Returns:
            The metrics on all images of the split.

        Raises:
            ValueError: If there is no such split.
        """
        one_of("split", split, Split)
        with random_numbers(0, self.device):
            model = self._create_model()
        model.load_state_dict(state["averaged"] if "averaged" in state else state["model"])
        return classification_metrics(self._predict(model, split), self._splits[split][1])

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

    def _check_model(self, dropout: float | None) -> None:
        images = self._splits["train"][0][:2]
        with random_numbers(0, self.device):
            model = self._create_model(dropout)
            try:
                shape = tuple(predict(model, images).shape)
            except Exception as error:
                raise ValueError(
                    f"`model` cannot take images of shape {self.data.input_shape}: {error}"
                ) from error
            if self.batch_size == 1:
                _check_single(model, images[:1])
        if shape != (2, self.data.n_classes):
            raise ValueError(
                f"`model` must turn 2 images into logits of shape (2, {self.data.n_classes}), but "
                f"gave {shape}."
            )

    def _create_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return the optimizer; learning rate, momentum and weight decay are a trial's."""
        if self._optimizer == "adamw":
            return torch.optim.AdamW(model.parameters())
        # PyTorch refuses Nesterov's method here before a momentum could be set.
        momentum = self._defaults["momentum"]
        return torch.optim.SGD(model.parameters(), momentum=momentum, nesterov=self._nesterov)

    def _create_average(
        self, model: nn.Module, batch_size: int, n_epochs: int
    ) -> TailAverage | None:
        if self._averaging is None:
            return None
        n_steps = n_batches(model, len(self.data.train[0]), batch_size)
        return TailAverage(model, n_epochs * n_steps)

    def _averaged(self, average: TailAverage, batch_size: int, seed: int) -> nn.Module:
        """Return the network with the mean weights; what is drawn for it, training never sees."""
        images, _ = self._splits["train"]
        with random_numbers(seed, self.device), precision(self.device):
            return average.model(
                shuffled_batches(average.trained, images, batch_size, self._augment)
            )

    def _searched(self, trial: optuna.Trial) -> dict[str, Any]:
        given = self._space(trial)
        if not isinstance(given, Mapping):
            raise TypeError(f"`space` must return a dictionary, but returned {given!r}.")
        searched = dict(given)
        if "lr" not in searched or not searched.keys() <= {"lr", *self._defaults}:
            raise ValueError(
                f'`space` must give "lr", and may give {", ".join(self._defaults)}, but gave '
                f"{', '.join(searched) or 'nothing'}."
            )
        for name, value in searched.items():
            check_setting(name, value)
        if self._nesterov and not searched.get("momentum", True):
            raise ValueError("`space` gave a momentum of 0, but `nesterov` needs one above 0.")
        return searched

    def _predict(self, model: nn.Module, split: Split) -> Tensor:
        return predict(model, self._splits[split][0])


def _check_single(model: nn.Module, image: Tensor) -> None:
    model.train()
    try:
        with torch.no_grad(), precision(image.device):
            model(image)
    except Exception as error:
        raise ValueError(
            "`batch_size` must be at least 2, because `model` cannot be trained with a single "
            f"image, as where it has batch normalisation: {error}"
        ) from error


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)


def _lay_out_like_parameters(optimizer: torch.optim.Optimizer) -> None:
    """Give what an optimizer has loaded the memory format that it would have made itself.

    A file keeps no strides, and steps over buffers that lie in another order are slow.
    """
    for parameter, buffers in optimizer.state.items():
        for name, buffer in buffers.items():
            if isinstance(buffer, Tensor) and buffer.shape == parameter.shape:
                buffers[name] = torch.empty_like(parameter).copy_(buffer)


def _is_out_of_memory(error: Exception) -> bool:
    # PyTorch has a type for its own allocator on GPUs only. The CPU, MPS, the driver and NVIDIA's
    # libraries, which take memory for themselves, have texts.
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        text in str(error)
        for text in ("DefaultCPUAllocator", "out of memory", "_STATUS_ALLOC_FAILED")
    )


def _fail(trial: optuna.Trial, reason: str) -> float:
    trial.set_user_attr(FAILURE_KEY, reason[:500])
    return math.nan
