"""Pictures of a staged training for reports: matplotlib, without a display, legible in grey."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.ticker import PercentFormatter
import numpy as np
from numpy.typing import NDArray


_MAX_NUMBERED_CLASSES = 20


def confusion_picture(
    confusion: NDArray[np.int64], classes: Sequence[str], title: str = ""
) -> Figure:
    """Draw a confusion matrix: shade is the share of the true class, numbers are images.

    Args:
        confusion: Number of images, true classes in rows: ``(n_classes, n_classes)``.
        classes: Names of the classes.
        title: Heading.

    Returns:
        The figure, which belongs to no window; ``figure.savefig(path)`` writes it.
    """
    n = len(classes)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    side = min(max(0.45 * n + 1.6, 4.0), 16.0)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    # The square root keeps the few errors of a good network visible beside the diagonal.
    axes.imshow(np.sqrt(shares), cmap="Greys", vmin=0.0, vmax=1.0)
    if n <= _MAX_NUMBERED_CLASSES:
        for row, column in zip(*np.nonzero(confusion), strict=True):
            axes.text(
                column,
                row,
                str(confusion[row, column]),
                ha="center",
                va="center",
                fontsize=9,
                color="white" if shares[row, column] > 0.3 else "black",
            )
        axes.set_xticks(range(n), classes, rotation=90 if max(map(len, classes)) > 2 else 0)
        axes.set_yticks(range(n), classes)
    axes.set_xlabel("answered")
    axes.set_ylabel("true")
    axes.set_title(title)
    return figure


def schedule_picture(
    rates: Sequence[float],
    tried: Sequence[Sequence[float]],
    accuracies: Mapping[str, Sequence[float | None]],
    epochs: Sequence[int],
) -> Figure:
    """Draw the learned schedule: the chosen learning rates above, what they gave below.

    Args:
        rates: The learning rate of each stage's promoted trial.
        tried: The learning rates of all trials of each stage.
        accuracies: Accuracy after each stage in [0, 1], by the name of the split; :obj:`None`
            where it is not known.
        epochs: Number of epochs of each stage.

    Returns:
        The figure, which belongs to no window.
    """
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    edges = np.cumsum([0, *epochs])
    for start, stop, candidates in zip(edges[:-1], edges[1:], tried, strict=True):
        x = np.full(len(candidates), (start + stop) / 2)
        label = "tried" if start == 0 else None
        above.plot(x, candidates, "o", color="0.6", markersize=4, label=label)
    above.stairs(rates, edges, baseline=None, color="black", linewidth=2, label="promoted")
    above.set_yscale("log")
    above.set_ylabel("learning rate")
    above.legend()
    for (name, values), style in zip(accuracies.items(), ("o-", "s--", "^:"), strict=False):
        known = [np.nan if value is None else value for value in values]
        below.plot(edges[1:], known, style, color="black", markersize=5, label=name, clip_on=False)
    below.yaxis.set_major_formatter(PercentFormatter(1.0))
    below.set_ylabel("accuracy")
    below.set_xlabel("epochs of the promoted network")
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    below.set_xlim(0, edges[-1])
    below.legend(loc="lower right")
    for axes in (above, below):
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
    return figure
