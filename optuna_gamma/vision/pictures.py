"""Pictures of a staged training for reports: matplotlib, without a display, legible in grey."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.ticker import PercentFormatter
import numpy as np
from numpy.typing import NDArray
from torch import Tensor


_MAX_NUMBERED_CLASSES = 20

_MISTAKES, _COLUMNS = 20, 5
"""How many misclassified images are shown, and how many beside each other."""


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
        rotation = 90 if max(map(len, classes)) > 2 else 0
        axes.set_xticks(range(n), classes, rotation=rotation, parse_math=False)
        axes.set_yticks(range(n), classes, parse_math=False)
    axes.set_xlabel("answered")
    axes.set_ylabel("true")
    axes.set_title(title, parse_math=False)
    return figure


def mistakes_picture(
    images: Tensor, labels: Tensor, logits: Tensor, classes: Sequence[str], title: str = ""
) -> Figure | None:
    """Draw misclassified images, those first where the network was surest of its answer.

    Args:
        images: ``(n, channels, height, width)``, in any units: brightness runs from the smallest
            number of those shown to the largest.
        labels: True classes, ``(n,)``.
        logits: The network's answers, ``(n, n_classes)``.
        classes: Names of the classes.
        title: Heading; how many there are of how many follows it.

    Returns:
        The figure, which belongs to no window; :obj:`None` if no image is misclassified.
    """
    shares, answers = logits.float().softmax(dim=1).max(dim=1)
    wrong = (answers != labels).nonzero()[:, 0]
    if len(wrong) == 0:
        return None
    shown = wrong[shares[wrong].argsort(descending=True, stable=True)][:_MISTAKES]
    tiles = images[shown].float().cpu().permute(0, 2, 3, 1).numpy()  # (m, height, width, channels)
    tiles = tiles if tiles.shape[3] == 3 else tiles.mean(axis=3, keepdims=True).repeat(3, axis=3)
    tiles = (tiles - tiles.min()) / max(np.ptp(tiles), 1e-12)
    height, width = tiles.shape[1:3]
    down, right = round(1.4 * height), round(1.15 * width)  # from a tile to the next
    n_rows = -(-len(tiles) // _COLUMNS)
    mosaic = np.ones((n_rows * down, _COLUMNS * right, 3))
    figure = Figure(figsize=(7.2, 0.3 + 7.2 * mosaic.shape[0] / mosaic.shape[1]))
    axes = figure.add_axes((0.01, 0.0, 0.98, 1 - 0.3 / figure.get_figheight()))
    places = zip(tiles, labels[shown], answers[shown], shares[shown], strict=True)
    for k, (tile, label, answer, share) in enumerate(places):
        top, left = k // _COLUMNS * down + down - height, k % _COLUMNS * right
        mosaic[top : top + height, left : left + width] = tile
        said = f"{classes[label]}\n→ {classes[answer]} ({share:.0%})"
        axes.text(
            left - 0.5,
            top - 0.5 - 0.03 * height,
            said,
            fontsize=7.5,
            va="bottom",
            parse_math=False,
        )
    axes.imshow(mosaic, interpolation="nearest")
    axes.set_axis_off()
    said = f"{title}{len(wrong):,} of {len(labels):,} misclassified: class → answer (share)"
    figure.text(
        0.01, 1 - 0.08 / figure.get_figheight(), said, fontsize=11, va="top", parse_math=False
    )
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
