"""Pictures of the thesis's experiments."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np

from benchmarks.thesis.jobs import Table
from benchmarks.thesis.setting import MAX_RATE
from benchmarks.thesis.setting import score
from optuna_gamma.bo.acquisition import Acquisition
from optuna_gamma.bo.acquisition import LogEI
from optuna_gamma.bo.acquisition import make_acquisition
from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.fit import default_model
from optuna_gamma.bo.fit import fit
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.process import GammaPrior
from optuna_gamma.bo.transform import resolution
from optuna_gamma.bo.transform import standardize


LINE = Cube(grids=(None,), is_categorical=np.zeros(1, dtype=bool))


def points(rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Draw accuracies with their intervals, by epoch, sampler and objective.

    Args:
        rows: Rows of a table, with ``"validation"``, ``"test"`` and ``"thesis"``.
        title: Heading.
    """
    figure = Figure(figsize=(7, 0.22 * len(rows) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    y = np.arange(len(rows))
    for name, marker, shift in (("validation", "o", -0.12), ("test", "s", 0.12)):
        means, halves = np.array([_parse(row[name]) for row in rows]).T
        axes.errorbar(means, y + shift, xerr=halves, fmt=marker, markersize=3, lw=1, label=name)
    printed = [(row["thesis"], i) for i, row in enumerate(rows) if row["thesis"] != ""]
    if printed:
        axes.plot(*zip(*printed, strict=True), "kx", markersize=4, label="thesis")
    labels = [
        f"{row.get('epoch', row.get('epochs'))} {row['sampler']} {row['objective']}"
        for row in rows
    ]
    axes.set_yticks(y, labels, fontsize=6)
    axes.invert_yaxis()
    axes.set(xlabel="accuracy, %", title=title)
    axes.grid(axis="x", color="0.9")
    axes.legend(fontsize="small")
    return figure


def _parse(text: str) -> tuple[float, float]:
    mean, _, half = text.partition(" ± ")
    return float(mean), float(half or 0.0)


def confusions(runs: Mapping[str, Mapping[str, Any]], title: str) -> Figure:
    """Draw the confusion matrix of each method; shade is the share of the true class.

    Args:
        runs: Results of staged runs, by what they are called.
        title: Heading.
    """
    columns = min(len(runs), 4)
    lines = math.ceil(len(runs) / columns)
    figure = Figure(figsize=(2.9 * columns, 3.1 * lines + 0.4), layout="constrained")
    for place, (name, run) in enumerate(runs.items(), start=1):
        axes = figure.add_subplot(lines, columns, place)
        matrix = np.array(run["confusion"])
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axes.imshow(np.sqrt(shares), cmap="Greys", vmin=0.0, vmax=1.0)
        accuracy = 100 * np.trace(matrix) / matrix.sum()
        axes.set_title(f"{name}: {accuracy:.1f} %", fontsize=8)
        ticks = range(len(matrix))
        axes.set_xticks(ticks, run["classes"], fontsize=5, rotation=90)
        axes.set_yticks(ticks, run["classes"], fontsize=5)
    figure.suptitle(title, fontsize=9)
    figure.supxlabel("answered", fontsize=8)
    figure.supylabel("true", fontsize=8)
    return figure


def kappa_over_rate(
    studies: Sequence[tuple[int, Mapping[int, Table], Mapping[str, Sequence[float]]]],
    objective: str,
) -> Figure:
    """Draw an objective over the learning rate, and the rates that each method tried.

    Args:
        studies: Epochs of a training, trainings by seed, and tried rates by method for seed 0.
        objective: The objective.
    """
    methods = list(studies[0][2])
    figure = Figure(figsize=(3.4 * len(methods), 2.8 * len(studies)), layout="constrained")
    panels = figure.subplots(len(studies), len(methods), sharex=True, sharey="row", squeeze=False)
    for line, (epochs, tables, tried) in zip(panels, studies, strict=True):
        for axes, method in zip(line, methods, strict=True):
            for seed, table in sorted(tables.items(), reverse=True):
                rates = sorted(table)
                values = [score(objective, *table[rate][:2]) for rate in rates]
                is_first = seed == min(tables)
                axes.plot(rates, values, color="0.2" if is_first else "0.85", lw=0.8)
            table = tables[min(tables)]
            for n, rate in enumerate(tried[method], start=1):
                value = score(objective, *table[rate][:2])
                axes.plot(rate, value, "o", color="C3", markersize=4)
                axes.annotate(
                    str(n), (rate, value), fontsize=6, xytext=(2, 3), textcoords="offset points"
                )
            axes.set_title(f"{method}, {epochs} epochs", fontsize=9)
            axes.grid(color="0.93")
        line[0].set_ylabel(objective)
    figure.supxlabel("learning rate", fontsize=9)
    return figure


def processes_over_rate(
    table: Table, tried: Mapping[str, Sequence[float]], objective: str
) -> Figure:
    """Draw process and acquisition of each method while it searches a learning rate.

    Args:
        table: Trainings.
        tried: Rates by method, in the order in which they were tried.
        objective: What was maximised.
    """

    def model(name: Acquisition) -> Callable[[Array, Array], LogEI]:
        def build(X: Array, y: Array) -> LogEI:
            prior = GammaPrior()
            process = fit(X, standardize(y), LINE.is_categorical, default_model(LINE, prior))
            return make_acquisition(name, process, prior, resolution(process.y))

        return build

    histories = {}
    for name, rates in tried.items():
        known = [rate for rate in rates if not math.isnan(table[rate][0])]
        values = [score(objective, *table[rate][:2]) for rate in known]
        histories[name] = (model(name), np.array(known), np.array(values))  # type: ignore[arg-type]
    return processes(histories, 0.0, MAX_RATE, "learning rate", f"{objective}, standardised")


History = tuple[Callable[[Array, Array], LogEI], Array, Array]
"""What builds the acquisition from points in [0, 1] (n, 1) and values (n,); points; values."""


def processes(
    histories: Mapping[str, History], low: float, high: float, xlabel: str, ylabel: str
) -> Figure:
    """Draw process and acquisition of each method after some trials, and the next point.

    Args:
        histories: What was seen, by method.
        low: Where the axis begins.
        high: Where it ends.
        xlabel: What is searched.
        ylabel: What is maximised, on the scale of the process.
    """
    longest = min(len(x) for _, x, _ in histories.values())
    counts = sorted({max(2, n) for n in np.linspace(2, longest, 4).astype(int)})
    figure = Figure(figsize=(3.0 * len(counts), 3.2 * len(histories)), layout="constrained")
    panels = figure.subplots(
        2 * len(histories),
        len(counts),
        sharex=True,
        squeeze=False,
        height_ratios=[2, 1] * len(histories),
    )
    for row, (name, (build, x, y)) in enumerate(histories.items()):
        for column, n in enumerate(counts):
            above, below = panels[2 * row][column], panels[2 * row + 1][column]
            build_at = build((x[:n, None] - low) / (high - low), y[:n])
            _draw(above, below, build_at, low, high)
            above.set_title(f"{name}, {n} trials", fontsize=8)
        panels[2 * row][0].set_ylabel(ylabel, fontsize=7)
        panels[2 * row + 1][0].set_ylabel("log EI", fontsize=7)
    figure.supxlabel(xlabel, fontsize=9)
    return figure


def _draw(above: Axes, below: Axes, acquisition: LogEI, low: float, high: float) -> None:
    u = np.linspace(0.0, 1.0, 301)[:, None]
    x = low + (high - low) * u[:, 0]
    process = acquisition.process
    posterior = process.posterior(u)
    above.plot(x, posterior.location, color="C0", lw=1)
    band = 2 * posterior.scale
    above.fill_between(x, posterior.location - band, posterior.location + band, alpha=0.2)
    above.plot(low + (high - low) * process.X[:, 0], process.y, "ko", markersize=3)
    values = acquisition(u)
    below.plot(x, values, color="C1", lw=1)
    below.axvline(x[int(np.argmax(values))], color="0.5", lw=0.8, ls="--")
    # Far from anything of interest the logarithm falls without bound.
    below.set_ylim(values.max() - 15, values.max() + 1)
    for axes in (above, below):
        axes.tick_params(labelsize=6)
