from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.pool import Attempt
from benchmarks.record import Preset
from benchmarks.record import Purpose
from benchmarks.staged import run
from benchmarks.staged.jobs import AnyMethod
from benchmarks.staged.jobs import Job
from benchmarks.staged.jobs import PROCESSORS
from benchmarks.staged.jobs import Store
from benchmarks.staged.methods import Tuned
from benchmarks.staged.plan import get_plan
from benchmarks.staged.plan import Plan
from benchmarks.staged.populations import PBT
from benchmarks.staged.report import Reports
from benchmarks.staged.report import write
from tests.benchmarks.staged.tiny import TINY


def test_nothing_is_run_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = replace(
        get_plan(Preset.smoke, Purpose.final),
        problems=(TINY,),
        methods=(Tuned("constant", "random"), PBT()),
        budgets=(2,),
        seeds=(0, 1),
    )
    done: list[Job] = []

    def serially(function: Any, wanted: list[Job], processes: int) -> Iterator[Any]:
        for job in wanted:
            done.append(job)
            yield Attempt(job, function(job))

    monkeypatch.setattr(run, "attempt_all", serially)
    monkeypatch.setattr(run, "get_plan", lambda *_: plan)
    run.main(Preset.smoke, Purpose.final, (), ("PBT",), 1, tmp_path)
    assert {job.method for job in done} == {PBT()}
    run.main(Preset.smoke, Purpose.final, (), (), 1, tmp_path)
    assert len(done) == len(set(done)) == 4
    before = (tmp_path / "staged-final-smoke.md").read_text()
    run.main(Preset.smoke, Purpose.final, (), (), 0, tmp_path)
    assert (tmp_path / "staged-final-smoke.md").read_text() == before
    assert len(done) == 4
    rows = json.loads((tmp_path / "staged-final-smoke.json").read_text())["rows"]
    reports = list(Store(tmp_path / "staged").read(plan.jobs()).values())
    accuracies = [r["reports"][0]["raw"]["test"][1] for r in reports[::2]]
    assert rows[0]["raw"].startswith(f"{100 * float(np.mean(accuracies)):.2f}")


def test_a_changed_method_is_run_again(tmp_path: Path) -> None:
    job = Job(TINY, PBT(), (2,), 0)
    store = Store(tmp_path)
    store.add(job, {"reports": [], "seconds": 0.0})
    assert Store(tmp_path).missing([job]) == []
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / "PBT@older.jsonl")
    assert Store(tmp_path).missing([job]) == [job]


def test_what_another_processor_stored_is_reported_and_goes_on_once_it_is_known_as_equal(
    tmp_path: Path,
) -> None:
    stored, wanted = (Job(TINY, PBT(), (2,), seed) for seed in (0, 1))
    Store(tmp_path).add(stored, {"reports": [], "seconds": 0.0})
    (path,) = tmp_path.iterdir()
    elsewhere = path.rename(tmp_path / "PBT@elsewhere.jsonl")
    assert list(Store(tmp_path, is_read_only=True).read([stored, wanted])) == [stored]
    assert Store(tmp_path).missing([stored, wanted]) == [stored, wanted]

    same = {path.stem.removeprefix("PBT@"): "elsewhere"}
    entry = {"processor": "another", "commit": "1234567", "versions": same}
    (tmp_path / PROCESSORS).write_text(json.dumps([entry]))
    store = Store(tmp_path)
    assert store.missing([stored, wanted]) == [wanted]
    store.add(wanted, {"reports": [], "seconds": 0.0})
    assert len(elsewhere.read_text().splitlines()) == 2


def test_the_first_method_is_also_compared_while_it_has_spent_less(tmp_path: Path) -> None:
    first, other = Tuned("constant", "random"), Tuned("cosine", "random")
    plan = Plan((TINY,), (first, other), (4,), (0, 1, 2), early=(2,))

    def right(budget: int, of_method: AnyMethod, seed: int) -> float:
        return 0.5 if of_method == other else 0.4 + 0.1 * budget + 0.01 * seed

    def report(job: Job) -> dict[str, Any]:
        reports = []
        for n in job.budgets:
            test = (1.0, right(n, job.method, job.seed))
            found = {"valid": test, "test": test, "rates": [0.1]}
            reports.append({"budget": n, "epochs": n, "raw": found, "averaged": found})
        return {"reports": reports, "processor": f"model {job.seed % 2}"}

    results = {job: report(job) for job in plan.jobs()}
    write(Reports(plan, results), Preset.smoke, Purpose.final, tmp_path)
    at_last, after_2 = (
        json.loads((tmp_path / f"staged-final-smoke-differences{end}.json").read_text())
        for end in ("", "-after-2")
    )
    assert at_last["rows"][0]["points"].startswith("31.00")
    assert after_2["rows"][0]["points"].startswith("11.00")
    assert after_2["rows"][0]["least"] == "11.00, digits-100"
    assert "budget 2 − the other, budget 4" in after_2["notes"]
    table = json.loads((tmp_path / "staged-final-smoke.json").read_text())
    assert table["notes"].endswith("Runs on each processor: model 0 (4), model 1 (2).")
    assert (tmp_path / "staged-final-smoke.md").read_text().count("| other |") == 2


def test_the_command_refuses_what_it_does_not_know() -> None:
    assert CliRunner().invoke(app, ["staged", "--purpose", "win"]).exit_code == 2
