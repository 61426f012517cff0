from __future__ import annotations

from pathlib import Path
import re
import subprocess
import sys

import pytest


ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


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


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "docs/guides/images.md",
        "docs/guides/long-runs.md",
        "docs/guides/reading-a-run.md",
    ],
)
def test_code_in_the_documentation_runs(name: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
    assert len(blocks) >= 3
    run("-c", "\n".join(blocks), cwd=tmp_path)
