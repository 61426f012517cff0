"""What the documentation says of tests, names, commands and files is so, and it can be built.

Links to other sites are not followed: whether they answer says nothing of this repository.
"""

from __future__ import annotations

from html.parser import HTMLParser
from importlib import import_module
import os
from pathlib import Path
import re
import shlex
import subprocess
import sys

import pytest


ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md")))
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
ALL = "\n".join(TEXTS.values())

NAMED = sorted(set(re.findall(r"`((?:\w+/)?test_\w+\.py)::(\w+)`", ALL)))
PUBLIC = (
    "optuna_gamma",
    "optuna_gamma.staged",
    "optuna_gamma.vision",
    "optuna_gamma.visualization",
)
COMMAND = re.compile(r"^(?:python -m )?(optuna-gamma|benchmarks) (.+)$")


@pytest.mark.parametrize(("file", "name"), NAMED, ids=map("::".join, NAMED))
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    source = (TESTS / file).read_text(encoding="utf-8")
    assert re.search(rf"^(def|class) {name}\b", source, re.MULTILINE)


def test_some_are_named() -> None:
    assert len(NAMED) > 45


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_in_the_reference(module: str) -> None:
    if module.endswith("vision"):
        pytest.importorskip("torch", reason="needs pip install 'optuna-gamma[train]'")
    if module.endswith("visualization"):
        pytest.importorskip("plotly", reason="needs pip install 'optuna-gamma[dashboard]'")
    shown = re.findall(r"^::: (\S+)\.(\w+)$", TEXTS[ROOT / "docs/reference.md"], re.MULTILINE)
    described = [getattr(import_module(home), name) for home, name in shown]
    public = import_module(module)
    missing = [name for name in public.__all__ if getattr(public, name) not in described]
    assert missing == []


def commands() -> list[tuple[str, str]]:
    """Find what the pages show of our commands: in consoles, a line each, and in the text."""
    consoles = re.findall(r"```console\n(.*?)```", ALL, re.DOTALL)
    lines = [line for block in consoles for line in block.replace("\\\n", " ").splitlines()]
    typed = [
        re.sub(r"^\$ (?:[A-Z_]+=\S+ )*| +#.*", "", line) for line in lines if line[0:2] == "$ "
    ]
    spans = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", ALL, flags=re.DOTALL))
    found = [COMMAND.match(" ".join(line.split())) for line in (*typed, *spans)]
    return sorted({(match[1], match[2]) for match in found if match})


@pytest.mark.parametrize(("program", "line"), commands(), ids=map(" ".join, commands()))
def test_a_command_that_is_shown_exists(program: str, line: str) -> None:
    typer = pytest.importorskip("typer", reason="needs pip install 'optuna-gamma[cli]'")
    home = {"optuna-gamma": "optuna_gamma.cli.app", "benchmarks": "benchmarks.__main__"}[program]
    command = typer.main.get_command(import_module(home).app)
    words = shlex.split(line)
    if words[0] in command.commands:
        command = command.commands[words.pop(0)]
    else:
        assert words[0].startswith("-"), f"there is no command {words[0]!r}"
    options = {name for parameter in command.params for name in parameter.opts}
    asked = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert asked - options <= {"--help", "-h"}


def test_some_commands_are_shown() -> None:
    assert len(commands()) > 30


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_files_that_are_linked_exist(page: str) -> None:
    """Those of the other pages are checked when the site is built."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", TEXTS[ROOT / page])
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_pictures_are_those_that_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs pip install 'optuna-gamma[train]'")
    subprocess.run([sys.executable, ROOT / "docs/pictures.py", tmp_path], check=True, cwd=ROOT)
    drawn = {path.name for path in tmp_path.glob("*.svg")}
    shown = set(re.findall(r"img/(\w+\.svg)\)", ALL))
    assert drawn == shown
    assert all((ROOT / "docs/img" / name).exists() for name in drawn)


class Loaded(HTMLParser):
    """Collects what a page loads by itself."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.urls += [given["src"] or ""] if "src" in given else []
        if tag == "link" and given.get("rel") != "canonical":
            self.urls.append(given["href"] or "")


def test_the_site_is_built_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="needs pip install 'optuna-gamma[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "-d", tmp_path]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) > 15
    elsewhere = {u for page in pages for u in Loaded(page).urls if re.match(r"(https?:)?//", u)}
    assert elsewhere == set()
    prior = (tmp_path / "concepts/gamma-prior/index.html").read_text(encoding="utf-8")
    assert prior.count("<math") > 30
    assert r"\(" not in prior
    reference = (tmp_path / "reference/index.html").read_text(encoding="utf-8")
    assert not re.search(r":(class|meth|func|data|obj|math):|\.\. \w+::|\\\(", reference)


def test_as_many_aims_are_met_as_is_said() -> None:
    measured = (ROOT / "benchmarks/results/samplers-verdict-cpu.md").read_text(encoding="utf-8")
    marks = re.findall(r"\| (yes|no) \|$", measured, re.MULTILINE)
    for page in ("README.md", "docs/benchmarks.md"):
        said = re.findall(r"(\d+) of (\d+) aims\b[^.]* are met", TEXTS[ROOT / page])
        assert said == [(str(marks.count("yes")), str(len(marks)))], page
