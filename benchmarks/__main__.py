"""The command line of the benchmarks."""

from __future__ import annotations

from enum import Enum
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated

import optuna
import typer

from benchmarks import coordination as coordination_
from benchmarks import overhead as overhead_
from benchmarks.chaos import run as chaos_
from benchmarks.record import Preset
from benchmarks.record import Purpose
from benchmarks.record import RESULTS


app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)

PresetOption = Annotated[Preset, typer.Option(help="How much is run.")]
JobsOption = Annotated[int, typer.Option(help="Runs at a time.", min=1)]
ReportOnlyOption = Annotated[
    bool, typer.Option("--report-only", help="Run nothing, report what is stored.")
]
OutOption = Annotated[Path, typer.Option(help="Where the JSON file and the picture go.")]


class Part(str, Enum):
    """Parts of the thesis that can be run."""

    table_4 = "4"
    table_5 = "5"
    table_6 = "6"
    table_7 = "7"
    table_8 = "8"
    table_9 = "9"
    table_10 = "10"
    table_11 = "11"
    figures = "figures"
    all = "all"


class Storage(str, Enum):
    """Storages whose workers can be killed."""

    journal = "journal"
    postgresql = "postgresql"
    mysql = "mysql"


@app.callback()
def setup() -> None:
    """Benchmarks of optuna-gamma; each prints a table and writes a JSON file and a picture."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@app.command()
def chaos(
    preset: PresetOption = Preset.smoke,
    storage: Annotated[
        list[Storage] | None,
        typer.Option(
            help="Again for more; journal and postgresql, by default. mysql needs Debian's "
            "mariadb-server."
        ),
    ] = None,
    out: OutOption = RESULTS,
) -> None:
    """Kill workers of staged studies everywhere, and check what remains."""
    storages = [chosen.value for chosen in storage] if storage else chaos_.DEFAULT_STORAGES
    chaos_.run(preset, storages, out)


@app.command()
def coordination(preset: PresetOption = Preset.smoke, out: OutOption = RESULTS) -> None:
    """Time what sharing a run costs, on a journal and on PostgreSQL, and what it gains."""
    coordination_.run(preset, out)


@app.command()
def ablation(
    preset: PresetOption = Preset.smoke,
    jobs: JobsOption = 2,
    out: OutOption = RESULTS,
) -> None:
    """Change one part of the sampler at a time, and see what it was worth."""
    _samplers("ablation").main(preset, jobs, out)


@app.command()
def fuzz(
    n: Annotated[int, typer.Option(help="Number of studies.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="What they are drawn from.", min=0)] = 0,
    out: OutOption = RESULTS,
) -> None:
    """Ask for trials in random studies of every kind, none of which may fail."""
    _late("benchmarks.fuzz.run").main(n, seed, out)


@app.command()
def overhead(preset: PresetOption = Preset.smoke, out: OutOption = RESULTS) -> None:
    """Time a proposal, beside GPSampler in the same process."""
    overhead_.run(preset, out)


@app.command()
def parallel(
    preset: PresetOption = Preset.smoke,
    samplers: Annotated[
        str, typer.Option(help="Labels, as 'gamma,gp-3,gp'; the preset's, by default.")
    ] = "",
    jobs: JobsOption = 2,
    report_only: ReportOnlyOption = False,
    out: OutOption = RESULTS,
) -> None:
    """Simulate workers that run at the same time; the same command goes on where it ended."""
    _late("benchmarks.parallel.run").main(
        preset, _split(samplers), 0 if report_only else jobs, out
    )


@app.command()
def pruning(
    preset: PresetOption = Preset.smoke,
    purpose: Annotated[
        Purpose, typer.Option(help="choose: small bundled data. final: images, other seeds.")
    ] = Purpose.final,
    jobs: JobsOption = 2,
    report_only: ReportOnlyOption = False,
    out: OutOption = RESULTS,
) -> None:
    """Tune trainings with pruners; the same command goes on where it ended."""
    _late("benchmarks.pruning.run").main(preset, purpose, 0 if report_only else jobs, out)


@app.command()
def samplers(
    suite: Annotated[
        list[str] | None,
        typer.Option(
            help="bbob, bbob-noisy, bbob-mixint, hpobench, sklearn, outliers, conditional; with "
            "several objectives zdt, dtlz, bbob-biobj; bbob-constrained; again for more. All, by "
            "default."
        ),
    ] = None,
    preset: PresetOption = Preset.smoke,
    samplers: Annotated[
        str, typer.Option(help="Labels, as 'gamma,gp-3,tpe'; gamma@VERSION: as it was stored.")
    ] = "",
    dimensions: Annotated[str, typer.Option(help="As '2,5'; the preset's, by default.")] = "",
    instances: Annotated[str, typer.Option(help="As '1,2,7'; the preset's, by default.")] = "",
    problems: Annotated[
        str, typer.Option(help="Patterns of names, as 'f01-*,hpolib-*'; the preset's, by default.")
    ] = "",
    seeds: Annotated[int, typer.Option(help="Repetitions; 0: the preset's.", min=0)] = 0,
    trials: Annotated[int, typer.Option(help="Trials of a run; 0: the preset's.", min=0)] = 0,
    jobs: JobsOption = 2,
    report_only: ReportOnlyOption = False,
    hebo_python: Annotated[
        str,
        typer.Option(
            envvar="HEBO_PYTHON",
            help="The Python of an environment made from benchmarks/requirements-hebo.txt; "
            "without it HEBO takes no part.",
        ),
    ] = "",
    out: OutOption = RESULTS,
) -> None:
    """Compare samplers; finished runs are kept, and the same command goes on where it ended."""
    _samplers("benchmark").main(
        suites=suite or (),
        preset=preset,
        samplers=_split(samplers),
        overrides={
            "dimensions": tuple(map(int, _split(dimensions))),
            "instances": tuple(map(int, _split(instances))),
            "problems": _split(problems),
            "seeds": seeds,
            "trials": trials,
        },
        processes=0 if report_only else jobs,
        hebo_python=hebo_python,
        out=out,
    )


@app.command()
def staged(
    preset: PresetOption = Preset.smoke,
    purpose: Annotated[
        Purpose,
        typer.Option(
            help="choose: two data sets, seeds from 0, images held out. final: all data "
            "sets, seeds from 100, test images."
        ),
    ] = Purpose.final,
    problems: Annotated[
        str, typer.Option(help="Patterns of names, as 'mnist-500,cifar10-*'; all, by default.")
    ] = "",
    methods: Annotated[
        str, typer.Option(help="Patterns of what is run, as 'staged*;PBT'; all, by default.")
    ] = "",
    jobs: JobsOption = 2,
    report_only: ReportOnlyOption = False,
    out: OutOption = RESULTS,
) -> None:
    """Compare staged training with tuned schedules; the same command goes on where it ended."""
    _late("benchmarks.staged.run").main(
        preset,
        purpose,
        _split(problems),
        tuple(part.strip() for part in methods.split(";") if part.strip()),  # names have commas
        0 if report_only else jobs,
        out,
    )


@app.command()
def startup(preset: PresetOption = Preset.smoke, out: OutOption = RESULTS) -> None:
    """Time imports beside Optuna's own, and the help of each command."""
    _late("benchmarks.startup").run(preset, out)


