"""Commands and options. Nothing here imports torch or Optuna, so that ``--help`` is quick."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated
import warnings

import typer

from optuna_gamma.cli.options import Averaging
from optuna_gamma.cli.options import Content
from optuna_gamma.cli.options import Format
from optuna_gamma.cli.options import Numbers
from optuna_gamma.cli.options import Objective
from optuna_gamma.cli.options import Optimizer
from optuna_gamma.cli.options import parse_numbers
from optuna_gamma.cli.options import parse_setting
from optuna_gamma.cli.options import read_config
from optuna_gamma.cli.options import Sampler
from optuna_gamma.cli.options import Setting
from optuna_gamma.cli.options import TrainOptions


app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_BUDGET = "Budget"
_SEARCH = "Search"
_TRAINING = "Data and training"
_OUTPUT = "Run"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"optuna-gamma {version('optuna-gamma')}")
        raise typer.Exit


@app.callback()
def optuna_gamma(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Staged training: the learning rate of each stage found by Bayesian optimisation."""


def _examples(*commands: str) -> str:
    return "Examples:\n\n" + "\n\n".join(f"- `optuna-gamma {command}`" for command in commands)


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


@app.command(
    epilog=_examples(
        "train --dataset digits --out runs/demo",
        "train --dataset mnist --stages 10 --trials 12 --epochs-per-stage 1",
        "train --dataset mnist --sampler gp --seed 1",
        "train --config runs/demo/config.toml --seed 1 --out runs/again",
        "train --dataset cifar10 --model keras-cifar --augment flip,crop --momentum 0.5:0.99 "
        "--batch-size 32:256",
    )
)
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
        int, typer.Option(min=1, help="Stages to train.", rich_help_panel=_BUDGET)
    ] = 2,
    trials: Annotated[
        str,
        typer.Option(
            help="Candidates tried in each stage; several numbers take turns. A stage of one "
            "trains on with what was chosen before it.",
            metavar="N[,N…]",
            rich_help_panel=_BUDGET,
        ),
    ] = "6,1",
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
        raise _missing("train", error) from error
    label = dataset.partition(":")[0]
    options = TrainOptions(
        dataset=dataset,
        model=model,
        stages=stages,
        trials=_numbers("--trials", trials),
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
        out=out or Path("runs", label),
        storage=storage,
        name=name or label,
        seed=seed,
        quiet=quiet,
    )
    raise typer.Exit(run(options))


_Folder = Annotated[
    str | None,
    typer.Argument(metavar="DIR", help="Folder of the run, or a URL such as s3://bucket/run."),
]
_LocalFolder = Annotated[
    str | None,
    typer.Argument(metavar="DIR", help="Folder of the run, as `train` has made it."),
]
_Out = Annotated[str | None, typer.Option("--out", help="The same, as `train` has it.")]
_Data = Annotated[
    Path | None, typer.Option(help="Folder of downloaded data sets. Default: the run's.")
]
_Device = Annotated[
    str | None, typer.Option(help="auto, cpu, cuda, cuda:1, mps. Default: the run's.")
]
_Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print errors and the final table only.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def _folder(folder: str | None, out: str | None) -> str:
    if (folder is None) == (out is None):
        raise typer.BadParameter("Give the folder of the run, once.", param_hint="DIR")
    return folder if folder is not None else str(out)


def _missing(command: str, error: ImportError) -> typer.Exit:
    """Say what to install, unless the error is our own."""
    if error.name is None or error.name.startswith("optuna_gamma"):
        raise error
    extra = "dashboard" if command == "dashboard" else "train"
    typer.echo(
        f"Error: optuna-gamma {command} needs {error.name}, which is not installed: "
        f"pip install 'optuna-gamma[{extra}]'.",
        err=True,
    )
    return typer.Exit(1)


@app.command(epilog=_examples("worker runs/mnist", "worker /shared/runs/mnist --device cuda:1"))
def worker(
    folder: _LocalFolder = None,
    out: _Out = None,
    storage: Annotated[
        str | None, typer.Option(help="Database URL. Default: the run's, if it has no password.")
    ] = None,
    data: _Data = None,
    device: _Device = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads. Default: the run's.")
    ] = None,
    quiet: _Quiet = False,
) -> None:
    """Join a run that `optuna-gamma train` began, here or on another machine, with its options.

    Any number of workers may join and leave at any time.

    Exit codes: 0 done, 1 failed, 2 bad options or input, 130 interrupted.
    """
    try:
        from optuna_gamma.cli.worker import run
    except ModuleNotFoundError as error:
        raise _missing("worker", error) from error
    raise typer.Exit(run(Path(_folder(folder, out)), storage, data, device, threads, quiet))


