"""``optuna-gamma report``: what it says, and that the page does and loads nothing else."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
import json
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
from typing import Any

import optuna
import pytest
from typer.testing import CliRunner
from typer.testing import Result

from optuna_gamma.cli.app import app
from optuna_gamma.staged import create_staged_study
from optuna_gamma.staged import Stage
from optuna_gamma.staged import StagedStudy


EVIL = "</script><script>alert(1)</script>"
WORSE = '<img src="http://evil.invalid/a.png" onerror="alert(2)">'


def objective(trial: optuna.Trial, stage: Stage) -> float:
    value = trial.suggest_float("rate", 0.1, 1.0, log=True)
    trial.report(value, 1)
    stage.save(trial, {})
    if trial.number == 1:
        raise optuna.TrialPruned
    if trial.number == 2:
        trial.set_user_attr("failure", "diverged in epoch 1")
        return float("nan")
    return value - stage.number


def evil(trial: optuna.Trial, stage: Stage) -> float:
    value = trial.suggest_float(EVIL, 0.0, 1.0)
    trial.suggest_categorical(WORSE, [f"{WORSE}1", "$x$", "%{y}"])
    trial.set_user_attr(EVIL, WORSE)
    trial.report(value, 1)
    stage.save(trial, {})
    if trial.number == 2:
        raise ArithmeticError(f"{EVIL} {WORSE}")
    return value


Make = Callable[..., tuple[StagedStudy, Path]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a run in Python, which has no ``config.toml``."""

    def make(n_stages: int, n_trials: int, f: Any = objective, name: str = "mine") -> Any:
        staged = create_staged_study(study_name=name, directory=tmp_path / "run")
        if n_trials:
            staged.optimize(f, n_stages, n_trials, catch=ArithmeticError)
        return staged, tmp_path / "run"

    return make


def report(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["report", *arguments])


def written(folder: Path, *options: str) -> str:
    result = report(str(folder), *options)
    assert result.exit_code == 0, result.output
    return Path(result.stdout.strip()).read_text()


