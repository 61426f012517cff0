"""A last line that tells whether a text file is whole. Imports nothing heavy."""

from __future__ import annotations

import hashlib


_SEAL = "# sha256: "


def seal_text(text: str) -> str:
    """Add a last line, a comment in TOML, with the SHA-256 of those before it."""
    return f"{text}{_SEAL}{hashlib.sha256(text.encode()).hexdigest()}\n"


def unseal_text(sealed: str) -> str:
    """Return what :func:`seal_text` was given.

    Raises:
        ValueError: If a single bit of it, or of its seal, has changed.
    """
    text = sealed[: sealed.rfind(_SEAL)]
    if seal_text(text) != sealed:
        raise ValueError(
            "it is damaged, or was edited: it is not what its last line, a checksum, was made "
            "for. Give all options of the run, --trials and --epochs-per-stage among them, to "
            "`optuna-gamma train`, which writes the file anew"
        )
    return text
