"""What all pictures have in common: plotly itself, colours, texts, how much is drawn."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import functools
import html
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
import optuna
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import FrozenTrial


try:
    import plotly.graph_objects as go
    from plotly.offline import get_plotlyjs
    from plotly.subplots import make_subplots
except ImportError as error:
    raise ImportError(
        "The pictures need plotly, which is not installed: pip install 'optuna-gamma[dashboard]'.",
        name="plotly",
    ) from error

__all__ = ["get_plotlyjs", "go", "make_subplots"]

_logger = optuna.logging.get_logger(f"optuna.{__name__}")

# Legible on white and on black alike: nothing lighter than L* 65, nothing darker than L* 45.
GREY, FAINT, GRID = "#808080", "rgba(128,128,128,0.6)", "rgba(128,128,128,0.25)"
BLUE, ORANGE = "#3b82d0", "#e0702b"
BAND = "rgba(59,130,208,0.25)"
PALETTE = (BLUE, ORANGE, "#2f9e72", "#a167c9", "#c95583", "#9a8426", "#3a9db0", "#808080")
RANKS = ((0.0, "#a0a0a0"), (0.5, "#7c98bd"), (1.0, "#1f74dc"))
"""Colours of candidates, from the worst to the best of their stage."""

MAX_POINTS = 2000
"""How many marks a picture has at most; a browser draws as many without a pause."""

_MAX_LINES, _MAX_LENGTH = 16, 60

_LARGEST = 1e300
"""The end of all axes: beyond it differences overflow."""


def styled(figure: go.Figure, title: str, height: int = 460, **layout: Any) -> go.Figure:
    """Give a figure its title, and the look of all."""
    axis = {
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": GRID,
        "ticks": "outside",
        "tickcolor": GRID,
        "title": {"standoff": 8},
    }
    figure.update_layout(
        template="none",
        title={"text": title, "x": 0.0, "xref": "paper", "font": {"size": 16}},
        height=height,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": GREY, "size": 13, "family": "system-ui, sans-serif"},
        colorway=PALETTE,
        hoverlabel={"align": "left", "namelength": -1},
        hovermode="closest",
        margin={"l": 64, "r": 16, "t": 48, "b": 88},
        legend={
            "orientation": "h",
            "x": 0.0,
            "y": 0.0,
            "yref": "container",
            "yanchor": "bottom",
            "itemsizing": "constant",
        },
    )
    figure.update_xaxes(automargin="bottom", **axis)
    figure.update_yaxes(automargin="left", **axis)
    figure.update_layout(**layout)
    if figure.layout.showlegend is False:
        figure.update_layout(margin={"b": 56})
    return figure


def parameter_axis(kind: BaseDistribution) -> dict[str, Any]:
    """Return the settings of a parameter's axis, which shows all of its range."""
    if isinstance(kind, CategoricalDistribution):
        names = choices(kind)
        return {
            "type": "category",
            "categoryorder": "array",
            "categoryarray": names,
            "range": [-0.5, len(names) - 0.5],
        }
    assert isinstance(kind, FloatDistribution | IntDistribution)
    ends = [float(kind.low), float(kind.high)]
    if kind.log:
        ends = [math.log10(end) for end in ends]
    nticks = 3 if ends[1] - ends[0] < 3 else 5  # on a log axis; more do not fit on a phone
    pad = 0.03 * (ends[1] - ends[0])
    settings = {"type": "log", "tickformat": ".2~g", "nticks": nticks} if kind.log else {}
    return {**settings, "range": [ends[0] - pad, ends[1] + pad]}


