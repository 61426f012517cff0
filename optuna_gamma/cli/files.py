"""The files that the command line writes into a run's folder: whole, or as they were before."""

from __future__ import annotations

from pathlib import Path
import uuid

from optuna_gamma.staged.checkpoint import temporary_name
from optuna_gamma.staged.directory import RunDirectory


ARTIFACTS_FOLDER = "artifacts"
METRICS_FILE = "metrics.json"
METRICS_SCHEMA_VERSION = 1
METRICS = ("accuracy", "loss", "sensitivity", "specificity", "mcc")
"""What is told of a network on one split, in this order."""

TEST_KEY = "test"
"""Study user attribute: metrics of the stage's promoted network on the test images."""


def write(path: Path, content: bytes) -> None:
    """Write a file of a run's folder; a kill at any moment leaves the old one or the new one."""
    directory = RunDirectory(path.parent)
    while True:
        # Named like a checkpoint in the making, so that it is collected if we are killed.
        aside = temporary_name(0, 0, uuid.uuid4().hex)
        try:
            directory.write(path.name, content, aside)
            return
        except FileNotFoundError:  # another worker has collected it already
            if not path.parent.is_dir():
                raise


def artifacts_folder(out: str) -> Path:
    """Return where the pictures of a run's trials are.

    Args:
        out: The run's folder, or a URL: then they are in the local folder that goes with it.
    """
    return Path(RunDirectory(out).local.path(ARTIFACTS_FOLDER))
