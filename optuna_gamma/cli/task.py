"""From the options of ``optuna-gamma train`` to the task that they describe."""

from __future__ import annotations

import math
from typing import Literal

import optuna
from optuna.artifacts import FileSystemArtifactStore
import torch

from optuna_gamma.cli.options import is_remote
from optuna_gamma.cli.options import Numbers
from optuna_gamma.cli.options import SETTINGS
from optuna_gamma.cli.options import TrainOptions
from optuna_gamma.staged.per_stage import PerStage
from optuna_gamma.vision import load_dataset
from optuna_gamma.vision import VisionTask
from optuna_gamma.vision.epochs import default_epochs
from optuna_gamma.vision.settings import check_setting


_LOG = ("weight_decay", "batch_size")
"""Settings that are searched on a logarithmic scale, as the learning rate is."""


def create_task(
    options: TrainOptions, artifact_store: FileSystemArtifactStore | None = None
) -> VisionTask:
    """Load the data and make the task that the options describe.

    Args:
        options: The options.
        artifact_store: Where pictures of the trials go; :obj:`None`: there are none.
    """
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if not 0.0 < options.lr_min <= options.lr_max < math.inf:
        raise ValueError(
            "`lr_min` and `lr_max` must be positive and in this order, but got "
            f"{options.lr_min:g} and {options.lr_max:g}."
        )
    check_setting("lr_max", options.lr_max)
    if is_remote(str(options.out)):
        raise ValueError(f"`out` must be a local folder, but got {options.out}.")
    _check_settings(options)
    data = load_dataset(
        options.dataset, options.data, options.n_train, options.n_valid, options.seed
    )
    largest = options.searched.get("batch_size", (0, options.batch_size))[1]
    if largest > len(data.train[0]):  # type: ignore[operator]
        raise ValueError(
            f"`batch_size` must not be above the number of training images, "
            f"{len(data.train[0]):,}, but got {largest}."
        )
    # Of what is searched the task is given the lower end.
    settings = {name: getattr(options, name) for name in SETTINGS}
    settings.update({name: low for name, (low, _) in options.searched.items()})
    return VisionTask(
        model=options.model,
        data=data,
        space=lambda trial: _suggest(trial, options),
        epochs_per_stage=options.epochs_per_stage or _epochs(options, len(data.train[0])),
        optimizer=options.optimizer,
        nesterov=options.nesterov,
        augment=options.augment,  # type: ignore[arg-type]  # checked there
        class_weights=_class_weights(options.class_weights),
        averaging="tail" if options.averaging == "tail" else None,
        objective=options.objective,
        artifact_store=artifact_store,
        device=options.device,
        **settings,
    )


def _check_settings(options: TrainOptions) -> None:
    for name in SETTINGS:
        value = getattr(options, name)
        for end in value if isinstance(value, tuple) else (value,):
            check_setting(name, end)
    for name, (low, _) in options.searched.items():
        if name in _LOG and low <= 0:
            raise ValueError(
                f"`{name}` is searched on a logarithmic scale, which has no {low:g}: give a "
                "positive lower end."
            )
    if options.sampler == "grid" and len(set(search_trials(options))) > 1:
        raise ValueError(
            f"`sampler` 'grid' tries the same rates in every stage that searches, but `trials` "
            f"gives them {' and '.join(map(str, search_trials(options)))}: give one number."
        )
    is_grid_of_one = options.sampler == "grid" and trials_per_stage(options)[0] == 1
    if is_grid_of_one and options.lr_min < options.lr_max:
        raise ValueError(
            "`sampler` 'grid' would try the smallest rate alone in the first stage, as `trials` "
            f"gives it 1: give it more, such as 6, or {options.lr_max:g} as `lr_min`, too."
        )
    if options.optimizer == "adamw" and "momentum" in options.searched:
        raise ValueError("`momentum` cannot be searched: `optimizer` 'adamw' has none.")
    if options.sampler == "grid" and options.searched:
        raise ValueError(
            "`sampler` 'grid' tries learning rates alone, but "
            f"{', '.join(f'`{name}`' for name in options.searched)} is to be searched too: give "
            "numbers, or take another sampler."
        )


def _suggest(trial: optuna.Trial, options: TrainOptions) -> dict[str, float]:
    settings = {"lr": trial.suggest_float("lr", options.lr_min, options.lr_max, log=True)}
    for name, (low, high) in options.searched.items():
        if name == "batch_size":
            settings[name] = trial.suggest_int(name, int(low), int(high), log=True)
        else:
            settings[name] = trial.suggest_float(name, low, high, log=name in _LOG)
    return settings


def _epochs(options: TrainOptions, n_train: int) -> Numbers:
    """Return the epochs of a trial where none are given; see ``--epochs-per-stage``.

    They are those of the run that there is, if there is one: with other trials it goes on.
    """
    begun = TrainOptions.read_if_there(options.out)
    if begun is not None and begun.epochs_per_stage is not None:
        return begun.epochs_per_stage
    _, largest = options.searched.get("batch_size", (0, options.batch_size))
    return default_epochs(n_train, largest, options.trials)  # type: ignore[arg-type]


def trials_per_stage(options: TrainOptions) -> PerStage:
    """Return the trials of each stage."""
    return PerStage.of("trials", options.trials)


def search_trials(options: TrainOptions) -> list[int]:
    """Return the trials of the stages that search, of those that take turns."""
    return [n for n in trials_per_stage(options).numbers if n > 1] or [1]


def _class_weights(text: str | None) -> Literal["balanced"] | list[float] | None:
    if text is None or text == "balanced":
        return text  # type: ignore[return-value]
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise ValueError(
            f"`class_weights` must be balanced or numbers such as 1,1,2.5, but got {text!r}."
        ) from None
