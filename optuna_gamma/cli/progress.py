"""How far a run is, in words and as a table."""

from __future__ import annotations

from typing import Any

from optuna.trial import TrialState
from rich import box
from rich.table import Table

from optuna_gamma.cli.options import TrainOptions
from optuna_gamma.cli.time_left import duration
from optuna_gamma.cli.time_left import remaining
from optuna_gamma.cli.time_left import seconds_per_epoch
from optuna_gamma.staged import RunStatus
from optuna_gamma.staged import StageStatus
from optuna_gamma.staged.per_stage import PerStage
from optuna_gamma.staged.trial import n_reported


def counted(n: int, noun: str) -> str:
    """Return a number of things.

    >>> counted(1, "stage"), counted(1200, "trial")
    ('1 stage', '1,200 trials')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def headline(status: RunStatus, n_stages: int, seconds: float | None) -> str:
    """Say in a line how far a run is, and how long it will take if ``seconds`` are known."""
    if n_stages == 0:
        return f"{status.study_name}: no trial was begun yet"
    text = f"{status.study_name}: {status.n_finished} of {counted(n_stages, 'stage')} finished"
    if status.n_finished == n_stages:
        return text
    if status.n_running:
        text += f", {counted(status.n_running, 'trial')} running"
    if seconds is not None:
        text += f", about {duration(seconds)} left"
    return text


def stages_table(
    status: RunStatus, n_stages: int, options: TrainOptions | None, n_shown: int | None = None
) -> Table:
    """Return a line a stage: its trials, and the best one, of its parameters the first.

    Args:
        status: How far the run is.
        n_stages: How many stages it is to have.
        options: Its options, if they are known: then a trial that runs alone shows its epochs.
        n_shown: How many stages to show, the last ones; all by default.
    """
    bests = [stage.best for stage in status.stages if stage.best is not None]
    params = dict.fromkeys(name for best in bests for name in best.params)
    params = dict.fromkeys(["lr"] if "lr" in params else list(params)[:1])
    has_accuracy = any(isinstance(best.user_attrs.get("accuracy"), float) for best in bests)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in (
        "\nStage",
        "\nTrials",
        "Best\ntrial",
        "Best\nvalue",
        *(["Valid.\nacc."] if has_accuracy else []),
        *(f"\n{name}" for name in params),
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for stage in status.stages[-(n_shown or len(status.stages)) :]:
        best = stage.best
        cells = ["–"] * (2 + has_accuracy + len(params))
        if best is not None:
            accuracy = best.user_attrs.get("accuracy")  # a program may keep anything there
            cells = [
                str(best.number),
                f"{best.value:.6g}",
                *([percent(accuracy)] if has_accuracy else []),
                *(_short(best.params.get(name, "–")) for name in params),
            ]
        table.add_row(
            f"{stage.number + 1}/{n_stages}",
            f"{stage.n_finished}/{stage.n_trials}",
            *cells,
            _remark(stage, options),
        )
    return table


def params_table(status: RunStatus) -> Table | None:
    """Return a line a stage: all parameters of the best trial; nothing if there is only one."""
    bests = {stage.number: stage.best for stage in status.stages if stage.best is not None}
    params = dict.fromkeys(name for best in bests.values() for name in best.params)
    if len(params) < 2:
        return None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Stage", *params):
        table.add_column(heading, justify="right")
    for number, best in bests.items():
        table.add_row(str(number + 1), *(_short(best.params.get(name, "–")) for name in params))
    return table


def _remark(stage: StageStatus, options: TrainOptions | None) -> str:
    if stage.is_finished:
        parts = ["promoted"]
    else:
        parts = []
        if stage.n_running:
            parts = [f"{stage.n_running} running{_epochs(stage, options)}"]
        if stage.n_abandoned:
            parts.append(f"{stage.n_abandoned} interrupted")
    for state, name in ((TrialState.FAIL, "failed"), (TrialState.PRUNED, "pruned")):
        if n := stage.count(state):
            parts.append(f"{n} {name}")
    return ", ".join(parts)


def _epochs(stage: StageStatus, options: TrainOptions | None) -> str:
    running = stage.running
    if len(running) != 1 or options is None or options.epochs_per_stage is None:
        return ""
    of = PerStage.of("epochs_per_stage", options.epochs_per_stage)[stage.number]
    return f", {n_reported(running[0])} of {of} epochs"


def percent(share: object) -> str:
    """Return a share in percent, and a dash if it is none."""
    return f"{share:.2%}" if isinstance(share, float) else "–"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def seconds_left(status: RunStatus, options: TrainOptions | None) -> float | None:
    """Estimate when those who work on a run now will have finished it; one, if nobody does."""
    per_epoch = seconds_per_epoch(status)
    if options is None or options.epochs_per_stage is None or per_epoch is None:
        return None
    epochs = PerStage.of("epochs_per_stage", options.epochs_per_stage)
    begun = sum(n_reported(trial) for stage in status.stages for trial in stage.running)
    _, n_epochs = remaining(status, options, epochs)
    return per_epoch * max(n_epochs - begun, 0) / max(status.n_running, 1)
