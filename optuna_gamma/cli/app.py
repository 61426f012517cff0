"""The commands. Nothing here imports torch or Optuna, so that ``--help`` is quick."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from optuna_gamma.cli.run_commands import clean
from optuna_gamma.cli.run_commands import dashboard
from optuna_gamma.cli.run_commands import export
from optuna_gamma.cli.run_commands import replay
from optuna_gamma.cli.run_commands import report
from optuna_gamma.cli.run_commands import status
from optuna_gamma.cli.run_commands import worker
from optuna_gamma.cli.train_command import train


app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


_EXAMPLES: dict[Callable[..., None], tuple[str, ...]] = {
    train: (
        "train --dataset digits --out runs/demo",
        "train --dataset mnist --stages 10 --trials 12 --epochs-per-stage 1",
        "train --dataset mnist --sampler gp --seed 1",
        "train --config runs/demo/config.toml --seed 1 --out runs/again",
        "train --dataset cifar10 --model keras-cifar --augment flip,crop --momentum 0.5:0.99 "
        "--batch-size 32:256",
    ),
    worker: ("worker runs/mnist", "worker /shared/runs/mnist --device cuda:1"),
    status: (
        "status runs/mnist",
        "status s3://bucket/mine --storage postgresql+psycopg://host/runs --json",
    ),
    export: (
        "export runs/mnist --to schedule.csv",
        "export runs/mnist --what trials --format json",
        "export runs/mnist --what weights --to mnist.pt",
    ),
    report: ("report runs/mnist", "report runs/mnist --to mnist.html"),
    replay: ("replay runs/mnist", "replay runs/mnist --seeds 10 --json"),
    dashboard: ("dashboard runs/mnist", "dashboard runs/mnist --port 0"),
    clean: ("clean runs/mnist --dry-run",),
}

for _command, _lines in _EXAMPLES.items():
    _listed = "".join(f"\n\n- `optuna-gamma {line}`" for line in _lines)
    app.command(epilog=f"Examples:{_listed}")(_command)
