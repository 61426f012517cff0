"""The learned schedule with the spread of the candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from optuna_gamma.staged import StagedStudy
from optuna_gamma.visualization.stages import read_stages
from optuna_gamma.visualization.stages import Stages
from optuna_gamma.visualization.style import about
from optuna_gamma.visualization.style import clamped
from optuna_gamma.visualization.style import counting_axis
from optuna_gamma.visualization.style import focus
from optuna_gamma.visualization.style import go
from optuna_gamma.visualization.style import make_subplots
from optuna_gamma.visualization.style import nothing
from optuna_gamma.visualization.style import ORANGE
from optuna_gamma.visualization.style import parameter_axis
from optuna_gamma.visualization.style import place
from optuna_gamma.visualization.style import RANKS
from optuna_gamma.visualization.style import styled
from optuna_gamma.visualization.style import text


_TITLE = "Learned schedule"

_NARROW = 0.25
"""Of the mean width of a stage: with fewer epochs, one would be too narrow."""


def plot_schedule(
    staged: StagedStudy,
    params: Sequence[str] | None = None,
    *,
    target_name: str = "Objective Value",
) -> go.Figure:
    """Plot what each stage tried, what was promoted, and what value it had.

    A row for each parameter: its candidates, stage by stage in the order in which they were
    tried, the bluer the better within their stage, and the promoted ones joined by steps. Beneath
    are the values; one far from the others is a triangle at the axis's end, a trial that failed or
    was pruned a cross.

    Args:
        staged: A staged study.
        params: Parameters to show; :obj:`None`: all that can have more than one value.
        target_name: What to call the objective value.

    Returns:
        The figure. Its x axis counts the epochs that the promoted network has trained, where
        trials have the user attribute ``"epochs"``, as :class:`~optuna_gamma.vision.VisionTask`
        sets it, and no stage would be too narrow to see its candidates; else the stages.

    Raises:
        ValueError: If no trial has a parameter.
    """
    stages = read_stages(staged)
    widths = [drawn.end - drawn.start for drawn in stages.drawn]
    if widths and min(widths) < _NARROW * sum(widths) / len(widths):
        stages = read_stages(staged, by_epochs=False)
    if not stages.values:
        return nothing(_TITLE, "The staged study has no completed trials yet.")
    kinds: dict[str, BaseDistribution] = {}
    for drawn in stages.drawn:
        for trial in drawn.trials:
            kinds.update(trial.distributions)
    for name in params or ():
        if name not in kinds:
            raise ValueError(f"Parameter {name} does not exist in the staged study.")
    shown = [n for n, k in kinds.items() if not k.single()] if params is None else list(params)

    rows = len(shown) + 1
    figure = make_subplots(rows, 1, shared_xaxes=True, vertical_spacing=0.2 / rows)
    for row, name in enumerate(shown, 1):
        _draw_parameter(figure, row, name, stages)
        figure.update_yaxes(**parameter_axis(kinds[name]), row=row, col=1)
        figure.update_yaxes(title_text=text(name, 24), row=row, col=1)
    _draw_values(figure, rows, stages)
    figure.update_yaxes(title_text=text(target_name, 24), row=rows, col=1)
    for drawn in stages.drawn[1:]:
        figure.add_vline(drawn.start, line={"color": "rgba(128,128,128,0.3)", "width": 1})
    last = stages.drawn[-1].end
    figure.update_xaxes(range=[stages.drawn[0].start, last])
    styled(figure, _TITLE, height=140 + 190 * rows)
    if stages.axis == "stage":
        figure.update_xaxes(**counting_axis(len(stages.drawn)), showgrid=False)
    figure.update_xaxes(title_text="")
    figure.update_xaxes(title_text=stages.axis, row=rows, col=1)
    return figure


def _draw_parameter(figure: go.Figure, row: int, name: str, stages: Stages) -> None:
    marks = [
        _Mark(
            float(x),
            place(trial.distributions[name], trial.params[name]),
            float(goodness),
            symbol,
            about(trial, d.said),
        )
        for d in stages.drawn
        for trial, x, goodness in zip(d.trials, d.x, d.goodness, strict=True)
        if name in trial.params
        for symbol in ["circle" if trial.value is not None else "x-thin-open"]
    ]
    _draw_candidates(figure, row, marks)
    steps = [(d, trial) for d, trial in stages.path if name in trial.params]
    if not steps:
        return
    ends = [*steps, steps[-1]]
    figure.add_scatter(
        x=[*(d.start for d, _ in steps), steps[-1][0].end],
        y=[_at(trial, name) for _, trial in ends],
        mode="lines",
        line={"shape": "hv", "color": ORANGE, "width": 2.5},
        text=[about(trial, f"promoted: {d.said}") for d, trial in ends],
        hovertemplate="%{text}<extra></extra>",
        name="promoted",
        legendgroup="promoted",
        showlegend=row == 1,
        row=row,
        col=1,
    )


def _draw_values(figure: go.Figure, row: int, stages: Stages) -> None:
    path = stages.path
    low, high = focus(stages.values, [float(t.value or 0.0) for _, t in path])
    marks = []
    for d in stages.drawn:
        y, symbols = clamped([trial.value for trial in d.trials], low, high)
        for i, trial in enumerate(d.trials):
            place, goodness = float(d.x[i]), float(d.goodness[i])
            marks.append(_Mark(place, y[i], goodness, symbols[i], about(trial, d.said)))
    _draw_candidates(figure, row, marks)
    figure.add_scatter(
        x=[d.where(trial) for d, trial in path],
        y=[trial.value for _, trial in path],
        mode="lines+markers",
        line={"color": ORANGE, "width": 2.5},
        marker={"size": 9, "symbol": "circle-open", "line": {"width": 2}},
        text=[about(trial, f"promoted: {d.said}") for d, trial in path],
        hovertemplate="%{text}<extra></extra>",
        name="promoted",
        legendgroup="promoted",
        showlegend=row == 1,
        row=row,
        col=1,
    )
    figure.update_yaxes(range=[low, high], row=row, col=1)


class _Mark(NamedTuple):
    x: float
    y: object
    goodness: float
    symbol: str
    text: str


def _draw_candidates(figure: go.Figure, row: int, marks: Sequence[_Mark]) -> None:
    # The first mark is the legend's: a good circle.
    marks = sorted(marks, key=lambda mark: (mark.symbol != "circle", -mark.goodness))
    few = len(marks) < 300
    figure.add_scatter(
        x=[mark.x for mark in marks],
        y=[mark.y for mark in marks],
        mode="markers",
        marker={
            "color": [mark.goodness for mark in marks],
            "colorscale": RANKS,
            "cmin": 0.0,
            "cmax": 1.0,
            "size": 8 if few else 5,
            "symbol": [mark.symbol for mark in marks],
            "line": {"width": 1.5 if few else 0.5, "color": "rgba(128,128,128,0.7)"},
        },
        text=[mark.text for mark in marks],
        hovertemplate="%{text}<extra></extra>",
        name="candidate; the bluer, the better in its stage",
        legendgroup="candidates",
        showlegend=row == 1,
        row=row,
        col=1,
    )


def _at(trial: FrozenTrial, name: str) -> object:
    return place(trial.distributions[name], trial.params[name])
