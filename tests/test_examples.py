from __future__ import annotations

from pathlib import Path
import re
import subprocess
import sys

import pytest


ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def code(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


PAGES = [p for p in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))) if code(p)]


def run(*command: str, cwd: Path) -> str:
    result = subprocess.run(
        [sys.executable, *command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path: Path, tmp_path: Path) -> None:
    output = run(str(path), cwd=tmp_path)
    assert float(re.findall(r"accuracy ([\d.]+)", output)[-1]) > 0.9


def test_an_example_run_again_resumes(tmp_path: Path) -> None:
    path = str(ROOT / "examples" / "staged_pytorch.py")
    assert run(path, cwd=tmp_path) == run(path, cwd=tmp_path)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_in_the_documentation_runs(path: Path, tmp_path: Path) -> None:
    """All blocks of a page in one process, after what the page takes for granted, if anything."""
    prologue = ROOT / "tests" / "prologues" / f"{path.stem}.py"
    blocks = [prologue.read_text(encoding="utf-8")] if prologue.exists() else []
    run("-c", "\n".join([*blocks, *code(path)]), cwd=tmp_path)


def test_code_is_found_everywhere() -> None:
    assert len(PAGES) >= 12
    prologues = {path.stem for path in (ROOT / "tests" / "prologues").glob("*.py")}
    assert prologues <= {path.stem for path in PAGES}
