"""A version of results by the code that they depend on, whatever is said about it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
import hashlib
import io
from pathlib import Path
import tokenize


def version_of_sources(paths: Iterable[Path], digits: int) -> str:
    """Hash Python files without comments and docstrings, in the order given.

    Args:
        paths: The files; their names count, their folders do not.
        digits: Length of the version.
    """
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}\0{bare(path.read_text(encoding='utf-8'))}\0".encode())
    return digest.hexdigest()[:digits]


def bare(source: str) -> str:
    """Return a program without comments, strings that stand by themselves, and blank lines.

    Positions are used, and no syntax tree is printed: its text would differ between Pythons.
    """
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            assert node.end_lineno is not None
            for row in range(node.lineno - 1, node.end_lineno):
                lines[row] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())
