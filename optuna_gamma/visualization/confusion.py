"""Confusion matrices side by side."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray

from optuna_gamma.visualization.style import go
from optuna_gamma.visualization.style import GREY
from optuna_gamma.visualization.style import make_subplots
from optuna_gamma.visualization.style import nothing
from optuna_gamma.visualization.style import styled
from optuna_gamma.visualization.style import text


_TITLE = "Confusion matrices"
_MAX_NUMBERED = 20
"""With more classes a cell has no room for its number."""

_SCALE = ((0.0, "rgba(59,130,208,0)"), (1.0, "rgba(31,96,178,1)"))


def plot_confusion_matrices(
    matrices: Mapping[str, ArrayLike], classes: Sequence[str] | None = None
) -> go.Figure:
    """Plot confusion matrices side by side.

    A cell's shade is the square root of its share of the true class, so that the few errors of a
    good classifier can be seen; its number counts examples.

    Args:
        matrices: By name, counts with the true classes in rows: (n, n) each.
        classes: Names of the classes, (n,); their numbers by default.

    Returns:
        The figure.

    Raises:
        ValueError: If the matrices are not square and of one size, or there are not as many names.

    Example:
        >>> figure = plot_confusion_matrices({"test": [[50, 2], [1, 47]]}, ["cat", "dog"])
        >>> figure.data[0].z.shape
        (2, 2)
    """
    counts = {name: np.asarray(matrix) for name, matrix in matrices.items()}
    shapes = {matrix.shape for matrix in counts.values()}
    if not counts:
        return nothing(_TITLE, "There are no confusion matrices.")
    [(n, *others)] = shapes if len(shapes) == 1 and shapes != {()} else [(-1, 0)]
    if others != [n] or n == 0:
        raise ValueError(f"The matrices must be square and of one size, but are {shapes}.")
    names = [str(i) for i in range(n)] if classes is None else [text(c, 20) for c in classes]
    if len(names) != n:
        raise ValueError(f"There are {n} classes, but {len(names)} names.")

    figure = make_subplots(
        1,
        len(counts),
        subplot_titles=[text(name, 40) for name in counts],
        horizontal_spacing=0.12 / len(counts),
    )
    for column, matrix in enumerate(counts.values(), 1):
        _draw(figure, column, matrix, names)
    styled(figure, _TITLE, height=min(140 + 28 * n, 900), showlegend=False)
    figure.update_annotations(font={"size": 14})
    # Positions, not names: two classes may have the same name.
    axis = {"tickmode": "array", "tickvals": list(range(n)), "ticktext": names, "showgrid": False}
    if n > _MAX_NUMBERED:
        axis = {"showgrid": False}
    figure.update_xaxes(title_text="answered", range=[-0.5, n - 0.5], constrain="domain", **axis)
    figure.update_yaxes(range=[n - 0.5, -0.5], constrain="domain", **axis)
    for column in range(1, len(counts) + 1):
        x = "" if column == 1 else str(column)
        figure.update_yaxes(scaleanchor=f"x{x}", row=1, col=column)
    figure.update_yaxes(title_text="true", row=1, col=1)
    return figure


def _draw(
    figure: go.Figure, column: int, matrix: NDArray[np.generic], names: Sequence[str]
) -> None:
    counts = matrix.astype(np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-300)
    shown = [
        [
            f"true: {names[i]}<br>answered: {names[j]}<br>{matrix[i, j]} ({shares[i, j]:.1%})"
            for j in range(len(names))
        ]
        for i in range(len(names))
    ]
    figure.add_heatmap(
        z=np.sqrt(shares),
        text=shown,
        hovertemplate="%{text}<extra></extra>",
        colorscale=_SCALE,
        zmin=0.0,
        zmax=1.0,
        showscale=False,
        xgap=1,
        ygap=1,
        row=1,
        col=column,
    )
    if len(names) > _MAX_NUMBERED:
        return
    rows, columns = np.nonzero(counts)
    figure.add_scatter(
        x=columns,
        y=rows,
        mode="text",
        text=[str(matrix[i, j]) for i, j in zip(rows, columns, strict=True)],
        textfont={
            "size": 11 if len(names) <= 12 else 9,
            "color": ["white" if s > 0.25 else GREY for s in shares[rows, columns]],
        },
        hoverinfo="skip",
        row=1,
        col=column,
    )
