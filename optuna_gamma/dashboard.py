"""What optuna-dashboard shows of a staged study beside its trials: notes and figures."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
import warnings

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState

from optuna_gamma.sampler import GammaBOSampler
from optuna_gamma.staged import RunStatus
from optuna_gamma.staged import StagedStudy
from optuna_gamma.staged import StageStatus
from optuna_gamma.visualization import plot_learning_curves
from optuna_gamma.visualization import plot_process
from optuna_gamma.visualization import plot_schedule


try:
    from optuna_dashboard import save_note
    from optuna_dashboard import save_plotly_graph_object
    from plotly.graph_objects import Figure
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"optuna_gamma.dashboard needs {error.name}, which is not installed: "
        "pip install 'optuna-gamma[dashboard]'.",
        name=error.name,
    ) from error


_HEIGHT = 450
"""Of the dashboard's own figures, in pixels: what is higher is cut off."""


class Publisher:
    """Writes to the stages' studies what a reader of the dashboard is to find there.

    This object writes a note or a figure again only where it can have changed, so that publishing
    now and then costs little. The figures of the whole run are brought up to date in the stages
    that go on, and in all of them when the run is finished.

    Args:
        staged: The staged study.
        value_name: What the values of its trials are called; :obj:`None`: as Optuna calls them.
        sampler: The sampler whose model is drawn; the default one by default.
    """

    def __init__(
        self,
        staged: StagedStudy,
        value_name: str | None = None,
        sampler: GammaBOSampler | None = None,
    ) -> None:
        self._staged = staged
        self._value_name = value_name
        self._target_name = value_name or "Objective Value"
        self._sampler = sampler or GammaBOSampler(seed=0)
        self._notes: dict[int, str] = {}
        self._drawn: dict[tuple[str, int], tuple[Any, ...]] = {}

    def publish(self) -> None:
        """Bring all studies up to date."""
        status, studies = self._staged.status(), self._staged.studies
        for stage in status.stages:
            study = studies[stage.number]
            self._write_note(
                study,
                stage.number,
                describe(status, stage.number, studies, self._value_name or "value"),
            )
            if all(trial.value is None for trial in stage.trials):
                continue
            known = stage.n_trials, *(trial.state for trial in stage.trials)
            for kind, depends_on, draw in (
                ("run", (*known, status.is_finished), self._of_run),
                ("stage", known, self._of_stage),
            ):
                if self._drawn.get((kind, stage.number)) == depends_on:
                    continue
                for name, figure in draw(stage, study):
                    figure.update_layout(height=_HEIGHT)
                    save_plotly_graph_object(study, figure, graph_object_id=name)
                self._drawn[kind, stage.number] = depends_on

    def _write_note(self, study: optuna.Study, stage: int, text: str) -> None:
        if self._notes.get(stage) == text:
            return
        if self._value_name is not None and study.metric_names is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                study.set_metric_names([self._value_name])
        save_note(study, text)
        self._notes[stage] = text

    def _of_run(self, stage: StageStatus, _: optuna.Study) -> Iterator[tuple[str, Figure]]:
        """Draw the run: names, by which figures replace each other, and figures."""
        yield "Schedule", plot_schedule(self._staged, target_name=self._target_name)
        if any(trial.intermediate_values for trial in stage.trials):
            yield (
                "Learning-curves",
                plot_learning_curves(self._staged, target_name=self._target_name),
            )

    def _of_stage(self, stage: StageStatus, study: optuna.Study) -> Iterator[tuple[str, Figure]]:
        """Draw a stage, likewise."""
        study.sampler = self._sampler
        if stage.n_trials > 1 and self._sampler.view(study) is not None:
            yield "Process-and-acquisition", plot_process(study, target_name=self._target_name)


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
    if len(studies) > 1:
        ids = ",".join(str(study._study_id) for study in studies)
        parts.append(f"[Compare the stages](/dashboard/compare-studies?ids={ids})")
    return "\n\n".join(parts) + "\n"


def _trials(stage: StageStatus) -> str:
    counts = [
        (stage.count(TrialState.COMPLETE), "complete"),
        (stage.count(TrialState.PRUNED), "pruned"),
        (stage.count(TrialState.FAIL), "failed"),
        (stage.n_running, "running"),
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
