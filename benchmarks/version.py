"""A version of results by what the code does, not by how it is written."""

from __future__ import annotations

from collections.abc import Callable
import hashlib
from importlib.metadata import version as package_version

import torch


def version_of(run: Callable[[], object]) -> str:
    """Hash what some tiny runs come to, with the versions of the libraries.

    Not the sources: hours of training need not be repeated because a sentence was changed.

    Args:
        run: Does them, on one thread as where the runs are, and returns what has a ``repr`` that
            tells results apart.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seen = run()
    finally:
        torch.set_num_threads(threads)
    digest = hashlib.sha256(repr(seen).encode()).hexdigest()[:6]
    return f"torch-{package_version('torch')}+optuna-{package_version('optuna')}+{digest}"