class _Page(HTMLParser):
    """Tags with their attributes, the text a person reads, and the figures."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.figures: list[dict[str, Any]] = []
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = "figure" if "data-figure" in dict(attrs) else tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "figure":
            self.figures.append(json.loads(data))
        elif self._inside not in ("script", "style"):
            self.words.append(data)

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_a_run_of_the_command_line(finished: tuple[Path, Result], tmp_path: Path) -> None:
    folder, _ = finished
    metrics = json.loads((folder / "metrics.json").read_text())
    page = _Page(written(folder, "--to", str(tmp_path / "new" / "page.html")))
    assert "2 of 2 stages finished." in page.said
    assert "deep-conv was trained on 100 images of digits, with 60 more to choose by" in page.said
    spent, kept = metrics["epochs_spent"], metrics["epochs_kept"]
    assert f"{spent} epochs in all, of which {kept} made the network" in page.said
    for split in ("test", "valid"):
        assert f"{metrics['final'][split]['accuracy']:.2%}" in page.said
    for stage in metrics["stages"]:
        assert f"{stage['params']['lr']:.5g}" in page.said
        assert f"{stage['value']:.5g}" in page.said
    heatmaps = [f for f in page.figures if f["data"] and f["data"][0]["type"] == "heatmap"]
    assert len(heatmaps) >= 2
    assert 'sampler = "gamma"' in page.said
    assert not (folder / "report.html").exists()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["page.html"]


def test_a_run_in_python(make: Make) -> None:
    staged, folder = make(3, 6)
    page = _Page(written(folder))
    assert (folder / "report.html").exists()
    said = page.said
    assert "3 of 3 stages finished." in said
    assert "3 of 18 trials failed: diverged in epoch 1 (3 times)." in said
    assert "3 of 18 trials were pruned." in said
    assert "The value got worse in stage 2" in said
    last = staged.schedule[-1]
    assert f"trial {last.trial_number} of stage 3, has the value {last.value:.5g}" in said
    assert "measure it on data that nothing was chosen by" in said
    assert len(page.figures) == 6
    assert not [name for name in os.listdir(folder / "checkpoints") if "tmp" in name]


def test_epochs_of_a_run_without_a_search_had_no_price(make: Make, tmp_path: Path) -> None:
    seen: list[str] = []

    def training(trial: optuna.Trial, stage: Stage) -> float:
        if trial.number:
            seen.append(_Page(written(folder)).said)
        trial.set_user_attr("epochs", 3)
        stage.save(trial, {})
        return trial.suggest_float("rate", 0.1, 1.0)

    staged, folder = make(2, 0)
    staged.optimize(training, 1, 2)
    assert "1 trial finished, 3 epochs in all, none of them promoted yet." in seen[0]
    said = _Page(written(folder)).said
    assert "6 epochs in all, of which 3 made the network: the others were the price" in said
    staged = create_staged_study(study_name="other", directory=tmp_path / "other")
    staged.optimize(training, 2, 1)
    said = _Page(written(tmp_path / "other")).said
    assert "2 trials finished, 6 epochs in all, which all made the network." in said


def test_a_promoted_value_at_the_end_of_its_range_is_told(make: Make) -> None:
    def at_the_end(trial: optuna.Trial, stage: Stage) -> float:
        stage.save(trial, {})
        return trial.suggest_int("n", 1, 2, log=True)

    _, folder = make(1, 3, at_the_end)
    said = _Page(written(folder)).said
    assert "n was promoted at the upper end of its range in stage 1" in said


def test_while_the_run_goes_on(make: Make) -> None:
    staged, folder = make(1, 0)
    page = _Page(written(folder))
    assert "No trial was begun yet." in page.said
    assert not page.figures
    seen: list[str] = []

    def looking(trial: optuna.Trial, stage: Stage) -> float:
        if (stage.number, trial.number) in ((0, 0), (0, 1), (1, 4)):
            seen.append(_Page(written(folder)).said)
        return objective(trial, stage)

    staged.optimize(looking, 2, 5)
    assert ["0 of 2 stages finished; 1 trial running" in said for said in seen[:2]] == [True, True]
    assert "1 of 2 stages finished; 1 trial running" in seen[2]
    assert "No stage is finished yet, so nothing is promoted." in seen[1]


def test_metrics_of_the_run_before_it_was_extended_are_not_shown(
    finished: tuple[Path, Result], tmp_path: Path
) -> None:
    from optuna_gamma.staged.sealed import seal
    from optuna_gamma.staged.sealed import unseal

    folder = tmp_path / "run"
    shutil.copytree(finished[0], folder)
    metrics = unseal((folder / "metrics.json").read_bytes(), 1)
    older = {**metrics, "schema_version": 1, "stages": metrics["stages"][:1]}
    (folder / "metrics.json").write_bytes(seal(older))
    assert "What is mistaken for what" not in _Page(written(folder)).said
    (folder / "metrics.json").write_bytes(seal(older)[:-10])
    result = report(str(folder))
    assert result.exit_code == 2
    assert "metrics.json" in result.stderr


def test_nothing_that_a_study_holds_becomes_markup(make: Make) -> None:
    _, folder = make(2, 7, evil, "<b>mine")
    content = written(folder)
    page = _Page(content)
    assert "<b>mine" in page.said
    assert EVIL in page.said
    assert f"ArithmeticError: {EVIL}" in page.said
    tags = [tag for tag, _ in page.tags]
    assert not {"img", "b", "a"} & set(tags)
    scripts = [attrs for tag, attrs in page.tags if tag == "script"]
    assert len(scripts) == len(page.figures) + 2  # plotly's and our own
    for figure in page.figures:
        assert "<script" not in json.dumps(figure)
        assert "<img" not in json.dumps(figure)


def test_the_page_loads_nothing(make: Make) -> None:
    _, folder = make(1, 5)
    page = _Page(written(folder))
    for _, attrs in page.tags:
        for name in ("src", "href", "action", "data", "poster"):
            assert attrs.get(name) in (None, "data:,")
    [policy] = [a["content"] for _, a in page.tags if a.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert not re.search(r"@import|url\(", written(folder).partition("</style>")[0])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["{}"], 2, "holds no run"),
        ([], 2, "Give the folder of the run, as DIR or with --out."),
        (["s3://bucket/run"], 2, "give the file to write with --to"),
    ],
)
def test_exit_codes(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    result = report(*(argument.format(tmp_path) for argument in arguments))
    assert result.exit_code == code
    assert said in " ".join(result.stderr.split())


def test_it_needs_plotly_and_no_torch(make: Make) -> None:
    _, folder = make(1, 5)
    program = (
        "import sys\n{first}\nfrom optuna_gamma.cli import main\n"
        f"sys.argv = ['optuna-gamma', 'report', {str(folder)!r}]\n"
        "try:\n    main()\nfinally:\n    print('torch' in sys.modules)"
    )

    def run(first: str) -> subprocess.CompletedProcess[str]:
        script = program.format(first=first)
        return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    done = run("")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [str(folder / "report.html"), "False"]
    refused = run("sys.modules['plotly'] = None")
    assert refused.returncode == 1
    assert "pip install 'optuna-gamma[dashboard]'" in refused.stderr


def _chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(make: Make, scheme: str) -> None:
    """The page draws all its figures, says nothing on the console and asks nobody anything."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs pip install playwright, and a Chromium"
    )
    _, folder = make(2, 7, evil, "<b>mine")
    n_figures = len(_Page(written(folder)).figures)
    with playwright.sync_playwright() as started:
        path = _chromium() or started.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("needs a browser: apt install chromium, or playwright install chromium")
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(color_scheme=scheme, viewport={"width": 400, "height": 800})
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((folder / "report.html").as_uri())
        page.wait_for_selector(f"html[data-drawn='{n_figures}']", state="attached")
        assert page.locator(".plot svg.main-svg").count() >= n_figures
        # Names are shown as they are.
        assert "<img src=" in " ".join(page.locator("text[class$='title']").all_text_contents())
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(21, 24, 27)")
        for plot in page.locator(".plot").all():
            plot.hover()
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        browser.close()
    assert [url for url in asked if not url.startswith("file:")] == []
    assert len(asked) == 1
    assert said == []