@app.command()
def thesis(
    table: Annotated[
        list[Part] | None, typer.Option(help="What to repeat; again for more. All, by default.")
    ] = None,
    preset: PresetOption = Preset.smoke,
    jobs: JobsOption = 2,
    report_only: ReportOnlyOption = False,
    out: OutOption = RESULTS,
) -> None:
    """Repeat the experiments of the thesis; the same command goes on where it ended."""
    parts = [part for part in Part if part is not Part.all]
    wanted = [part.value for part in parts if not table or part in table or Part.all in table]
    _late("benchmarks.thesis.run").main(wanted, preset, 0 if report_only else jobs, out)


@app.command()
def training(preset: PresetOption = Preset.smoke, out: OutOption = RESULTS) -> None:
    """Time epochs and stages of the trainer, beside bare loops and DataLoaders."""
    import_module("benchmarks.training").run(preset, out)  # late, as it imports torch


@app.command()
def transfer(
    preset: PresetOption = Preset.smoke,
    purpose: Annotated[
        Purpose,
        typer.Option(help="choose and final: other tables, other functions, other seeds."),
    ] = Purpose.final,
    jobs: JobsOption = 2,
    report_only: ReportOnlyOption = False,
    out: OutOption = RESULTS,
) -> None:
    """Give studies source trials, related and misleading; finished runs are kept."""
    _late("benchmarks.transfer.run").main(preset, purpose, 0 if report_only else jobs, out)


@app.command()
def warm_start(preset: PresetOption = Preset.smoke, out: OutOption = RESULTS) -> None:
    """Search the stages of real runs with and without the trials of the stage before."""
    _late("benchmarks.warm_start").run(preset, out)


def _samplers(name: str) -> ModuleType:
    return _late(f"benchmarks.samplers.{name}")


def _late(name: str) -> ModuleType:
    """Import a benchmark late: that takes seconds."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise typer.BadParameter(
            f"This needs {error.name}, which is not installed: pip install -e '.[bench]'."
        ) from error


def _split(listed: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in listed.split(",") if part.strip())


if __name__ == "__main__":
    app()
