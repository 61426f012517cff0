"""What a finished run leaves: the table and the files."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
import io
import json
from pathlib import Path
import platform
import re
from typing import Any

from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table
from safetensors.torch import save
from sqlalchemy import make_url
import torch

from optuna_gamma.cli.files import METRICS
from optuna_gamma.cli.files import METRICS_FILE
from optuna_gamma.cli.files import METRICS_SCHEMA_VERSION
from optuna_gamma.cli.files import TEST_KEY
from optuna_gamma.cli.files import write
from optuna_gamma.cli.opening import sqlite_file
from optuna_gamma.cli.options import OPTIONS_FILE
from optuna_gamma.cli.options import TrainOptions
from optuna_gamma.cli.seal import seal_text
from optuna_gamma.cli.time_left import SECONDS_KEY
from optuna_gamma.staged import StagedStudy
from optuna_gamma.staged.sealed import seal
from optuna_gamma.vision import ClassificationMetrics
from optuna_gamma.vision import VisionTask
from optuna_gamma.vision.pictures import confusion_picture
from optuna_gamma.vision.pictures import schedule_picture


_PICTURE_DPI = 200


def print_table(staged: StagedStudy, console: Console) -> None:
    """Print a line a stage: the rate chosen, what it was chosen by, what came of it.

    What else was searched follows in a table of its own.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    of_test = ("acc.", "loss", "sens.", "spec.", "MCC")
    for heading in (
        "\nStage",
        "Learning\nrate",
        "\nκ",
        "Valid.\nacc.",
        *(f"Test\n{name}" for name in of_test),
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for record, test in zip(staged.schedule, _test_metrics(staged), strict=True):
        table.add_row(
            str(record.number + 1),
            f"{record.params['lr']:.4g}",
            f"{record.user_attrs['kappa']:.1f}",
            f"{record.user_attrs['accuracy']:.2%}",
            *("–" if test is None else _percent(name, test[name]) for name in METRICS),
        )
    console.print(table)
    others = [name for name in staged.schedule[0].params if name != "lr"]
    if others:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("Stage", *(name.replace("_", " ").capitalize() for name in others)):
            table.add_column(heading, justify="right")
        for record in staged.schedule:
            table.add_row(
                str(record.number + 1), *(f"{record.params[name]:.4g}" for name in others)
            )
        console.print(table)


def write_files(staged: StagedStudy, task: VisionTask, options: TrainOptions) -> dict[Path, str]:
    """Write what a finished run is worth keeping for.

    Returns:
        The files in the run's folder, also those written before, with what they hold.
    """
    state = staged.load_best()
    valid, test = task.evaluate(state, "valid"), task.evaluate(state, "test")
    files = {
        options.out / name: content
        for name, content in (
            ("schedule.json", "the learned schedule"),
            (METRICS_FILE, "validation and test metrics, time, epochs, versions"),
            ("best.safetensors", "the weights, of the last stage"),
            ("confusion.png", "confusion matrix of the test images"),
            ("schedule.png", "learning rates and accuracy"),
            (OPTIONS_FILE, "the options"),
        )
    }
    _, metrics_file, weights_file, confusion_file, schedule_file, _ = files

    content = _metrics(staged, task, valid, test)
    write(metrics_file, seal(content))

    weights = state.get("averaged", state["model"])
    write(weights_file, save(weights, metadata=_weights_metadata(task, options)))

    title = f"{task.data.name}: {test.accuracy:.2%} of {test.confusion.sum():,} test images right"
    picture = confusion_picture(test.confusion, task.data.classes, title)
    write(confusion_file, _png(picture))

    stages = content["stages"]
    picture = schedule_picture(
        rates=[stage["params"]["lr"] for stage in stages],
        tried=[
            [trial.params["lr"] for trial in study.get_trials(deepcopy=False) if trial.params]
            for study in staged.studies[: len(stages)]
        ],
        accuracies={
            "validation": [stage["valid"]["accuracy"] for stage in stages],
            "test": [stage["test"] and stage["test"]["accuracy"] for stage in stages],
        },
        epochs=[task.epochs_per_stage[k] for k in range(len(stages))],
    )
    write(schedule_file, _png(picture))
    return files


def write_options(task: VisionTask, options: TrainOptions) -> None:
    """Write ``config.toml``: the options, with what they were resolved to."""
    resolved = replace(
        options,
        dataset=absolute(options.dataset),
        data=options.data and options.data.expanduser().absolute(),
        epochs_per_stage=task.epochs_per_stage.plain,
        n_train=len(task.data.train[0]),
        n_valid=len(task.data.valid[0]),
        threads=torch.get_num_threads(),  # the last bits of a result depend on it
        storage=options.storage and _recorded(options.storage),
        quiet=False,  # of this call, not of the run
    )
    write(options.out / OPTIONS_FILE, seal_text(resolved.to_toml()).encode())


def absolute(dataset: str) -> str:
    """Return the name of a data set as workers in other folders must have it.

    >>> absolute("digits"), absolute("npz:/data/cells.npz")
    ('digits', 'npz:/data/cells.npz')
    """
    kind, colon, path = dataset.partition(":")
    return f"{kind}:{Path(path).expanduser().absolute()}" if colon else dataset


def _recorded(storage: str) -> str:
    """Return a URL as workers in other folders must have it, without its secrets."""
    file = sqlite_file(storage)
    if file is not None:
        url = make_url(storage).set(database=str(file.absolute()))
        storage = url.render_as_string(hide_password=False)
    return _without_secrets(storage)


def _without_secrets(storage: str) -> str:
    """Return a URL with ``***`` for its password: a file is no place for it.

    >>> _without_secrets("postgresql://me:secret@host/runs?connect_timeout=3")
    'postgresql://me:***@host/runs?connect_timeout=3'
    >>> _without_secrets("postgresql://host/runs?user=me&password=secret")
    'postgresql://:***@host/runs?user=me'
    """
    url = make_url(storage)
    secrets = [key for key in url.query if re.search("pass|pwd|secret|token", key.lower())]
    if secrets:
        url = url.difference_update_query(secrets).set(
            username=url.username or "", password=url.password or "secret"
        )
    return url.render_as_string()


def _png(picture: Figure) -> bytes:
    file = io.BytesIO()
    picture.savefig(file, format="png", dpi=_PICTURE_DPI)
    return file.getvalue()


def _test_metrics(staged: StagedStudy) -> list[dict[str, float] | None]:
    # None: the worker that promoted the stage died before it had measured, and others went on.
    n_finished = len(staged.schedule)
    return [study.user_attrs.get(TEST_KEY) for study in staged.studies[:n_finished]]


def _metrics(
    staged: StagedStudy,
    task: VisionTask,
    valid: ClassificationMetrics,
    test: ClassificationMetrics,
) -> dict[str, Any]:
    stages = [study.get_trials(deepcopy=False) for study in staged.studies]
    finished = [trial for trials in stages for trial in trials if trial.state.is_finished()]
    return {
        "schema_version": METRICS_SCHEMA_VERSION,
        "stages": [
            {
                "number": record.number,
                "params": record.params,
                "value": record.value,
                "valid": {name: record.user_attrs[name] for name in (*METRICS, "kappa")},
                "test": of_test,
            }
            for record, of_test in zip(staged.schedule, _test_metrics(staged), strict=True)
        ],
        "final": {
            split: {**metrics.scalars, "confusion": metrics.confusion.tolist()}
            for split, metrics in (("valid", valid), ("test", test))
        },
        "classes": task.data.classes,
        "epochs_spent": sum(
            task.epochs_per_stage[stage] * sum(t.state.is_finished() for t in trials)
            for stage, trials in enumerate(stages)
        ),
        "epochs_kept": task.epochs_per_stage.total(0, len(staged.schedule)),
        "seconds": round(sum(trial.system_attrs.get(SECONDS_KEY, 0.0) for trial in finished), 3),
        "seed": staged.seed,
        "fingerprint": task.fingerprint,
        "device": str(task.device),
        "machine": f"{platform.platform()}, {torch.get_num_threads()} threads",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("optuna-gamma", "optuna", "torch")},
        },
    }


def _weights_metadata(task: VisionTask, options: TrainOptions) -> dict[str, str]:
    """Return what it takes to use the weights."""
    data = task.data
    content = {
        "model": options.model,
        "input_shape": data.input_shape,
        "classes": data.classes,
        "mean": data.mean,
        "std": data.std,
    }
    # One key only: safetensors writes several in no fixed order.
    return {"optuna-gamma": json.dumps(content)}


def _percent(name: str, value: float) -> str:
    return f"{value:.4f}" if name in ("loss", "mcc") else f"{value:.2%}"
