"""How the search went: the acquisition, and the belief about the precision, over the trials."""

from __future__ import annotations

import optuna
from scipy import stats

from optuna_gamma.fits import THETA_KEY
from optuna_gamma.view import View
from optuna_gamma.visualization.process import look
from optuna_gamma.visualization.process import sampler_of
from optuna_gamma.visualization.style import about
from optuna_gamma.visualization.style import BAND
from optuna_gamma.visualization.style import BLUE
from optuna_gamma.visualization.style import clamped
from optuna_gamma.visualization.style import counting_axis
from optuna_gamma.visualization.style import focus
from optuna_gamma.visualization.style import go
from optuna_gamma.visualization.style import GREY
from optuna_gamma.visualization.style import nothing
from optuna_gamma.visualization.style import ORANGE
from optuna_gamma.visualization.style import styled
from optuna_gamma.visualization.style import thinned


_MOST, _MOST_UNFITTED = 40, 12
"""Of how many trials the model is recomputed, where the sampler kept its fits and elsewhere."""

_DEEPEST = 30.0
"""How far below the largest log expected improvement others are told apart."""

_TOO_FEW = "The study has too few completed trials for a model."


def plot_acquisition_history(study: optuna.Study) -> go.Figure:
    """Plot how much improvement each trial promised before it was run.

    That is the logarithm of the expected improvement, in standard deviations of the values, at the
    parameters of the trial, computed again from the trials that were finished when it began. For a
    trial that :class:`~optuna_gamma.GammaBOSampler` proposed, it is the largest that it found.
    When it falls, there is less and less to be expected. Of a study that the sampler took no part
    in, it is what the sampler would have thought of the trials.

    Args:
        study: A study with one objective; see :func:`plot_process` for its sampler.

    Returns:
        The figure. Of many trials an even choice of 40 is shown, or of 12 where the sampler took
        no part; what is less than a factor of e³⁰ of the most is a triangle at the axis's end.

    Raises:
        ValueError: If the study has several objectives.
    """
    title = "Acquisition over the trials"
    trials = dict(enumerate(study.get_trials(deepcopy=False)))
    found = [
        (number, view, trials[number])
        for number, view in _views(study)
        if number in trials and view.space.distributions.keys() <= trials[number].params.keys()
    ]
    if not found:
        return nothing(title, _TOO_FEW)
    values = [float(v.acquisition(v.space.encode([t.params]))[0]) for _, v, t in found]
    low, high = focus(values, [max(values), max(min(values), max(values) - _DEEPEST)])
    low = max(low, high - 1.1 * _DEEPEST)
    y, symbols = clamped(values, low, high)
    figure = go.Figure()
    figure.add_scatter(
        x=[number for number, _, _ in found],
        y=y,
        mode="lines+markers",
        line={"color": ORANGE, "width": 2},
        marker={"size": 7, "symbol": symbols},
        text=[
            f"log EI <b>{value:.4g}</b><br>{about(trial)}"
            for value, (_, _, trial) in zip(values, found, strict=True)
        ],
        hovertemplate="%{text}<extra></extra>",
        name="log expected improvement",
    )
    styled(figure, title, height=360, showlegend=False)
    figure.update_xaxes(title_text="trial", **counting_axis(found[-1][0]))
    figure.update_yaxes(title_text="log EI", range=[low, high])
    return figure


def plot_precision(study: optuna.Study) -> go.Figure:
    """Plot the belief about the precision of the process over the trials.

    The precision τ is one over the variance of the standardised values that the process explains.
    Its posterior is Gamma(a_n, b_n): the mean a_n / b_n and the central 95 % are shown, before
    each trial and after the last, and the prior. It narrows with the number of trials; a precision
    that falls says that the values vary more than was believed.

    Args:
        study: A study with one objective; see :func:`plot_process` for its sampler.

    Returns:
        The figure. Of many trials an even choice of 40 is shown, or of 12 where the sampler took
        no part.

    Raises:
        ValueError: If the study has several objectives.
    """
    title = "Belief about the precision"
    views = _views(study)
    if not views:
        return nothing(title, _TOO_FEW)
    x = [number for number, _ in views]
    processes = [view.full_process for _, view in views]
    mean = [p.a_n / p.b_n for p in processes]
    low, high = (
        [float(stats.gamma.ppf(q, p.a_n, scale=1.0 / p.b_n)) for p in processes]
        for q in (0.025, 0.975)
    )
    figure = go.Figure()
    if len(x) == 1:
        figure.add_scatter(
            x=x * 2,
            y=[low[0], high[0]],
            mode="lines",
            line={"color": BLUE},
            name="95 % band",
            hovertemplate="%{y:.3g}<extra>95 %</extra>",
        )
    else:
        figure.add_scatter(
            x=[*x, *reversed(x)],
            y=[*low, *reversed(high)],
            fill="toself",
            fillcolor=BAND,
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            name="95 % band",
        )
    figure.add_scatter(
        x=x,
        y=mean,
        customdata=[[p.a_n, p.b_n, a, b] for p, a, b in zip(processes, low, high, strict=True)],
        mode="lines+markers",
        line={"color": BLUE, "width": 2},
        marker={"size": 5},
        hovertemplate="before trial %{x}: <b>%{y:.3g}</b>, 95 % in %{customdata[2]:.3g} … "
        "%{customdata[3]:.3g}<br>a_n %{customdata[0]:.4g}, b_n %{customdata[1]:.4g}"
        "<extra></extra>",
        name="mean",
    )
    prior = sampler_of(study).prior
    figure.add_scatter(
        x=[x[0], x[-1]],
        y=[prior.shape / prior.b0] * 2,
        mode="lines",
        line={"color": GREY, "dash": "dot", "width": 1.5},
        hovertemplate="%{y:.3g}<extra>prior mean</extra>",
        name="prior mean",
    )
    styled(figure, title, height=360)
    figure.update_xaxes(title_text="trials before it", **counting_axis(x[-1]))
    figure.update_yaxes(title_text="precision τ", type="log", tickformat=".2~g", dtick="D2")
    return figure


def _views(study: optuna.Study) -> list[tuple[int, View]]:
    """Look at what trials were proposed from, an even choice, and what the next one will be."""
    trials = study.get_trials(deepcopy=False)
    proposed = [trial.number for trial in trials if THETA_KEY in trial.system_attrs]
    numbers = proposed or [trial.number for trial in trials]
    most = _MOST if proposed else _MOST_UNFITTED
    chosen = [numbers[i] for i in thinned(len(numbers), most)]
    views = [(number, look(study, number)) for number in [*chosen, len(trials)]]
    return [(number, view) for number, view in views if view is not None]
