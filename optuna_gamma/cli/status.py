"""What ``optuna-gamma status`` does."""

from __future__ import annotations

import json
import math
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
from rich import box
from rich.console import Console
from rich.table import Table

from optuna_gamma.cli.errors import DONE
from optuna_gamma.cli.errors import exit_code
from optuna_gamma.cli.opening import open_run
from optuna_gamma.cli.opening import read_options
from optuna_gamma.cli.options import TrainOptions
from optuna_gamma.cli.time_left import duration
from optuna_gamma.cli.time_left import remaining_epochs
from optuna_gamma.cli.time_left import seconds_per_epoch
from optuna_gamma.staged import RunStatus
from optuna_gamma.staged import StageStatus
from optuna_gamma.staged.per_stage import PerStage


def run(out: str, storage: str | None, as_json: bool) -> int:
    """Print how far a run is.

    Returns:
        The exit code.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return exit_code(lambda: _run(out, storage, as_json))


def _run(out: str, storage: str | None, as_json: bool) -> int:
    status = open_run(out, storage).status()
    options = read_options(out)
    n_stages = max(status.n_stages, options.stages if options is not None else 0)
    seconds = _seconds_left(status, options)
    if as_json:
        content = {
            "study_name": status.study_name,
            "directory": out,
            "n_stages": n_stages,
            "n_finished": status.n_finished,
            "n_running": status.n_running,
            "seconds_left": seconds,
            "stages": [_stage_json(stage) for stage in status.stages],
        }
        print(json.dumps(content, indent=2))
        return DONE
    console = Console(highlight=False)
    console.print(_headline(status, n_stages, seconds), soft_wrap=True)
    if status.stages:
        console.print(stages_table(status, n_stages))
    return DONE


def _headline(status: RunStatus, n_stages: int, seconds: float | None) -> str:
    if n_stages == 0:
        return f"{status.study_name}: no trial was begun yet"
    text = f"{status.study_name}: {status.n_finished} of {n_stages} stages finished"
    if status.n_finished == n_stages:
        return text
    if status.n_running:
        text += f", {status.n_running} trial{'s' if status.n_running > 1 else ''} running"
    if seconds is not None:
        text += f", about {duration(seconds)} left"
    if not status.n_running:
        text += "; nobody is working on it: the command that began it resumes it"
    return text


def stages_table(status: RunStatus, n_stages: int) -> Table:
    """Return a line a stage: its trials, and the best one."""
    bests = [stage.best for stage in status.stages if stage.best is not None]
    params = dict.fromkeys(name for best in bests for name in best.params)
    shown = [name for name in ("accuracy",) if any(name in b.user_attrs for b in bests)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in (
        "\nStage",
        "\nTrials",
        "Best\ntrial",
        "Best\nvalue",
        *("Valid.\nacc." for _ in shown),
        *(f"\n{name}" for name in params),
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for stage in status.stages:
        best = stage.best
        cells = ["–"] * (2 + len(shown) + len(params))
        if best is not None:
            accuracies = [best.user_attrs.get(name, math.nan) for name in shown]
            cells = [
                str(best.number),
                f"{best.value:.6g}",
                *(f"{accuracy:.2%}" for accuracy in accuracies),
                *(_short(best.params.get(name, "–")) for name in params),
            ]
        table.add_row(
            f"{stage.number + 1}/{n_stages}",
            f"{stage.n_finished}/{stage.n_trials}",
            *cells,
            _remark(stage),
        )
    return table


def _remark(stage: StageStatus) -> str:
    if stage.is_finished:
        parts = ["promoted"]
    else:
        parts = [f"{stage.n_running} running"] if stage.n_running else []
        if stage.n_abandoned:
            parts.append(f"{stage.n_abandoned} interrupted")
    for state, name in ((TrialState.FAIL, "failed"), (TrialState.PRUNED, "pruned")):
        if n := stage.count(state):
            parts.append(f"{n} {name}")
    return ", ".join(parts)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _stage_json(stage: StageStatus) -> dict[str, Any]:
    return {
        "number": stage.number,
        "n_trials": stage.n_trials,
        "complete": stage.count(TrialState.COMPLETE),
        "pruned": stage.count(TrialState.PRUNED),
        "failed": stage.count(TrialState.FAIL),
        "running": stage.n_running,
        "interrupted": stage.n_abandoned,
        "promoted": stage.is_finished,
        "best": None if stage.best is None else _trial_json(stage.best),
    }


def _trial_json(trial: FrozenTrial) -> dict[str, Any]:
    value = trial.value if trial.value is not None and math.isfinite(trial.value) else None
    return {
        "number": trial.number,
        "value": value,
        "params": trial.params,
        "user_attrs": trial.user_attrs,
    }


def _seconds_left(status: RunStatus, options: TrainOptions | None) -> float | None:
    """Estimate when those who work on a run now will have finished it; one, if nobody does."""
    per_epoch = seconds_per_epoch(status)
    if options is None or options.epochs_per_stage is None or per_epoch is None:
        return None
    epochs = PerStage.of("epochs_per_stage", options.epochs_per_stage)
    return per_epoch * sum(remaining_epochs(status, options, epochs)) / max(status.n_running, 1)
