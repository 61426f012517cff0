from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import re
import subprocess
import sys

import pytest


ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples"


def code(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


PAGES = [p for p in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))) if code(p)]


def run(*command: str, cwd: Path, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def example(tmp_path: Path) -> Callable[..., str]:
    """Run an example in an empty folder and return what it prints."""

    def example(name: str, **environment: str) -> str:
        return run(str(FOLDER / f"{name}.py"), cwd=tmp_path, **environment)

    return example


def numbers(pattern: str, output: str) -> list[float]:
    found = [float(number) for number in re.findall(pattern, output)]
    assert found, output
    return found


def accuracies(output: str) -> list[float]:
    return numbers(r"accuracy ([\d.]+)", output)


def test_sampler(example: Callable[..., str]) -> None:
    assert accuracies(example("sampler"))[0] > 0.9


def test_constraints(example: Callable[..., str]) -> None:
    output = example("constraints")
    [(nodes, allowed)] = re.findall(r"(\d+) nodes of (\d+)", output)
    assert 0 < int(nodes) <= int(allowed)
    assert numbers(r"(\d+) of 30 forests were too large", output)[0] > 0
    assert accuracies(output)[0] > 0.9


def test_several_objectives(example: Callable[..., str]) -> None:
    output = example("several_objectives")
    front = [
        (float(accuracy), int(nodes))
        for accuracy, nodes in re.findall(r"^ *([\d.]+) +(\d+) +{", output, re.MULTILINE)
    ]
    assert len(front) > 3
    assert front == sorted(front)
    assert [nodes for _, nodes in front] == sorted({nodes for _, nodes in front})


def test_parallel_workers(example: Callable[..., str]) -> None:
    output = example("parallel_workers")
    assert numbers(r"process \d+: (\d+) trials", output) == [8, 8, 8]
    assert "24 trials, 24 different ones" in output
    assert accuracies(output)[0] > 0.95


def test_sklearn_tuning(example: Callable[..., str]) -> None:
    output = example("sklearn_tuning")
    assert numbers(r"(\d+) of 30 trials were pruned", output)[0] > 0
    assert accuracies(output)[0] > 0.95


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("staged_pytorch", "torch"),
        ("staged_lightning", "lightning"),
        ("staged_hugging_face", "transformers"),
        ("staged_partial_fit", "sklearn"),
        ("own_dataset", "torchvision"),
    ],
)
def test_staged(example: Callable[..., str], name: str, package: str) -> None:
    pytest.importorskip(package, reason='needs pip install -e ".[dev]"')
    output = example(name)
    first, second = numbers(r"stage \d: .*kappa (\d+)", output)
    assert second > first > 0
    assert accuracies(output)[0] > 0.85
    if package in ("torch", "sklearn"):  # the others take long to import
        assert example(name) == output


def test_learned_schedule(example: Callable[..., str]) -> None:
    output = example("learned_schedule")
    short, long = (numbers(rf"\b{n} epochs with lr ([\d.]+)", output) for n in (5, 45))
    assert short == long
    assert len(set(short)) == 2
    assert len(accuracies(output)) == 3
    assert min(accuracies(output)) > 0.9


def test_postgresql(example: Callable[..., str], database: str, tmp_path: Path) -> None:
    """A run that is killed half-way and run again comes to what a run left alone comes to."""
    command = [sys.executable, str(FOLDER / "postgresql.py")]
    killed = {"cwd": tmp_path, "env": {**os.environ, "STORAGE": database}}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **killed) as process:
        assert process.stdout is not None
        for _ in range(8):
            assert "trial" in process.stdout.readline()
        process.kill()
        assert "accuracy" not in process.stdout.read()
    resumed = example("postgresql", STORAGE=database)
    assert "stage-000" not in resumed
    assert "stage-002" in resumed
    (tmp_path / "runs").rename(tmp_path / "killed")
    alone = example("postgresql", STORAGE=f"sqlite:///{tmp_path}/alone.db")
    assert "stage-000" in alone
    assert resumed.splitlines()[-4:] == alone.splitlines()[-4:]
    assert accuracies(alone)[0] > 0.9


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_says_what_it_needs_and_is_in_the_documentation(path: Path) -> None:
    docstring = path.read_text(encoding="utf-8").split('"""')[1]
    assert f"python examples/{path.name}" in docstring
    assert "``pip install " in docstring
    page = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    assert f'--8<-- "examples/{path.name}"' in page


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
