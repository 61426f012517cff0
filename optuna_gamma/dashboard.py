"""What optuna-dashboard shows of a staged study beside its trials: a note on each stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
import warnings

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState
from optuna_dashboard import save_note

from optuna_gamma.staged import RunStatus
from optuna_gamma.staged import StagedStudy
from optuna_gamma.staged import StageStatus


class Publisher:
    """Writes to the stages' studies what a reader of the dashboard is to find there.

    A study is written to only if its trials have changed since it was last written to by this
    object, so that publishing now and then costs little.

    Args:
        staged: The staged study.
        value_name: What the values of its trials are called; :obj:`None`: as Optuna calls them.
    """

    def __init__(self, staged: StagedStudy, value_name: str | None = None) -> None:
        self._staged = staged
        self._value_name = value_name
        self._published: dict[int, str] = {}

    def publish(self) -> None:
        """Bring all studies up to date."""
        status, studies = self._staged.status(), self._staged.studies
        for stage in status.stages:
            study = studies[stage.number]
            text = describe(status, stage.number, studies, self._value_name or "value")
            if self._published.get(stage.number) == text:
                continue
            if self._value_name is not None and study.metric_names is None:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ExperimentalWarning)
                    study.set_metric_names([self._value_name])
            save_note(study, text)
            self._published[stage.number] = text


def describe(
    status: RunStatus, number: int, studies: tuple[optuna.Study, ...], value_name: str = "value"
) -> str:
    """Say in Markdown what a stage is: where it started, what was promoted and why, what follows.

    Args:
        status: How far the run is.
        number: Number of the stage.
        studies: The studies of the stages that were begun.
        value_name: What the values of its trials are called.
    """
    stage = status.stages[number]
    parts = [f"# Stage {number + 1} of {max(status.n_stages, number + 1)} of {status.study_name}"]
    if number == 0:
        parts.append("Its trials start from fresh weights.")
    else:
        parent = status.stages[number - 1].best
        assert parent is not None
        parts.append(
            f"Its trials go on from the weights of trial {parent.number} of "
            f"{_link(studies[number - 1])}."
        )
    parts.append(_trials(stage))
    if stage.best is not None:
        parts.append(_best(stage, studies[number], value_name))
    if stage.is_finished and number + 1 < len(studies):
        parts.append(f"The next stage is {_link(studies[number + 1])}.")
    elif status.is_finished:
        parts.append("This is the last stage: its weights are the result.")
    return "\n\n".join(parts) + "\n"


def _trials(stage: StageStatus) -> str:
    counts = [
        (stage.count(TrialState.COMPLETE), "complete"),
        (stage.count(TrialState.PRUNED), "pruned"),
        (stage.count(TrialState.FAIL), "failed"),
        (stage.count(TrialState.RUNNING) - stage.n_abandoned, "running"),
        (stage.n_abandoned, "interrupted"),
        (stage.n_trials - len(stage.trials), "to come"),
    ]
    listed = ", ".join(f"{n} {name}" for n, name in counts if n)
    return f"Of its {stage.n_trials} trials {listed}."


def _best(stage: StageStatus, study: optuna.Study, value_name: str) -> str:
    best = stage.best
    assert best is not None
    which = "highest" if study.direction == optuna.study.StudyDirection.MAXIMIZE else "lowest"
    text = (
        f"**Trial {best.number} is promoted**"
        if stage.is_finished
        else f"Trial {best.number} leads"
    )
    lines = [f"{text}: its {value_name}, {best.value:.6g}, is the {which}.", ""]
    lines += _table("parameter", best.params)
    if best.user_attrs:
        lines += ["", *_table("measured", best.user_attrs)]
    return "\n".join(lines)


def _table(heading: str, values: Mapping[str, Any]) -> list[str]:
    rows = [f"| {_cell(name)} | {_cell(value)} |" for name, value in values.items()]
    return [f"| {heading} | |", "| --- | ---: |", *rows]


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    for character in "\\`*_|<>[]":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")


def _link(study: optuna.Study) -> str:
    return f"[{_cell(study.study_name)}](/dashboard/studies/{study._study_id})"
