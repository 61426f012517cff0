"""Draws the pictures of the concepts: ``python docs/pictures.py`` writes ``docs/img/*.svg``.

What they show is computed by the package itself. Their colours can be read on a white and on a
dark page.
"""

from __future__ import annotations

from pathlib import Path
import sys

import matplotlib
import numpy as np
import optuna
from scipy import stats

from optuna_gamma import GammaBOSampler
from optuna_gamma import GammaPrior
from optuna_gamma import kappa
from optuna_gamma.bo.acquisition import log_h
from optuna_gamma.bo.acquisition import make_acquisition
from optuna_gamma.bo.fit import default_model
from optuna_gamma.bo.fit import fit
from optuna_gamma.bo.process import Process
from optuna_gamma.bo.transform import standardize
from optuna_gamma.space import Space


matplotlib.use("svg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure


GREY, BLUE, ORANGE = "#808080", "#3b82d0", "#e0702b"
STYLE = {
    "axes.edgecolor": GREY,
    "axes.facecolor": "none",
    "axes.labelcolor": GREY,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "legend.frameon": False,
    "savefig.facecolor": "none",
    "savefig.transparent": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "optuna-gamma",
    "text.color": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
}
LOW, HIGH = -1.0, 2.0


def draw(folder: Path) -> None:
    """Draw all pictures into a folder."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pictures = {"precision": precision(), "process": process(), "kappa": kappas()}
    for name, figure in pictures.items():
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)


def objective(trial: optuna.Trial) -> float:
    """Evaluate the function of the thesis's figures 12 and 13, without its noise."""
    x = trial.suggest_float("x", LOW, HIGH)
    return float(function(np.array(x)))


def function(x: np.ndarray) -> np.ndarray:
    """Evaluate it at points."""
    return -np.sin(3.0 * x) - x**2 + 0.7 * x


def study(n_trials: int) -> optuna.Study:
    """Run a study of it."""
    run = optuna.create_study(direction="maximize", sampler=GammaBOSampler(seed=5))
    run.optimize(objective, n_trials=n_trials)
    return run


def fitted(n_trials: int) -> tuple[Process, np.ndarray, np.ndarray]:
    """Return the process after so many trials, their places and their values."""
    trials = study(n_trials).trials
    cube = Space(trials[0].distributions).cube
    x = np.array([t.params["x"] for t in trials])
    values = np.array([t.value for t in trials])
    X, y = (x[:, None] - LOW) / (HIGH - LOW), standardize(values)
    return fit(X, y, cube.is_categorical, default_model(cube, GammaPrior())), x, values


def precision() -> Figure:
    """Draw what is believed of the precision, and what follows for predictions and improvement."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9.0, 3.0))
    tau = np.linspace(1e-3, 5.0, 400)
    left.set(title="belief about the precision τ", xlabel="τ", yticks=[])
    prior = GammaPrior()
    left.plot(
        tau, stats.gamma.pdf(tau, prior.shape, scale=1 / prior.b0), color=GREY, label="prior"
    )
    for n, colour in ((4, ORANGE), (12, BLUE)):
        p = fitted(n)[0]
        density = stats.gamma.pdf(tau, p.a_n, scale=1.0 / p.b_n)
        left.plot(tau, density, color=colour, label=f"{n} trials")
    u = np.linspace(0.0, 6.0, 300)
    middle.set(title="density of a prediction", xlabel="distance / scale", yscale="log")
    middle.set_ylim(1e-6, 1.0)
    right.set(title="improvement expected, over s", xlabel="(μ − f⁺) / s", yscale="log")
    right.set_ylim(1e-6, 1.0)
    lines = (("4 trials, ν = 7", 7.0, ORANGE, "-"), ("30 trials, ν = 33", 33.0, BLUE, "-"))
    for label, df, colour, dash in (*lines, ("Gaussian", np.inf, GREY, "--")):
        density = stats.norm.pdf(u) if np.isinf(df) else stats.t.pdf(u, df)
        middle.plot(u, density, color=colour, linestyle=dash, label=label)
        right.plot(-u, np.exp(log_h(-u, df)[0]), color=colour, linestyle=dash, label=label)
    for axes in (left, middle):
        axes.legend()
    return figure


def process() -> Figure:
    """Draw the process after few and more trials, and the improvement it expects where."""
    figure, axes = plt.subplots(
        2, 3, figsize=(9.0, 4.6), sharex=True, sharey="row", height_ratios=[2, 1]
    )
    x = np.linspace(LOW, HIGH, 301)
    grid = (x[:, None] - LOW) / (HIGH - LOW)
    for (top, bottom), n in zip(axes.T, (4, 6, 10), strict=True):
        model, places, values = fitted(n)
        posterior = model.posterior(grid)
        # Standardised values are drawn as those of the study, from which they differ by a line.
        best = np.argsort(values)[-2:]
        slope, offset = np.polyfit(standardize(values)[best], values[best], 1)
        middle, scale = offset + slope * posterior.location, slope * posterior.scale
        for df, style in (
            (posterior.df, {"color": BLUE, "alpha": 0.25, "linewidth": 0}),
            (np.inf, {"facecolor": "none", "edgecolor": GREY, "linestyle": "--"}),
        ):
            width = scale * (stats.norm.ppf(0.975) if np.isinf(df) else stats.t.ppf(0.975, df))
            top.fill_between(x, middle - width, middle + width, **style)
        top.plot(x, function(x), color=GREY, linewidth=1)
        top.plot(x, middle, color=BLUE)
        top.plot(places, values, "o", color=ORANGE, markersize=5)
        top.set_title(f"after {n} trials, ν = {model.df:.0f}")
        for name, colour, dash in (("gamma", BLUE, "-"), ("gaussian", GREY, "--")):
            value = make_acquisition(name, model, GammaPrior())(grid)
            bottom.plot(x, value, color=colour, linestyle=dash, label=name)
            bottom.plot(x[value.argmax()], value.max(), "*", color=colour, markersize=9)
        bottom.set(xlabel="x")
    axes[0, 0].set(ylabel="objective", ylim=(-3.2, 1.8))
    axes[1, 0].set(ylabel="ln expected\nimprovement", ylim=(-16.0, 1.0))
    axes[0, 2].legend(*axes[1, 2].get_legend_handles_labels(), loc="lower left")
    return figure


def kappas() -> Figure:
    """Draw lines of equal κ."""
    figure, axes = plt.subplots(1, 2, figsize=(9.0, 3.4), sharey=True)
    accuracy, loss = np.linspace(0.0, 1.0, 201), np.geomspace(1e-3, 1e2, 201)
    a, m = np.meshgrid(accuracy, loss)
    levels = {"improved": [900, 2500, 4900, 8100], "original": [30, 50, 70, 90]}
    for panel, variant in zip(axes, ("improved", "original"), strict=True):
        panel.set(title=f"{variant}, λ = 0.05", xlabel="accuracy in %", yscale="log")
        value = kappa(a, m, lam=0.05, variant=variant)
        panel.contour(100 * a, m, value, levels[variant], colors=BLUE, linewidths=1)
        for x, level in zip((30, 50, 70, 90), levels[variant], strict=True):
            panel.text(x + 1, 1.5e-3, f"κ = {level}", fontsize=9)
        panel.contour(100 * a, m, 100 * a - m, levels=[0.0], colors=ORANGE)
    axes[0].set(ylabel="loss")
    return figure


if __name__ == "__main__":
    with plt.rc_context(STYLE):
        draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "img")
