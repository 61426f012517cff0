"""The process and its acquisition function over one or two parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import optuna
from scipy import special

from optuna_gamma.fits import THETA_KEY
from optuna_gamma.sampler import GammaBOSampler
from optuna_gamma.view import View
from optuna_gamma.visualization.slices import DEPTH
from optuna_gamma.visualization.slices import Slice
from optuna_gamma.visualization.style import BAND
from optuna_gamma.visualization.style import BLUE
from optuna_gamma.visualization.style import by_symbol
from optuna_gamma.visualization.style import clamped
from optuna_gamma.visualization.style import focus
from optuna_gamma.visualization.style import go
from optuna_gamma.visualization.style import GREY
from optuna_gamma.visualization.style import make_subplots
from optuna_gamma.visualization.style import nothing
from optuna_gamma.visualization.style import ORANGE
from optuna_gamma.visualization.style import parameter_axis
from optuna_gamma.visualization.style import styled
from optuna_gamma.visualization.style import text


_TITLE = "Process and acquisition"
_N_POINTS, _N_SIDE = 301, 61

_MOST_UNFITTED = 200
"""How many trials the process knows where the sampler took no part."""


def plot_process(
    study: optuna.Study,
    params: Sequence[str] | None = None,
    *,
    target_name: str = "Objective Value",
) -> go.Figure:
    """Plot what the sampler believes of the objective, and where it would look next.

    Over one parameter: the location of the process with its 95 % band, the trials, and beneath
    them the logarithm of the expected improvement (times the probability that constraints are
    met, if there are any), whose maximum is proposed next. Over two: the
    location as contours, and the expected improvement beneath. All other parameters are held at
    the best trial's, so trials elsewhere need not lie near the curve. What was tried already is
    not proposed again where the space is finite, however much it promises.

    Values are those of the study: the process sees them standardised, which is undone. Bad ones
    far from the others it sees drawn in: they are triangles where it sees them. Trials that failed
    or were pruned are crosses. What the process does not know is an open circle.

    Args:
        study: A study with one objective. If its sampler is no
            :class:`~optuna_gamma.GammaBOSampler`, what one with default arguments would believe
            is shown. Where none took part, the process knows the better half of 200 trials and an
            even choice of the others.
        params: One or two parameters; :obj:`None`: those over which the process varies most.
        target_name: What to call the objective value.

    Returns:
        The figure. The band is that of the noise-free process, Student-t.

    Raises:
        ValueError: If the study has several objectives, the process does not know a parameter, or
            more than two are given.

    Example:
        >>> import optuna
        >>> from optuna_gamma import GammaBOSampler
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> study = optuna.create_study(sampler=GammaBOSampler(seed=1))
        >>> study.optimize(lambda t: (t.suggest_float("x", -5, 5) - 2) ** 2, n_trials=8)
        >>> figure = plot_process(study)
    """
    view = look(study)
    if view is None:
        return nothing(_TITLE, "The study has too few completed trials for a model.")
    names = _chosen(view, params)
    cut, label = Slice.of(study, view, names), text(target_name, 40)
    return _curve(cut, names[0], label) if len(names) == 1 else _contours(cut, names, label)


def look(study: optuna.Study, number: int | None = None) -> View | None:
    """Return what a trial was, or the next one will be, proposed from.

    Raises:
        ValueError: If the study has several objectives.
    """
    sampler = sampler_of(study)
    took_part = any(THETA_KEY in t.system_attrs for t in study.get_trials(deepcopy=False))
    return sampler.view(study, number, None if took_part else _MOST_UNFITTED)


def sampler_of(study: optuna.Study) -> GammaBOSampler:
    """Return the study's sampler, or one with default arguments.

    Raises:
        ValueError: If the study has several objectives.
    """
    if len(study.directions) > 1:
        raise ValueError(
            f"The study {study.study_name!r} has several objectives; this picture is of one."
        )
    sampler = study.sampler
    return sampler if isinstance(sampler, GammaBOSampler) else GammaBOSampler(seed=0)


def _chosen(view: View, params: Sequence[str] | None) -> list[str]:
    names = list(view.space.distributions)
    if params is None:
        # Short length-scales are those of the parameters that matter.
        order = np.argsort(view.full_process.theta[: len(names)], kind="stable")[:2]
        return [names[i] for i in sorted(order)]
    if isinstance(params, str) or not 1 <= len(set(params)) == len(params) <= 2:
        raise ValueError(f"`params` must name one or two parameters, but got {params!r}.")
    for name in params:
        if name not in names:
            raise ValueError(
                f"The process does not know the parameter {name}: it knows those that every "
                f"completed trial has and that can vary, which are {', '.join(names)}."
            )
    return list(params)


def _curve(cut: Slice, name: str, label: str) -> go.Figure:
    units, x = cut.grid(name, _N_POINTS)
    points = cut.points([(name, units)])
    posterior = cut.view.process.posterior(points)
    reach = posterior.scale * special.stdtrit(min(posterior.df, 1e10), 0.975)
    location = cut.scale.back(posterior.location)
    lower = cut.scale.back(posterior.location - reach)
    upper = cut.scale.back(posterior.location + reach)
    heights, symbols, texts = cut.marks()
    low, high = focus([*heights, *lower, *upper], [*location, *heights])

    figure = make_subplots(
        2, 1, shared_xaxes=True, row_heights=[0.68, 0.32], vertical_spacing=0.05
    )
    if cut.is_categorical(name):
        figure.add_scatter(
            x=x,
            y=location,
            error_y={"array": np.abs(upper - location), "color": BLUE, "thickness": 2},
            mode="markers",
            marker={"symbol": "diamond", "size": 10, "color": BLUE},
            hovertemplate="%{x}: %{y:.6g}<extra>location</extra>",
            name="location and 95 % band",
            row=1,
            col=1,
        )
    else:
        figure.add_scatter(
            x=[*x, *reversed(x)],
            y=[*lower, *reversed(upper)],
            mode="lines",
            fill="toself",
            fillcolor=BAND,
            line={"width": 0},
            hoverinfo="skip",
            name="95 % band",
            row=1,
            col=1,
        )
        figure.add_scatter(
            x=x,
            y=location,
            mode="lines",
            line={"color": BLUE, "width": 2.5},
            hovertemplate="%{x}: %{y:.6g}<extra>location</extra>",
            name="location",
            row=1,
            col=1,
        )
    places, few, order = cut.places(name), len(heights) < 200, by_symbol(symbols)
    heights, _ = clamped(heights, low, high)
    figure.add_scatter(
        x=[places[i] for i in order],
        y=[heights[i] for i in order],
        mode="markers",
        marker={
            "color": GREY,
            "size": 8 if few else 5,
            "symbol": [symbols[i] for i in order],
            "line": {"width": 1.5 if few else 0.5, "color": GREY},
        },
        text=[texts[i] for i in order],
        hovertemplate="%{text}<extra></extra>",
        name="trials",
        row=1,
        col=1,
    )
    _draw_improvement(figure, cut, name, x, cut.improvement(points))
    styled(figure, _TITLE, height=560)
    figure.update_yaxes(title_text=label, range=[low, high], row=1, col=1)
    figure.update_xaxes(**parameter_axis(cut.view.space.distributions[name]))
    figure.update_xaxes(title_text=cut.title(name), row=2, col=1)
    return figure


def _draw_improvement(
    figure: go.Figure, cut: Slice, name: str, x: Sequence[object], improvement: np.ndarray
) -> None:
    top = float(improvement.max())
    floor = top - DEPTH
    is_categorical = cut.is_categorical(name)
    figure.add_scatter(
        x=x,
        y=improvement - floor,  # a filled curve is filled down to zero
        customdata=improvement,
        mode="markers" if is_categorical else "lines",
        fill=None if is_categorical else "tozeroy",
        line={"color": ORANGE, "width": 2},
        marker={"color": ORANGE, "size": 8},
        fillcolor="rgba(224,112,43,0.25)",
        hovertemplate="%{x}: %{customdata:.4g}<extra>log EI</extra>",
        name="log expected improvement",
        row=2,
        col=1,
    )
    ticks = [0.0, DEPTH / 2, DEPTH]
    figure.update_yaxes(
        range=[0.0, 1.12 * DEPTH],
        tickmode="array",
        tickvals=ticks,
        ticktext=[f"{floor + tick:.1f}" for tick in ticks],
        title_text="log EI",
        row=2,
        col=1,
    )
    _mark_next(figure, cut, x=name, height=DEPTH)


def _contours(cut: Slice, names: Sequence[str], label: str) -> go.Figure:
    name, other = names
    u, x = cut.grid(name, _N_SIDE)
    v, y = cut.grid(other, _N_SIDE)
    points = cut.points([(name, np.tile(u, len(v))), (other, np.repeat(v, len(u)))])
    location = cut.scale.back(cut.view.process.posterior(points).location)
    figure = make_subplots(
        2,
        1,
        shared_xaxes=True,
        vertical_spacing=0.09,
        subplot_titles=[f"{label}: location of the process", "log expected improvement"],
    )
    surfaces = [(location, "Viridis"), (cut.improvement(points), "Inferno")]
    for row, (z, colours) in enumerate(surfaces, 1):
        drawn = {
            "x": x,
            "y": y,
            "z": z.reshape(len(v), len(u)),
            "colorscale": colours,
            "reversescale": row == 1 and cut.scale.unit < 0,
            "colorbar": {
                "len": 0.44,
                "y": 1.0 if row == 1 else 0.0,
                "yanchor": "top" if row == 1 else "bottom",
                "thickness": 12,
                "outlinewidth": 0,
            },
            "hovertemplate": "%{x}, %{y}: <b>%{z:.6g}</b><extra></extra>",
            "row": row,
            "col": 1,
        }
        if any(cut.is_categorical(n) for n in names):
            figure.add_heatmap(**drawn)
        else:
            figure.add_contour(**drawn, line={"width": 0.5}, ncontours=18)
        _draw_trials(figure, cut, names, row)
    styled(figure, _TITLE, height=760)
    figure.update_annotations(font={"size": 13})
    kinds = cut.view.space.distributions
    figure.update_xaxes(**parameter_axis(kinds[name]), showgrid=False)
    figure.update_yaxes(**parameter_axis(kinds[other]), showgrid=False, title_text=text(other, 30))
    figure.update_xaxes(title_text=cut.title(name), row=2, col=1)
    return figure


def _draw_trials(figure: go.Figure, cut: Slice, names: Sequence[str], row: int) -> None:
    name, other = names
    _, symbols, texts = cut.marks()
    x, y, order = cut.places(name), cut.places(other), by_symbol(symbols)
    symbols = [symbols[i] for i in order]
    figure.add_scatter(
        x=[x[i] for i in order],
        y=[y[i] for i in order],
        mode="markers",
        marker={
            "color": "rgba(255,255,255,0.8)",
            "size": 8 if len(texts) < 200 else 4,
            "line": {
                "color": ["white" if "open" in s else "#303030" for s in symbols],
                "width": 1.2 if len(texts) < 200 else 0.7,
            },
            "symbol": symbols,
        },
        text=[texts[i] for i in order],
        hovertemplate="%{text}<extra></extra>",
        name="trials",
        legendgroup="trials",
        showlegend=row == 1,
        row=row,
        col=1,
    )
    _mark_next(figure, cut, x=name, y=other, row=row)


def _mark_next(
    figure: go.Figure,
    cut: Slice,
    *,
    x: str,
    y: str | None = None,
    height: float = 0.0,
    row: int = 2,
) -> None:
    """Mark what is proposed next, over a parameter at some height, or over two."""
    params = cut.view.next_params
    if params is None:
        return
    value = float(cut.view.acquisition(cut.view.space.encode([params]))[0])
    said = [f"{text(n, 30)}: {text(v)}" for n, v in list(params.items())[:12]]
    figure.add_scatter(
        x=[cut.place(x, params[x])],
        y=[height if y is None else cut.place(y, params[y])],
        mode="markers",
        marker={
            "symbol": "star",
            "size": 15,
            "color": ORANGE,
            "line": {"color": "white", "width": 0 if y is None else 1.5},
        },
        text=[f"next, log EI {value:.4g}<br>{'<br>'.join(said)}"],
        hovertemplate="%{text}<extra></extra>",
        name="next proposal",
        legendgroup="next",
        showlegend=y is None or row == 1,
        row=row,
        col=1,
    )
