"""What ``optuna-gamma report`` does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from datetime import timezone
from pathlib import Path
from typing import Any

import optuna

from optuna_gamma.cli.drawing import drawn_sampler
from optuna_gamma.cli.errors import DONE
from optuna_gamma.cli.errors import exit_code
from optuna_gamma.cli.files import METRICS_FILE
from optuna_gamma.cli.files import METRICS_SCHEMA_VERSION
from optuna_gamma.cli.files import TEST_KEY
from optuna_gamma.cli.files import write
from optuna_gamma.cli.opening import open_run
from optuna_gamma.cli.opening import read_options
from optuna_gamma.cli.options import is_remote
from optuna_gamma.cli.report_page import page
from optuna_gamma.cli.report_page import Picture
from optuna_gamma.cli.report_words import Facts
from optuna_gamma.fits import THETA_KEY
from optuna_gamma.staged import StagedStudy
from optuna_gamma.staged.directory import RunDirectory
from optuna_gamma.staged.sealed import unseal
from optuna_gamma.visualization import plot_acquisition_history
from optuna_gamma.visualization import plot_confusion_matrices
from optuna_gamma.visualization import plot_learning_curves
from optuna_gamma.visualization import plot_lineage
from optuna_gamma.visualization import plot_precision
from optuna_gamma.visualization import plot_process
from optuna_gamma.visualization import plot_schedule
from optuna_gamma.visualization.process import look


REPORT_FILE = "report.html"

_NAMES = {"kappa": "κ", "accuracy": "validation accuracy", "loss": "validation loss"}
"""What people call the objectives of ``optuna-gamma train``."""


def run(out: str, storage: str | None, to: Path | None) -> int:
    """Write the report of a run, and print the file's name.

    Returns:
        The exit code.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return exit_code(lambda: _run(out, storage, to))


def _run(out: str, storage: str | None, to: Path | None) -> int:
    if to is None and is_remote(out):
        raise ValueError(f"{out} is remote: give the file to write with `to`.")
    staged = open_run(out, storage)
    facts = _facts(staged, out)
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    content = page(facts, list(_pictures(staged, facts)), now)
    if to is None:
        to = Path(out, REPORT_FILE)
        write(to, content.encode())
    else:
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(content.encode())
    print(to)
    return DONE


def _facts(staged: StagedStudy, out: str) -> Facts:
    status, options = staged.status(), read_options(out)
    studies = staged.studies
    metrics = _metrics(out)
    if metrics is not None and len(metrics["stages"]) != status.n_finished:
        metrics = None  # of the run before it was extended
    return Facts(
        status=status,
        direction=staged.direction,
        options=options,
        metrics=metrics,
        test=tuple(
            studies[stage.number].user_attrs.get(TEST_KEY)
            for stage in status.stages
            if stage.is_finished
        ),
        value_name=_NAMES.get(options.objective, "value") if options is not None else "value",
    )


def _metrics(out: str) -> dict[str, Any] | None:
    directory = RunDirectory(out)
    content = directory.read(METRICS_FILE)
    if content is None:
        return None
    try:
        return unseal(content, METRICS_SCHEMA_VERSION)
    except ValueError as error:
        raise ValueError(f"{directory.show(METRICS_FILE)}: {error}") from error


def _pictures(staged: StagedStudy, facts: Facts) -> Iterator[Picture]:
    if not any(trial.value is not None for s in facts.status.stages for trial in s.trials):
        return
    name = facts.value_name
    yield Picture(
        "The schedule",
        "What each stage tried, in this order, and in orange what was promoted. Beneath it what "
        f"came of it ({name}). Crosses failed or were pruned; triangles lie outside.",
        [plot_schedule(staged, _shown_params(facts), target_name=name)],
    )
    if any(t.intermediate_values for s in facts.status.stages for t in s.trials):
        yield Picture(
            "The learning curve",
            "Along the path of the promoted trials; candidates that were not promoted are grey. "
            "A stage may begin below where the last one ended: a new learning rate shakes the "
            "weights, or their mean is taken afresh.",
            [plot_learning_curves(staged, target_name=name)],
        )
    yield Picture(
        "The lineage",
        "Each trial went on with the weights of the trial that its line comes from.",
        [plot_lineage(staged, target_name=name)],
    )
    if facts.metrics is not None:
        final, classes = facts.metrics["final"], facts.metrics["classes"]
        yield Picture(
            "What is mistaken for what",
            "Counts of images; a cell's shade grows with the square root of its share of the true "
            "class. Choose by validation, believe the test.",
            [
                plot_confusion_matrices({title: final[split]["confusion"]}, classes)
                for split, title in (("valid", "validation images"), ("test", "test images"))
            ],
        )
    yield from _of_the_search(staged, facts)


def _of_the_search(staged: StagedStudy, facts: Facts) -> Iterator[Picture]:
    """Show the model of the last stage that has one."""
    for stage, study in reversed(list(zip(facts.status.stages, staged.studies, strict=False))):
        study.sampler = drawn_sampler(facts.options)
        if stage.n_trials > 1 and look(study) is not None:
            break
    else:
        return
    took_part = any(THETA_KEY in trial.system_attrs for trial in stage.trials)
    where = f"Stage {stage.number + 1}. "
    if not took_part:
        where += "The sampler of this run was another one: this is what GammaBOSampler would say. "
    yield Picture(
        "What the model believes",
        f"{where}The blue line is what it expects and the band where it is 95 % sure, or colours "
        "show what it expects over two parameters. Beneath is how much improvement it expects "
        "where; the star would be tried next.",
        [plot_process(study, target_name=facts.value_name)],
    )
    numbers = [t.number for t in stage.trials if not took_part or THETA_KEY in t.system_attrs]
    if len(numbers) > 1:
        yield Picture(
            "What there was to gain",
            f"{where}The improvement that was expected of each proposed trial before it was run, "
            "in standard deviations, as a logarithm. When it falls the search has found most of "
            "what it can find.",
            [plot_acquisition_history(study)],
        )
        yield Picture(
            "The belief about the precision",
            f"{where}How much values vary is not known in advance: this is what was believed of "
            "one over their variance before each trial, with a band of 95 %.",
            [plot_precision(study)],
        )


def _shown_params(facts: Facts) -> list[str] | None:
    """Return the parameters to draw; :obj:`None`: all that vary, where they are few."""
    kinds = {
        name: kind
        for stage in facts.status.stages
        for trial in stage.trials
        for name, kind in trial.distributions.items()
        if trial.state.is_finished()
    }
    varying = [name for name, kind in kinds.items() if not kind.single()]
    return varying[:8] if len(varying) > 8 else None
