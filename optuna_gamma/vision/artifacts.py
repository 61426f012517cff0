"""Pictures of what trials have learned, as Optuna's artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
import optuna
from optuna.artifacts import upload_artifact
from optuna.artifacts.exceptions import ArtifactNotFound
from PIL import Image
from PIL import ImageDraw
from torch import Tensor

from optuna_gamma.vision.data import Dataset
from optuna_gamma.vision.metrics import classification_metrics
from optuna_gamma.vision.pictures import confusion_picture
from optuna_gamma.vision.pictures import mistakes_picture


if TYPE_CHECKING:
    from optuna.artifacts._protocol import ArtifactStore

_logger = optuna.logging.get_logger(f"optuna.{__name__}")

CONFUSION_FILE = "confusion-matrix.png"
MISTAKES_FILE = "misclassified.png"

_PREFIX = "artifacts:"
"""Of the system attributes by which Optuna and optuna-dashboard know a trial's artifacts. Optuna's
own reader cannot read those of artifacts that were deleted in the dashboard."""

_DPI = 100

_NOTICE = (130, 160)
"""Size in pixels of what is left of a picture: legible where it is shown as small as that."""


def attach_pictures(
    store: ArtifactStore, trial: optuna.Trial, data: Dataset, logits: Tensor
) -> None:
    """Make a confusion matrix and misclassified images artifacts of a trial that is running.

    A trial that was taken over from a dead worker may have them: then they are replaced. Where
    they cannot be drawn or written, as on a full disk, a warning says so: the training goes on.

    Args:
        store: Where they are written.
        trial: The trial.
        data: The images.
        logits: The answers to the validation images, ``(n, n_classes)``.
    """
    images, labels = data.valid
    metrics = classification_metrics(logits, labels)
    title = f"{metrics.accuracy:.2%} of {len(labels):,} validation images right"
    try:
        figures = {CONFUSION_FILE: confusion_picture(metrics.confusion, data.classes, title)}
        mistakes = mistakes_picture(images, labels, logits, data.classes, "Validation images: ")
        if mistakes is not None:
            figures[MISTAKES_FILE] = mistakes
        _attach(store, trial, figures)
    except (OSError, ValueError) as error:
        _logger.warning(f"The pictures of trial {trial.number} cannot be written: {error}")


def _attach(store: ArtifactStore, trial: optuna.Trial, figures: Mapping[str, Figure]) -> None:
    known = _ours(trial.storage.get_trial_system_attrs(trial._trial_id))
    with TemporaryDirectory() as folder:
        for name, figure in figures.items():
            path = Path(folder) / name
            figure.savefig(path, dpi=_DPI)
            if name in known:
                with path.open("rb") as file:
                    store.write(known[name], file)
            else:
                upload_artifact(artifact_store=store, file_path=str(path), study_or_trial=trial)


def drop_pictures(store: ArtifactStore, study: optuna.Study, promoted: int) -> None:
    """Delete the pictures of the trials that were not promoted, of a stage that is over.

    Optuna lists an artifact for ever. What is left of each is a line that says why there is no
    more to see. Artifacts of others stay.

    Args:
        store: Where the pictures are.
        study: The study of the stage.
        promoted: Number of the trial that was promoted.
    """
    try:
        for trial in study.get_trials(deepcopy=False):
            if trial.number != promoted:
                for artifact_id in _ours(trial.system_attrs).values():
                    if _read(store, artifact_id) != _dropped():
                        store.write(artifact_id, io.BytesIO(_dropped()))
    except (OSError, ValueError, TypeError, KeyError) as error:  # others may write to the storage
        _logger.warning(f"Pictures of {study.study_name} cannot be deleted: {error!r}")


def _ours(system_attrs: Mapping[str, Any]) -> dict[str, str]:
    """Return the ids of a trial's pictures by their names, but for those that someone deleted."""
    metas = (json.loads(v) for key, v in system_attrs.items() if key.startswith(_PREFIX))
    return {
        meta["filename"]: meta["artifact_id"]
        for meta in metas
        if meta is not None and meta["filename"] in (CONFUSION_FILE, MISTAKES_FILE)
    }


def _read(store: ArtifactStore, artifact_id: str) -> bytes | None:
    try:
        with store.open_reader(artifact_id) as reader:
            return reader.read()
    except ArtifactNotFound:  # its writer was killed
        return None


@cache
def _dropped() -> bytes:
    picture = Image.new("L", _NOTICE, "white")
    ImageDraw.Draw(picture).text(
        (20, 60), "Not promoted:\nits pictures\nare not kept.", fill="black"
    )
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()
