"""What the tables have in common: differences, and the files that are written."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.record import markdown
from benchmarks.record import Record
from benchmarks.thesis.analysis import differences
from benchmarks.thesis.analysis import verdict
from benchmarks.thesis.published import Row
from benchmarks.thesis.setting import Images


PROTOCOLS = (
    "validation: the accuracy on the images that chose, in percent, which is what the thesis "
    "reports; test: the same networks on images that chose nothing. ± is half of Student's 95 % "
    "interval over seeds."
)

VERDICTS = (
    "Paired by seed. reproduced: the interval excludes 0 on the side where the thesis's "
    "difference is; contradicted: on the other side, or the thesis has a tie. Blank where the "
    "thesis has no such figures."
)


def contrast(
    place: Mapping[str, Any],
    pair: tuple[Row, Row],
    printed: Mapping[Row, float],
    valid: tuple[Sequence[float], Sequence[float]],
    test: tuple[Sequence[float], Sequence[float]],
) -> dict[str, Any]:
    """Make the row of a difference.

    Args:
        place: The first columns.
        pair: What is compared, and with what.
        printed: The thesis's accuracies in percent.
        valid: Ours on the images that chose, of both, in the order of the seeds.
        test: Ours on the others.
    """
    left, right = pair
    said = printed[left] - printed[right] if left in printed and right in printed else None
    row = {
        **place,
        "difference": f"{' '.join(left)} − {' '.join(right)}",
        "thesis": "" if said is None else f"{said:+.1f}",
    }
    for name, accuracies in (("validation", valid), ("test", test)):
        mean = differences(*accuracies)
        row[name] = str(mean)
        row[f"verdict on {name}"] = "" if said is None else verdict(said, mean)
    return row


def listed(rates: Iterable[float]) -> str:
    """Write learning rates in one cell."""
    return " ".join(f"{rate:.3f}" for rate in rates)


def describe(images: Images) -> str:
    """Say what was trained on what."""
    test = images.n_test or "all"
    return (
        f"{images.dataset}, {images.model}: {images.n_train} images to train, {images.n_valid} "
        f"that choose, {test} to test."
    )


_ONLY_IN_JSON = ("Sens", "Spec", "loss", "test Sens", "test Spec", "test loss")


def save(
    name: str,
    title: str,
    rows: Sequence[Mapping[str, Any]],
    seeds: Sequence[int],
    notes: str,
    out: Path,
    figure: Figure | None = None,
) -> None:
    """Write NAME.json with all columns, NAME.md with most, and NAME.png if there is a figure."""
    Record(name, title, rows, seeds, packages=("torch",), notes=notes).save(out, figure)
    shown = [{k: v for k, v in row.items() if k not in _ONLY_IN_JSON} for row in rows]
    (out / f"{name}.md").write_text(f"{markdown(shown)}\n\n{notes}\n")


def write(figure: Figure, path: Path) -> None:
    """Write a picture that has no table."""
    figure.savefig(path, dpi=110)
    print(f"Written: {path}")
