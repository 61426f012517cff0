"""Files of finished runs: JSON, a line each, safe against being killed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read what was added; no file is no lines."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")[:-1]  # what follows the last newline is torn
    return [json.loads(line) for line in lines]


def versioned(folder: Path, name: str, version: str, is_read_only: bool) -> Path:
    """Return the file of what has a name, in its current version.

    Args:
        folder: Where the files are.
        name: What is stored.
        version: Its version now.
        is_read_only: Whether to fall back on the version stored last, if this one has no file.
    """
    path = folder / f"{name}@{version}.jsonl"
    if is_read_only and not path.exists():
        stored = folder.glob(f"{name}@*.jsonl")
        return max(stored, key=lambda p: p.stat().st_mtime, default=path)
    return path


def add_line(path: Path, content: dict[str, Any]) -> None:
    """Add a line, on disk on return.

    A process that is killed may leave a torn line at the end, which is passed over and cut off
    before the next line is added.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(content, separators=(",", ":"), ensure_ascii=False) + "\n"
    with path.open("ab+") as file:
        _cut_torn_line(file.fileno())
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def _cut_torn_line(descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    content = os.pread(descriptor, size, 0)
    if (end := content.rfind(b"\n") + 1) < size:
        os.ftruncate(descriptor, end)
