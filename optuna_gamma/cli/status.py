"""What ``optuna-gamma status`` does."""

from __future__ import annotations

import json
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
from rich.console import Console

from optuna_gamma.cli.errors import DONE
from optuna_gamma.cli.errors import exit_code
from optuna_gamma.cli.opening import open_run
from optuna_gamma.cli.opening import read_options
from optuna_gamma.cli.plain import plain
from optuna_gamma.cli.progress import headline
from optuna_gamma.cli.progress import params_table
from optuna_gamma.cli.progress import seconds_left
from optuna_gamma.cli.progress import stages_table
from optuna_gamma.staged import StageStatus


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
    seconds = seconds_left(status, options)
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
        print(json.dumps(plain(content), indent=2))
        return DONE
    console = Console(highlight=False, markup=False, emoji=False)
    text = headline(status, n_stages, seconds)
    if status.stages and status.n_finished < n_stages and not status.n_running:
        text += f"; nobody is working on it: {_how_to_go_on(status.stages[-1])}"
    console.print(text, soft_wrap=True)
    if status.stages:
        console.print(stages_table(status, n_stages, options))
        if (table := params_table(status)) is not None:
            console.print(table)
    return DONE


def _how_to_go_on(stage: StageStatus) -> str:
    if stage.best is None and stage.n_finished >= stage.n_trials:
        return (
            f"no trial of stage {stage.number + 1} can be promoted, as all failed or were pruned. "
            "The command that began it says why; with more trials it goes on"
        )
    return "the command that began it resumes it"


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
    return {
        "number": trial.number,
        "value": trial.value,
        "params": trial.params,
        "user_attrs": trial.user_attrs,
    }
