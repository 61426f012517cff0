"""``optuna-gamma train`` and its options. Imports neither torch nor Optuna before it runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from optuna_gamma.cli.extras import missing
from optuna_gamma.cli.options import Averaging
from optuna_gamma.cli.options import MOST_STAGES
from optuna_gamma.cli.options import Numbers
from optuna_gamma.cli.options import Objective
from optuna_gamma.cli.options import Optimizer
from optuna_gamma.cli.options import parse_numbers
from optuna_gamma.cli.options import parse_setting
from optuna_gamma.cli.options import read_config
from optuna_gamma.cli.options import Sampler
from optuna_gamma.cli.options import Setting
from optuna_gamma.cli.options import TrainOptions


_BUDGET = "Budget"
_SEARCH = "Search"
_TRAINING = "Data and training"
_OUTPUT = "Run"

_DEFAULT_TRIALS = 6, 1


def train(
    dataset: Annotated[
        str,
        typer.Option(
            help="digits, mnist, fashion-mnist, cifar10, npz:PATH with x_train, y_train, "
            "x_test, y_test, or folder:PATH with train/CLASS/IMAGE and test/CLASS/IMAGE.",
            rich_help_panel=_TRAINING,
        ),
    ] = "digits",
    model: Annotated[
        str,
        typer.Option(
            help="Network: deep-conv, keras-cifar, or torchvision:NAME, such as "
            "torchvision:resnet18.",
            rich_help_panel=_TRAINING,
        ),
    ] = "deep-conv",
    stages: Annotated[
        int,
        typer.Option(min=1, max=MOST_STAGES, help="Stages to train.", rich_help_panel=_BUDGET),
    ] = 2,
    trials: Annotated[
        str | None,
        typer.Option(
            help="Candidates tried in each stage; several numbers take turns. A stage of one "
            "trains on with what was chosen before it. Default: 6,1, or those of the run that "
            "goes on.",
            metavar="N[,N…]",
            rich_help_panel=_BUDGET,
        ),
    ] = None,
    epochs_per_stage: Annotated[
        str | None,
        typer.Option(
            help="Epochs of each trial; several numbers take turns. Default: as many as make 250 "
            "steps, as rates that are chosen by what a short stage gains are too small; where a "
            "stage trains on, three times as many as the search before it takes.",
            metavar="N[,N…]",
            rich_help_panel=_BUDGET,
        ),
    ] = None,
    sampler: Annotated[
        Sampler,
        typer.Option(
            help="gamma, gaussian and conjugate are GammaBOSampler's acquisitions; gp, tpe and "
            "random are Optuna's; grid tries the same TRIALS rates in every stage.",
            rich_help_panel=_SEARCH,
        ),
    ] = "gamma",
    objective: Annotated[
        Objective,
        typer.Option(
            help="What the best trial of a stage is best in, on the validation images.",
            rich_help_panel=_SEARCH,
        ),
    ] = "kappa",
    lr_min: Annotated[
        float | None,
        typer.Option(
            help="Smallest learning rate. Default: 0.001, for adamw 0.0001.",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    lr_max: Annotated[
        float | None,
        typer.Option(
            help="Largest learning rate. Default: 0.5, for adamw 0.03.", rich_help_panel=_SEARCH
        ),
    ] = None,
    n_train: Annotated[
        int | None,
        typer.Option(min=1, help="Images to train with. Default: all.", rich_help_panel=_TRAINING),
    ] = None,
    n_valid: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Images to choose rates by, taken from the training images. Default: a sixth of "
            "them, but at most 5,000 and at most twice --n-train.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    batch_size: Annotated[
        str,
        typer.Option(
            help="Images in a batch; LOW:HIGH to search it.",
            metavar="SETTING",
            rich_help_panel=_TRAINING,
        ),
    ] = "50",
    optimizer: Annotated[
        Optimizer, typer.Option(help="How weights are updated.", rich_help_panel=_TRAINING)
    ] = "sgd",
    momentum: Annotated[
        str,
        typer.Option(
            help="Momentum of SGD, in [0, 1); LOW:HIGH to search it.",
            metavar="SETTING",
            rich_help_panel=_TRAINING,
        ),
    ] = "0.0",
    nesterov: Annotated[
        bool,
        typer.Option(
            "--nesterov",
            help="Let SGD look ahead along its momentum.",
            rich_help_panel=_TRAINING,
        ),
    ] = False,
    weight_decay: Annotated[
        str,
        typer.Option(
            help="Weight decay; LOW:HIGH to search it.",
            metavar="SETTING",
            rich_help_panel=_TRAINING,
        ),
    ] = "0.001",
    dropout: Annotated[
        str | None,
        typer.Option(
            help="The network's strongest dropout, in [0, 1); LOW:HIGH to search it. Default: "
            "the network's own.",
            metavar="SETTING",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    augment: Annotated[
        str,
        typer.Option(
            help="Random views of the training images: flip, crop, or flip,crop. Default: none.",
            rich_help_panel=_TRAINING,
        ),
    ] = "",
    class_weights: Annotated[
        str | None,
        typer.Option(
            help="Weights of the classes in the training loss: balanced, or numbers such as "
            "1,1,2.5. Default: all alike.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    averaging: Annotated[
        Averaging,
        typer.Option(
            help="tail: score and keep the mean of the weights over the second half of a stage; "
            "none: those it ends with.",
            rich_help_panel=_TRAINING,
        ),
    ] = "tail",
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of downloaded data sets. Default: $OPTUNA_GAMMA_DATA, else a cache "
            "folder.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel=_TRAINING)
    ] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="CPU threads. Default: PyTorch's, one a core; one is better for small images, on "
            "a busy machine, and where several processes share a run.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run, resumed if it holds it already. Default: runs/DATASET.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Database URL as Optuna takes it. Default: a journal file in --out.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the run in the storage. Default: the data set's.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            max=2**32 - 1,
            help="Of the split, the networks and the search: equal seeds give equal runs.",
            rich_help_panel=_OUTPUT,
        ),
    ] = 0,
    config: Annotated[
        Path | None,
        typer.Option(
            callback=_read_config,
            is_eager=True,
            metavar="FILE",
            help="TOML file with options under their names, such as the config.toml that a run "
            "keeps. What is given here counts more.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="Print errors and the final table only.", rich_help_panel=_OUTPUT
        ),
    ] = False,
) -> None:
    """Train a network stage by stage, each with the learning rate that was best for it.

    Every trial of a stage goes on from the weights that the stage before promoted, with its own
    learning rate. The best one's weights are promoted. By default six rates are tried, and the
    best network trains on. The same command resumes a run that was interrupted, and several at
    once share its work; a larger --stages or --trials extends it.

    Exit codes: 0 done, 1 failed, 2 bad options or input, 130 interrupted.
    """
    try:
        from optuna_gamma.cli.train import run
    except ModuleNotFoundError as error:
        raise missing("train", error) from error
    label = dataset.partition(":")[0]
    out = Path("runs", label) if out is None else Path(os.path.expanduser(out))
    options = TrainOptions(
        dataset=dataset,
        model=model,
        stages=stages,
        trials=_DEFAULT_TRIALS if trials is None else _numbers("--trials", trials),
        epochs_per_stage=None
        if epochs_per_stage is None
        else _numbers("--epochs-per-stage", epochs_per_stage),
        sampler=sampler,
        objective=objective,
        lr_min=lr_min if lr_min is not None else 1e-4 if optimizer == "adamw" else 1e-3,
        lr_max=lr_max if lr_max is not None else 0.03 if optimizer == "adamw" else 0.5,
        n_train=n_train,
        n_valid=n_valid,
        batch_size=_setting("--batch-size", batch_size),
        optimizer=optimizer,
        momentum=_setting("--momentum", momentum),
        nesterov=nesterov,
        weight_decay=_setting("--weight-decay", weight_decay),
        dropout=None if dropout is None else _setting("--dropout", dropout),
        augment=tuple(part.strip() for part in augment.split(",") if part.strip()),
        class_weights=class_weights,
        averaging=averaging,
        data=data,
        device=device,
        threads=threads,
        out=out,
        storage=storage,
        name=name or label,
        seed=seed,
        quiet=quiet,
    )
    raise typer.Exit(run(options, keeps_trials=trials is None))


def _setting(name: str, text: str) -> Setting:
    try:
        return parse_setting(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=name) from error


def _numbers(name: str, text: str) -> Numbers:
    try:
        return parse_numbers(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=name) from error


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    if path is not None:
        try:
            context.default_map = read_config(path)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    return path
