"""What is done with a run that there is. Imports neither torch nor Optuna before it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
import warnings

import typer

from optuna_gamma.cli.extras import missing
from optuna_gamma.cli.options import Content
from optuna_gamma.cli.options import Format
from optuna_gamma.cli.options import is_remote


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
        raise typer.BadParameter(
            "Give the folder of the run, as DIR or with --out.", param_hint="DIR"
        )
    path = os.path.expanduser(folder if folder is not None else str(out))
    if not is_remote(path) and not os.path.isdir(path):
        typer.echo(
            f"Error: There is no folder {path}: give the folder of a run, as `optuna-gamma train` "
            "or `create_staged_study` was given it.",
            err=True,
        )
        raise typer.Exit(2)
    return path


def worker(
    folder: _LocalFolder = None,
    out: _Out = None,
    storage: Annotated[
        str | None, typer.Option(help="Database URL. Default: the run's, if it has no password.")
    ] = None,
    data: _Data = None,
    device: _Device = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="CPU threads. Default: OMP_NUM_THREADS, else the run's."),
    ] = None,
    quiet: _Quiet = False,
) -> None:
    """Join a run that `optuna-gamma train` began, here or on another machine, with its options.

    Any number of workers may join and leave at any time.

    Exit codes: 0 done, 1 failed, 2 bad options or input, 130 interrupted.
    """
    path = _folder(folder, out)
    try:
        from optuna_gamma.cli.worker import run
    except ModuleNotFoundError as error:
        raise missing("worker", error) from error
    raise typer.Exit(run(Path(path), storage, data, device, threads, quiet))


_StorageOfRun = Annotated[
    str | None,
    typer.Option(help="Database URL of the run. Default: the one it was begun with."),
]


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
        raise missing("export", error) from error
    raise typer.Exit(code)


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
    path = _folder(folder, out)
    try:
        from optuna_gamma.cli.report import run
    except ImportError as error:
        if error.name != "plotly":
            raise
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from error
    raise typer.Exit(run(path, storage, to))


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
    path = _folder(folder, out)
    try:
        from optuna_gamma.cli.replay import run
    except ModuleNotFoundError as error:
        raise missing("replay", error) from error
    raise typer.Exit(run(Path(path), seeds, data, device, quiet, as_json))


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
    path = _folder(folder, out)
    try:
        with warnings.catch_warnings():  # optuna-dashboard imports torch, if it is there
            warnings.simplefilter("ignore", FutureWarning)
            from optuna_gamma.cli.dashboard import run
    except ModuleNotFoundError as error:
        raise missing("dashboard", error) from error
    raise typer.Exit(run(path, storage, host, port))


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
