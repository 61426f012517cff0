"""What the documentation says of the tests is so."""

from __future__ import annotations

from pathlib import Path
import re

import pytest


TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "what-works.md"
NAMED = sorted(set(re.findall(r"`(test_\w+\.py)::(\w+)`", PAGE.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(("file", "name"), NAMED, ids=map("::".join, NAMED))
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    source = (TESTS / file).read_text(encoding="utf-8")
    assert re.search(rf"^(def|class) {name}\b", source, re.MULTILINE)


def test_some_are_named() -> None:
    assert len(NAMED) > 30
