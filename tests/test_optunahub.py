"""What is to be handed to OptunaHub's registry loads, works and is as the registry asks."""

from __future__ import annotations

import inspect
from pathlib import Path
import re
import subprocess
import sys

from packaging.specifiers import SpecifierSet
import pytest
import yaml

import optuna_gamma


optunahub = pytest.importorskip("optunahub", reason="needs pip install optunahub")

REGISTRY = Path(__file__).parents[1] / "optunahub"
PACKAGE = REGISTRY / "package" / "samplers" / "gamma_bo"
README = (PACKAGE / "README.md").read_text(encoding="utf-8")

# `load_module` fetches from GitHub; what is loaded here is what it will fetch.
OFFLINE = f"""
import functools
import optunahub
optunahub.load_module = functools.partial(
    optunahub.load_local_module, registry_root={str(REGISTRY / "package")!r}
)
"""


def python(*arguments: str, cwd: Path = REGISTRY) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_loads() -> None:
    module = optunahub.load_local_module(
        "samplers/gamma_bo", registry_root=str(REGISTRY / "package")
    )
    assert module.GammaBOSampler is optuna_gamma.GammaBOSampler
    assert module.GammaPrior is optuna_gamma.GammaPrior
    assert sorted(module.__all__) == ["GammaBOSampler", "GammaPrior"]


def test_all_files_are_there() -> None:
    files = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files == {
        *("README.md", "LICENSE", "__init__.py", "example.py", "requirements.txt"),
        "tests/test_gamma_bo.py",
    }
    root = REGISTRY.parent
    assert (PACKAGE / "LICENSE").read_text() == (root / "LICENSE").read_text()
    assert (PACKAGE / "requirements.txt").read_text().split() == ["optuna-gamma"]


def test_the_example_runs(tmp_path: Path) -> None:
    script = (
        OFFLINE
        + f"""
import runpy
runpy.run_path({str(PACKAGE / "example.py")!r}, run_name="__main__")
"""
    )
    best = python("-c", script, cwd=tmp_path)
    assert "'kind': 'round'" in best
    assert float(best.split()[-1]) < 0.1


def test_the_code_in_the_readme_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 1
    assert "'kind': 'round'" in python("-c", OFFLINE + blocks[0], cwd=tmp_path)


def test_its_own_tests_pass() -> None:
    # With the configuration beside them, not with ours.
    command = "-m pytest -q -p no:cacheprovider -c pyproject.toml package/samplers/gamma_bo"
    assert re.search(r"\b1\d\d passed", python(*command.split()))


def test_front_matter() -> None:
    _, head, body = README.split("---\n", 2)
    fields = yaml.safe_load(head)
    assert list(fields) == [
        *("author", "title", "description", "tags", "optuna_versions", "license")
    ]
    assert all(fields.values())
    assert fields["tags"][0] == "sampler"
    assert all(isinstance(tag, str) for tag in fields["tags"])
    assert fields["license"] == "MIT License"
    assert all(str(version) in SpecifierSet(">=5.0") for version in fields["optuna_versions"])
    headings = re.findall(r"^## (.*)$", body, re.MULTILINE)
    assert headings == ["Abstract", "APIs", "Installation", "Example", "Others"]
    assert not re.search(r"<[a-zA-Z/!]", body)  # the registry's site removes HTML


@pytest.mark.parametrize("name", ["GammaBOSampler", "GammaPrior"])
def test_the_readme_names_all_arguments(name: str) -> None:
    parameters = inspect.signature(getattr(optuna_gamma, name)).parameters
    said = re.search(rf"^- `{name}\((.*)\)`$", README, re.MULTILINE)
    assert said
    pairs = [f"{p.name}={p.default!r}".replace("'", '"') for p in parameters.values()]
    assert said[1].removeprefix("*, ").split(", ") == pairs
    assert all(f"  - `{parameter}: " in README for parameter in parameters)


# The registry's checks, .pre-commit-config.yaml and header_confirm.py at
# https://github.com/optuna/optunahub-registry, with its settings. Its mypy sees no other packages.
@pytest.mark.parametrize(
    "command",
    [
        "ruff check --no-cache .",
        "ruff format --no-cache --check .",
        "mypy --no-site-packages --cache-dir=/dev/null package/samplers/gamma_bo",
        "mdformat --check package/samplers/gamma_bo/README.md",
    ],
    ids=lambda command: command.split()[0],
)
def test_the_checks_of_the_registry_pass(command: str) -> None:
    pytest.importorskip(command.split()[0], reason=f"needs pip install {command.split()[0]}")
    python("-m", *command.split())
