"""What the dashboard shows of a staged study, in a real browser."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
import re
import signal
import subprocess
import sys
from typing import Any

import optuna
import pytest

from optuna_gamma import create_staged_study
from optuna_gamma import load_staged_study
from optuna_gamma.staged import Stage


pytest.importorskip("optuna_dashboard", reason="needs pip install 'optuna-gamma[dashboard]'")

from optuna_dashboard import get_note

from optuna_gamma.dashboard import describe
from optuna_gamma.dashboard import Publisher


def objective(trial: optuna.Trial, stage: Stage) -> float:
    x = trial.suggest_float("x", 0.0, 1.0)
    if trial.number == 1:
        raise optuna.TrialPruned
    for step in range(3):
        trial.report(x * step, step)
    trial.set_user_attr("accuracy", x)
    stage.save(trial, {"x": x})
    return x


class TestNotes:
    def test_a_note_says_what_was_promoted_and_why(self, tmp_path: Path) -> None:
        staged = create_staged_study(study_name="mine", directory=tmp_path)
        staged.optimize(objective, 2, 4)
        Publisher(staged, "gain").publish()
        first, second = map(get_note, staged.studies)
        promoted, last = staged.schedule
        assert "Stage 1 of 2 of mine" in first
        assert "3 complete, 1 pruned" in first
        assert f"Trial {promoted.trial_number} is promoted" in first
        assert f"its gain, {promoted.value:.6g}, is the highest" in first
        assert "[mine/stage-001](/dashboard/studies/" in first
        assert f"weights of trial {promoted.trial_number} of [mine/stage-000]" in second
        assert f"Trial {last.trial_number} is promoted" in second
        assert "the last stage" in second
        assert [study.metric_names for study in staged.studies] == [["gain"], ["gain"]]

    def test_a_stage_that_goes_on(self, tmp_path: Path) -> None:
        staged = create_staged_study(study_name="mine", directory=tmp_path, direction="minimize")
        seen: list[str] = []

        def looking(trial: optuna.Trial, stage: Stage) -> float:
            if trial.number == 3:
                seen.append(describe(staged.status(), 0, staged.studies))
            return objective(trial, stage)

        staged.optimize(looking, 1, 5)
        [note] = seen
        assert "Of its 5 trials 2 complete, 1 pruned, 1 running, 1 to come." in note
        assert re.search(r"Trial \d leads: its value, \S+, is the lowest", note)
        assert "promoted" not in note

    def test_what_did_not_change_is_not_written_again(self, tmp_path: Path) -> None:
        staged = create_staged_study(study_name="mine", directory=tmp_path)
        staged.optimize(objective, 2, 3)
        publisher = Publisher(staged)
        publisher.publish()
        before = (tmp_path / "journal.log").stat().st_size
        publisher.publish()
        assert (tmp_path / "journal.log").stat().st_size == before

    @pytest.mark.parametrize("n_trials", [1, 6])
    def test_figures_are_written_again_where_they_can_have_changed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_trials: int
    ) -> None:
        """Those of the whole run in the stage that goes on, and everywhere at its end."""
        written: Counter[tuple[str, str]] = Counter()
        shown: dict[tuple[str, str], str] = {}

        def save(study: optuna.Study, figure: Any, graph_object_id: str) -> None:
            written[study.study_name, graph_object_id] += 1
            shown[study.study_name, graph_object_id] = figure.to_json()

        def watched(trial: optuna.Trial, stage: Stage) -> float:
            if trial.number == 0:
                publisher.publish()
            return objective(trial, stage)

        monkeypatch.setattr("optuna_gamma.dashboard.save_plotly_graph_object", save)
        staged = create_staged_study(study_name="mine", directory=tmp_path)
        publisher = Publisher(staged)
        staged.optimize(watched, 4, n_trials)
        *before, last = [study.study_name for study in staged.studies]
        of_run = ["Schedule", "Learning-curves"]
        of_stage = ["Process-and-acquisition"] if n_trials > 1 else []
        assert written == {(name, kind): 1 for name in before for kind in of_run + of_stage}
        publisher.publish()
        for kind in of_run:
            assert len({shown[name, kind] for name in [*before, last]}) == 1
            assert [written[name, kind] for name in [*before, last]] == [2, 2, 2, 1]
        for kind in of_stage:
            assert [written[name, kind] for name in [*before, last]] == [1, 1, 1, 1]

    def test_names_are_no_markup(self, tmp_path: Path) -> None:
        staged = create_staged_study(study_name="mine", directory=tmp_path)

        def odd(trial: optuna.Trial, stage: Stage) -> float:
            x = trial.suggest_float("a|b", 0.0, 1.0)
            trial.set_user_attr("<script>", "*x*\n| y")
            stage.save(trial, {})
            return x

        staged.optimize(odd, 1, 1)
        note = describe(staged.status(), 0, staged.studies)
        assert r"| a\|b |" in note
        assert r"| \<script\> | \*x\* \| y |" in note


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run ``optuna-gamma dashboard`` and give its address."""
    command = [sys.executable, "-c", "from optuna_gamma.cli import main; main()", "dashboard"]
    process = subprocess.Popen(
        [*command, str(folder), "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", said)
        assert found, said + process.stderr.read()
        yield found[0]
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_a_person_finds_it_all_in_the_browser(page: Any, tmp_path: Path) -> None:
    staged = create_staged_study(study_name="mine", directory=tmp_path)
    staged.optimize(objective, 3, 6)
    promoted = staged.schedule[0].trial_number
    with serving(tmp_path) as address:
        page.goto(address)
        page.get_by_text("mine/stage-000").first.wait_for()
        page.get_by_text("mine/stage-002").first.wait_for()
        page.goto(f"{address}dashboard/studies/{staged.studies[0]._study_id}")
        for name in ("Learned schedule", "Learning curve of", "Process and acquisition"):
            page.get_by_text(name).first.wait_for()
        page.goto(f"{address}dashboard/studies/{staged.studies[0]._study_id}/note")
        page.get_by_text(f"Trial {promoted} is promoted").first.wait_for()
        page.get_by_role("link", name="mine/stage-001").first.click()
        second = f"dashboard/studies/{staged.studies[1]._study_id}"
        page.wait_for_url(f"**/{second}")
        page.goto(f"{address}{second}/note")
        page.get_by_text(f"weights of trial {promoted} of").first.wait_for()
        page.get_by_role("link", name="Compare the stages").first.click()
        page.get_by_text("Best Value of mine/stage-002").first.wait_for()
    assert page.errors == []


def test_a_trial_of_a_network_shows_what_it_learned(page: Any, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs pip install 'optuna-gamma[train]'")
    train = "from optuna_gamma.cli import main; main()", "train", "--dataset", "digits"
    small = "--n-train", "100", "--n-valid", "60", "--trials", "3,1", "--epochs-per-stage", "2,1"
    subprocess.run(
        [sys.executable, "-c", *train, *small, "--threads", "1", "--out", str(tmp_path), "-q"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    staged = load_staged_study(study_name="digits", directory=tmp_path)
    promoted = staged.schedule[0].trial_number
    with serving(tmp_path) as address:
        study = f"{address}dashboard/studies/{staged.studies[0]._study_id}"
        for number in range(3):
            page.goto(f"{study}/trials?numbers={number}")
            page.get_by_text("sensitivity").first.wait_for()
            page.get_by_text("Intermediate Values").first.wait_for()
            heights = []
            for name in ("confusion-matrix.png", "misclassified.png"):
                picture = page.locator(f"img[alt='{name}']").first
                picture.wait_for()
                page.wait_for_function("image => image.complete", arg=picture.element_handle())
                heights.append(picture.evaluate("image => image.naturalHeight"))
            assert all(height > 200 for height in heights) == (number == promoted)
    assert page.errors == []
