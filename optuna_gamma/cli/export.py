"""What ``optuna-gamma export`` does."""

from __future__ import annotations

import io
import json
from pathlib import Path
import sys
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial
import safetensors.numpy

from optuna_gamma.cli.errors import DONE
from optuna_gamma.cli.errors import exit_code
from optuna_gamma.cli.opening import open_run
from optuna_gamma.cli.options import Content
from optuna_gamma.cli.options import Format
from optuna_gamma.cli.plain import plain
from optuna_gamma.cli.time_left import SECONDS_KEY
from optuna_gamma.staged import StagedStudy
from optuna_gamma.staged.schedule import csv_table


FORMATS: dict[Content, tuple[Format, ...]] = {
    "schedule": ("csv", "json"),
    "trials": ("csv", "json"),
    "weights": ("safetensors", "pt"),
}
"""What can be exported, and as what; the first is the default."""


def run(
    out: str, storage: str | None, content: Content, format: Format | None, to: Path | None
) -> int:
    """Write what a run has learned to a file, or print it.

    Returns:
        The exit code.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return exit_code(lambda: _run(out, storage, content, format, to))


def _run(
    out: str, storage: str | None, content: Content, format: Format | None, to: Path | None
) -> int:
    chosen = _format(content, format, to)
    if content == "weights" and to is None:
        raise ValueError("Weights are binary: give the file to write them to with `to`.")
    staged = open_run(out, storage)
    if content != "trials" and not staged.schedule:
        raise ValueError(
            f"No stage of the run in {out} is finished yet: only its trials can be exported."
        )
    if content == "weights":
        exported = _weights(staged, chosen)
    elif content == "schedule":
        schedule = staged.schedule
        exported = (schedule.to_csv() if chosen == "csv" else schedule.to_json()).encode()
    else:
        rows = _rows(staged)
        exported = (
            csv_table(rows) if chosen == "csv" else json.dumps(rows, indent=1) + "\n"
        ).encode()
    if to is None:
        sys.stdout.write(exported.decode())
    else:
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(exported)
    return DONE


def _format(content: Content, given: Format | None, to: Path | None) -> Format:
    """Return the format asked for, that of the file's name, or the default."""
    possible = FORMATS[content]
    by_name = to.suffix.removeprefix(".").lower() if to is not None else ""
    chosen = given or by_name or possible[0]
    if chosen not in possible:
        raise ValueError(
            f"{content} can be exported as {' or '.join(possible)}, not as {chosen}: give one of "
            "them with `format`."
        )
    return chosen


def _rows(staged: StagedStudy) -> list[dict[str, Any]]:
    """Return all trials, a row each, under the names of Optuna's data frames."""
    return [
        {
            "stage": stage.number,
            "number": trial.number,
            "state": trial.state.name,
            "promoted": stage.is_finished and stage.best is not None and trial == stage.best,
            "value": plain(trial.value),
            "seconds": trial.system_attrs.get(SECONDS_KEY),
            **_prefixed("params", trial),
            **_prefixed("user_attrs", trial),
        }
        for stage in staged.status().stages
        for trial in stage.trials
    ]


def _prefixed(field: str, trial: FrozenTrial) -> dict[str, Any]:
    return {f"{field}_{name}": plain(value) for name, value in getattr(trial, field).items()}


def _weights(staged: StagedStudy, format: Format) -> bytes:
    """Return the weights that were scored best: averaged ones, where there are."""
    state = staged.load_best()
    saved = state if isinstance(state, dict) else {}
    averaged = saved.get("averaged")
    weights = saved.get("model") if averaged is None else averaged
    if not isinstance(weights, dict):
        is_dict = isinstance(state, dict)
        found = sorted(map(str, saved)) if is_dict else f"a value of type {type(state).__name__}"
        raise ValueError(
            f"The run saved no weights by name under 'model', but {found}: load them with "
            "`load_staged_study(…).load_best()`."
        )
    if format == "safetensors":
        try:
            return _safetensors(weights)
        except (TypeError, ValueError, KeyError, safetensors.SafetensorError) as error:
            raise ValueError(
                "safetensors holds named arrays of plain numbers, which the run's weights are "
                f"not ({error}): give pt as `format`, or load them with "
                "`load_staged_study(…).load_best()`."
            ) from error
    import torch

    file = io.BytesIO()
    torch.save(weights, file)
    return file.getvalue()


def _safetensors(weights: dict[Any, Any]) -> bytes:
    for name, part in weights.items():
        if not isinstance(name, str) or not hasattr(part, "dtype"):
            raise TypeError(f"{name!r} is of type {type(part).__name__}")
    if all(isinstance(part, np.ndarray) for part in weights.values()):
        return bytes(safetensors.numpy.save(weights))
    # Imported here, as nothing else needs torch, and it takes seconds.
    from safetensors.torch import save

    return bytes(save(weights))
