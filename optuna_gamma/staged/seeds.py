"""Seeds for the parts of a run."""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, *parts: int | str) -> int:
    """Return a seed in [0, 2³¹) for a part of a run: another one for other parts.

    >>> derive_seed(0, "stage", 1) == derive_seed(0, "stage", 1) != derive_seed(0, "stage", 2)
    True
    """
    text = "/".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