def counting_axis(n: int) -> dict[str, Any]:
    """Return the settings of an axis that counts to about ``n``: its ticks are whole numbers."""
    size = 10 ** math.floor(math.log10(max(n, 1)))
    step = next(k * size // 10 for k in (1, 2, 5, 10) if k * size * 1.2 >= max(n, 1) or k == 10)
    return {"tickmode": "linear", "tick0": 0, "dtick": max(step, 1), "tickformat": "d"}


def nothing(title: str, reason: str) -> go.Figure:
    """Return an empty figure that says why it is, and log it."""
    _logger.warning(reason)
    figure = styled(go.Figure(), title, height=160)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.add_annotation(
        text=text(reason, 200), x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False
    )
    return figure


def text(value: object, length: int = _MAX_LENGTH) -> str:
    """Return what people have named or chosen as plotly may show it: nothing in it is markup."""
    shown = f"{value:.6g}" if isinstance(value, float) else str(value)
    shown = shown if len(shown) <= length else f"{shown[: length - 1]}…"
    # A dollar would begin a formula, and quotes need no escape outside of tags.
    return html.escape(shown, quote=False).replace("$", "&#36;")


@functools.lru_cache(maxsize=64)
def choices(kind: CategoricalDistribution) -> tuple[str, ...]:
    """Return the names of a parameter's choices on an axis: short, and no two alike."""
    named: list[str] = []
    for choice in kind.choices:
        name, n = text(choice, 20), 1
        while name in named:
            n += 1
            name = f"{text(choice, 20)} ({n})"
        named.append(name)
    return tuple(named)


def place(kind: BaseDistribution, value: Any) -> Any:
    """Return where a parameter's value is on its axis."""
    if isinstance(kind, CategoricalDistribution):
        return choices(kind)[int(kind.to_internal_repr(value))]
    return value


def listed(values: Mapping[str, Any]) -> str:
    """Return names and values, one a line."""
    lines = [f"{text(name, 30)}: {text(value)}" for name, value in values.items()]
    if len(lines) > _MAX_LINES:
        lines[_MAX_LINES - 1 :] = [f"… and {len(lines) - _MAX_LINES + 1} more"]
    return "<br>".join(lines)


def about(trial: FrozenTrial, place: str = "") -> str:
    """Return what is said of a trial one points at: its number, value and parameters."""
    result = text(trial.value) if trial.value is not None else trial.state.name.lower()
    return f"{place}trial {trial.number}: <b>{result}</b><br>{listed(trial.params)}"


def thinned(n: int, most: int, kept: Collection[int] = ()) -> NDArray[np.intp]:
    """Return an even choice of indices below ``n``, with the first, the last and those kept."""
    if n <= most:
        return np.arange(n)
    even = np.linspace(0, n - 1, max(most, 2)).round().astype(np.intp)
    return np.union1d(even, np.array(sorted(kept), dtype=np.intp))


def focus(values: Sequence[float], wanted: Sequence[float]) -> tuple[float, float]:
    """Return the range of an axis: all that is wanted, and of the others those not far from it.

    One diverged training would otherwise press all others into a line.

    Args:
        values: All values.
        wanted: Those that must be seen.
    """
    finite, must = (
        np.clip([value for value in some if math.isfinite(value)], -_LARGEST, _LARGEST)
        for some in (values, wanted)
    )
    if len(finite) == 0:
        return -1.0, 1.0
    first, third = np.percentile(finite, [25, 75])
    low, high = np.append(must, first).min(), np.append(must, third).max()
    reach = 1.5 * (high - low)
    low, high = max(finite.min(), low - reach), min(finite.max(), high + reach)
    pad = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return float(low - pad), float(high + pad)


def clamped(
    values: Sequence[float | None], low: float, high: float, symbol: str = "circle"
) -> tuple[list[float], list[str]]:
    """Move values to an axis's range; return them and the symbols that tell those moved.

    A value that is missing, as of a trial that failed, is a cross at the lower end.
    """
    y: list[float] = []
    symbols: list[str] = []
    inset = 0.02 * (high - low)
    for value in values:
        if value is None or math.isnan(value):
            y.append(low + inset)
            symbols.append("x-thin-open")
        else:
            inside = low <= value <= high
            below = "triangle-down-open" if value < low else "triangle-up-open"
            y.append(value if inside else low + inset if value < low else high - inset)
            symbols.append(symbol if inside else below)
    return y, symbols


def by_symbol(symbols: Sequence[str]) -> list[int]:
    """Return an order in which circles come first: the first mark is the legend's."""
    return sorted(range(len(symbols)), key=lambda i: symbols[i] != "circle")


def line(points: Sequence[tuple[float, float]]) -> tuple[list[float | None], list[float | None]]:
    """Return pairs of points as x and y of many line segments in one trace."""
    x: list[float | None] = []
    y: list[float | None] = []
    for i, (px, py) in enumerate(points):
        x.append(px)
        y.append(py)
        if i % 2:
            x.append(None)
            y.append(None)
    return x, y
