from __future__ import annotations

import io
from pathlib import Path
import tokenize

import pytest

from benchmarks.sources import bare
from benchmarks.sources import version_of_sources
import optuna_gamma


PROGRAM = '''
"""What it is for."""

LIMIT = 3  # of something
"""Its meaning,
on two lines."""


def f(x: str) -> str:
    """Say it."""
    # Loudly.
    return f"# {x} is no comment" """ and neither "# this" """
'''


def test_what_is_said_about_a_program_is_taken_off() -> None:
    assert bare(PROGRAM).splitlines() == [
        "LIMIT = 3",
        "def f(x: str) -> str:",
        '    return f"# {x} is no comment" """ and neither "# this" """',
    ]


def _words(source: str) -> list[list[str]]:
    """Return the words of each statement's line, comments and lone strings left out."""
    found: list[list[str]] = [[]]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING):
            found[-1].append(token.string)
        elif token.type == tokenize.NEWLINE:
            found.append([])
    return [line for line in found if line and not (len(line) == 1 and line[0].endswith('"'))]


@pytest.mark.parametrize("path", sorted(Path(optuna_gamma.__file__).parent.glob("bo/*.py")))
def test_nothing_else_is(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert _words(bare(source)) == _words(source)


def test_a_version_changes_with_code_and_names_alone(tmp_path: Path) -> None:
    def version(source: str, name: str = "a.py") -> str:
        path = tmp_path / name
        path.write_text(source, encoding="utf-8")
        return version_of_sources([path], 8)

    first = version(PROGRAM)
    assert version(PROGRAM.replace("for.", "for, and why.").replace("Loudly", "Quietly")) == first
    assert version(PROGRAM.replace("LIMIT = 3", "LIMIT = 4")) != first
    assert version(PROGRAM.replace("no comment", "none")) != first
    assert version(PROGRAM, "b.py") != first
    assert len(first) == 8