_StorageOfRun = Annotated[
    str | None,
    typer.Option(help="Database URL of the run. Default: the one it was begun with."),
]


@app.command(
    epilog=_examples(
        "status runs/mnist",
        "status s3://bucket/mine --storage postgresql+psycopg://host/runs --json",
    )
)
def status(
    folder: _Folder = None,
    out: _Out = None,
    storage: _StorageOfRun = None,
    as_json: _Json = False,
) -> None:
    """Print how far a run is, while others work on it or not: stages, trials, the best ones.

    Exit codes: 0 done, 1 failed, 2 bad options or input.
    """
    from optuna_gamma.cli.status import run

    raise typer.Exit(run(_folder(folder, out), storage, as_json))


@app.command(
    epilog=_examples(
        "export runs/mnist --to schedule.csv",
        "export runs/mnist --what trials --format json",
        "export runs/mnist --what weights --to mnist.pt",
    )
)
def export(
    folder: _Folder = None,
    out: _Out = None,
    what: Annotated[Content, typer.Option(help="What to export.")] = "schedule",
    format: Annotated[
        Format | None,
        typer.Option(
            help="csv or json; of weights safetensors or pt (PyTorch's). Default: what the name "
            "given with --to ends in, else the first."
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File to write. Default: print it.")
    ] = None,
    storage: _StorageOfRun = None,
) -> None:
    """Write out what a run has learned: its schedule, all its trials, or the best weights.

    Exit codes: 0 done, 1 failed, 2 bad options or input.
    """
    from optuna_gamma.cli.export import run

    try:
        code = run(_folder(folder, out), storage, what, format, to)
    except ImportError as error:  # PyTorch's weights need PyTorch
        raise _missing("export", error) from error
    raise typer.Exit(code)


@app.command(epilog=_examples("report runs/mnist", "report runs/mnist --to mnist.html"))
def report(
    folder: _Folder = None,
    out: _Out = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File to write. Default: report.html in DIR."),
    ] = None,
    storage: _StorageOfRun = None,
) -> None:
    """Write what a run did and came to as a web page of one file: words, a table, pictures.

    It opens without a network, can be printed, and can be written while the run goes on.

    Exit codes: 0 done, 1 failed, 2 bad options or input.
    """
    try:
        from optuna_gamma.cli.report import run
    except ImportError as error:
        if error.name != "plotly":
            raise
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from error
    raise typer.Exit(run(_folder(folder, out), storage, to))


@app.command(epilog=_examples("replay runs/mnist", "replay runs/mnist --seeds 10 --json"))
def replay(
    folder: _LocalFolder = None,
    out: _Out = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds to train with.")] = 5,
    data: _Data = None,
    device: _Device = None,
    quiet: _Quiet = False,
    as_json: _Json = False,
) -> None:
    """Train from scratch with a run's learned schedule, over several seeds.

    Prints each seed's test metrics, their mean with its 95 % interval, and the run's own figure.

    Exit codes: 0 done, 1 failed, 2 bad options or input.
    """
    try:
        from optuna_gamma.cli.replay import run
    except ModuleNotFoundError as error:
        raise _missing("replay", error) from error
    raise typer.Exit(run(Path(_folder(folder, out)), seeds, data, device, quiet, as_json))


@app.command(epilog=_examples("dashboard runs/mnist", "dashboard runs/mnist --port 0"))
def dashboard(
    folder: _Folder = None,
    out: _Out = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0: let other machines look, too.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any that is free.")
    ] = 8080,
    storage: _StorageOfRun = None,
) -> None:
    """Show a run in optuna-dashboard, in a browser, while it goes on or not.

    Each stage is a study with a note that says where it started, what was promoted and why, and
    with figures of the schedule, the learning curves and the search, brought up to date each
    minute.

    Exit codes: 0 done, 1 failed, 2 bad options or input.
    """
    try:
        with warnings.catch_warnings():  # optuna-dashboard imports torch, if it is there
            warnings.simplefilter("ignore", FutureWarning)
            from optuna_gamma.cli.dashboard import run
    except ModuleNotFoundError as error:
        raise _missing("dashboard", error) from error
    raise typer.Exit(run(_folder(folder, out), storage, host, port))


@app.command(epilog=_examples("clean runs/mnist --dry-run"))
def clean(
    folder: _Folder = None,
    out: _Out = None,
    storage: _StorageOfRun = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would be deleted.")
    ] = False,
) -> None:
    """Delete the checkpoints that killed workers left and nobody needs; print their names.

    Safe at any time: what is promoted and kept, the best of the stage in progress and what a
    running trial may need stay.

    Exit codes: 0 done, 1 failed, 2 bad options or input.
    """
    from optuna_gamma.cli.clean import run

    raise typer.Exit(run(_folder(folder, out), storage, dry_run))
