"""Which trial came from which: the tree of a staged study."""

from __future__ import annotations

from optuna.trial import FrozenTrial

from optuna_gamma.staged import StagedStudy
from optuna_gamma.staged.ledger import TrialRecord
from optuna_gamma.visualization.stages import Drawn
from optuna_gamma.visualization.stages import read_stages
from optuna_gamma.visualization.style import about
from optuna_gamma.visualization.style import BLUE
from optuna_gamma.visualization.style import by_symbol
from optuna_gamma.visualization.style import clamped
from optuna_gamma.visualization.style import counting_axis
from optuna_gamma.visualization.style import FAINT
from optuna_gamma.visualization.style import focus
from optuna_gamma.visualization.style import go
from optuna_gamma.visualization.style import line
from optuna_gamma.visualization.style import nothing
from optuna_gamma.visualization.style import ORANGE
from optuna_gamma.visualization.style import styled
from optuna_gamma.visualization.style import text


_TITLE = "Lineage of the promoted trials"


def plot_lineage(staged: StagedStudy, *, target_name: str = "Objective Value") -> go.Figure:
    """Plot which trial each trial started from, and the path of the promoted ones.

    Within a stage trials lie in the order in which they were tried, at the height of their value;
    one far from the others is a triangle at the axis's end, a trial that failed or was pruned a
    cross. A line leads to each from the promoted trial whose weights it went on with.

    Args:
        staged: A staged study.
        target_name: What to call the objective value.

    Returns:
        The figure.
    """
    stages = read_stages(staged, by_epochs=False)
    if not stages.values:
        return nothing(_TITLE, "The staged study has no completed trials yet.")
    path = stages.path
    low, high = focus(stages.values, [float(trial.value or 0.0) for _, trial in path])
    heights: dict[tuple[int, int], tuple[float, float]] = {}
    symbols: list[str] = []
    texts: list[str] = []
    edges: list[tuple[float, float]] = []
    for drawn in stages.drawn:
        y, found = clamped([trial.value for trial in drawn.trials], low, high)
        symbols += found
        for trial, place, height in zip(drawn.trials, drawn.x, y, strict=True):
            heights[drawn.status.number, trial.number] = float(place), height
            origin = _parent(trial)
            if origin in heights:
                edges += [heights[origin], (float(place), height)]
            texts.append(_about(drawn, trial, origin))
    promoted = [heights[d.status.number, trial.number] for d, trial in path]

    edge_x, edge_y = line(edges)
    figure = go.Figure()
    figure.add_scatter(
        x=edge_x,
        y=edge_y,
        mode="lines",
        line={"color": FAINT, "width": 1 if len(edges) < 400 else 0.5},
        hoverinfo="skip",
        name="went on from",
    )
    order, marks = by_symbol(symbols), list(heights.values())
    figure.add_scatter(
        x=[marks[i][0] for i in order],
        y=[marks[i][1] for i in order],
        mode="markers",
        marker={
            "color": BLUE,
            "size": 8 if len(heights) < 300 else 5,
            "symbol": [symbols[i] for i in order],
            "line": {"width": 1.5, "color": BLUE},
        },
        text=[texts[i] for i in order],
        hovertemplate="%{text}<extra></extra>",
        name="trial",
    )
    figure.add_scatter(
        x=[x for x, _ in promoted],
        y=[y for _, y in promoted],
        mode="lines+markers",
        line={"color": ORANGE, "width": 3},
        marker={"color": ORANGE, "size": 11},
        text=[_about(d, trial, _parent(trial)) for d, trial in path],
        hovertemplate="%{text}<extra>promoted</extra>",
        name="promoted",
    )
    styled(figure, _TITLE)
    figure.update_xaxes(
        **counting_axis(len(stages.drawn)),
        title_text="stage",
        range=[stages.drawn[0].start, stages.drawn[-1].end],
        showgrid=False,
    )
    figure.update_yaxes(title_text=text(target_name, 40), range=[low, high])
    return figure


def _parent(trial: FrozenTrial) -> tuple[int, int] | None:
    record = TrialRecord.of(trial)
    if record is None or record.parent is None:
        return None
    return record.parent.stage, record.parent.trial


def _about(drawn: Drawn, trial: FrozenTrial, origin: tuple[int, int] | None) -> str:
    said = about(trial, drawn.said)
    if origin is None:
        return said
    return f"{said}<br>went on from trial {origin[1]} of stage {origin[0] + 1}"
