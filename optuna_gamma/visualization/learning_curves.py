"""Intermediate values along the training."""

from __future__ import annotations

from collections.abc import Sequence
import math

from optuna.trial import FrozenTrial

from optuna_gamma.staged import StagedStudy
from optuna_gamma.visualization.stages import Drawn
from optuna_gamma.visualization.stages import read_stages
from optuna_gamma.visualization.style import about
from optuna_gamma.visualization.style import counting_axis
from optuna_gamma.visualization.style import FAINT
from optuna_gamma.visualization.style import focus
from optuna_gamma.visualization.style import go
from optuna_gamma.visualization.style import MAX_POINTS
from optuna_gamma.visualization.style import nothing
from optuna_gamma.visualization.style import ORANGE
from optuna_gamma.visualization.style import styled
from optuna_gamma.visualization.style import text
from optuna_gamma.visualization.style import thinned


_TITLE = "Learning curve of the promoted network"

_MAX_CURVES = 120
"""How many curves of other candidates are drawn, an even choice of more."""

_Curve = list[tuple[float, float]]


def plot_learning_curves(
    staged: StagedStudy, *, target_name: str = "Intermediate Value"
) -> go.Figure:
    """Plot the intermediate values along the winning path, those of other candidates faintly.

    Args:
        staged: A staged study whose objective calls ``trial.report``.
        target_name: What to call the intermediate value.

    Returns:
        The figure. Its x axis has the steps that were reported. Where a stage counts its steps
        from the beginning again they are added to those of the stages before it.
    """
    drawn = read_stages(staged, by_epochs=False).drawn
    stages = [d for d in drawn if any(trial.intermediate_values for trial in d.trials)]
    if not stages:
        return nothing(
            _TITLE, "No trial has intermediate values: the objective has to call `trial.report`."
        )
    figure = go.Figure()
    others: list[_Curve] = []
    path: _Curve = []
    texts: list[str] = []
    starts: list[float] = []
    end = -math.inf
    for d in stages:
        shift = _shift(d, end)
        starts.append(min(min(t.intermediate_values, default=math.inf) for t in d.trials) + shift)
        for trial in d.trials:
            curve = [(x + shift, y) for x, y in sorted(trial.intermediate_values.items())]
            end = max([end, *(x for x, _ in curve)])
            if d.promoted is not None and trial.number == d.promoted.number:
                path += curve
                texts += [about(trial, d.said)] * len(curve)
            elif curve:
                others.append(curve)

    shown = [others[i] for i in thinned(len(others), _MAX_CURVES)]
    each = max(MAX_POINTS // max(len(shown), 1), 2)
    shown = [[curve[i] for i in thinned(len(curve), each)] for curve in shown]
    figure.add_scatter(
        x=[x for curve in shown for x in [*(x for x, _ in curve), None]],
        y=[y for curve in shown for y in [*(y for _, y in curve), None]],
        # A curve of one step would have no line.
        mode="lines+markers" if any(len(curve) == 1 for curve in shown) else "lines",
        line={"color": FAINT, "width": 1},
        marker={"size": 4, "color": FAINT},
        hoverinfo="skip",
        name="other candidates",
    )
    chosen = thinned(len(path), MAX_POINTS)
    figure.add_scatter(
        x=[path[i][0] for i in chosen],
        y=[path[i][1] for i in chosen],
        mode="lines+markers" if len(path) < 100 else "lines",
        line={"color": ORANGE, "width": 2.5},
        marker={"size": 6},
        text=[texts[i] for i in chosen],
        hovertemplate="step %{x}: <b>%{y:.6g}</b><br>%{text}<extra></extra>",
        name="promoted",
    )
    for start in starts[1:]:
        figure.add_vline(start - 0.5, line={"color": "rgba(128,128,128,0.3)", "width": 1})
    styled(figure, _TITLE)
    figure.update_xaxes(title_text="step", showgrid=len(starts) == 1, **counting_axis(int(end)))
    every = [y for curve in [*shown, path] for _, y in curve]
    figure.update_yaxes(title_text=text(target_name, 40), range=focus(every, [y for _, y in path]))
    return figure


def _shift(drawn: Drawn, end: float) -> float:
    """Return what to add to a stage's steps so that they follow those before it."""
    first = min(_first(drawn.trials))
    return end + 1 - first if first <= end else 0.0


def _first(trials: Sequence[FrozenTrial]) -> list[int]:
    return [min(trial.intermediate_values) for trial in trials if trial.intermediate_values]
