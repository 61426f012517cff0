from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.record import Preset
from benchmarks.record import Purpose
from benchmarks.staged import lab as lab_module
from benchmarks.staged.jobs import AnyMethod
from benchmarks.staged.jobs import Job
from benchmarks.staged.lab import Lab
from benchmarks.staged.lab import Problem
from benchmarks.staged.methods import Tuned
from benchmarks.staged.plan import get_plan
from tests.benchmarks.staged.tiny import METHODS
from tests.benchmarks.staged.tiny import TINY


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_test_images_choose_nothing(method: AnyMethod, monkeypatch: pytest.MonkeyPatch) -> None:
    def report() -> dict[str, Any]:
        found: dict[str, Any] = Job(TINY, method, (2,), 0).run()["reports"][0]
        return found

    def without(report: dict[str, Any]) -> list[Any]:
        return [(report[kind]["valid"], report[kind]["rates"]) for kind in lab_module.KINDS]

    before, load = report(), lab_module._load

    def other_labels(problem: Problem, seed: int) -> Any:
        data = load(problem, seed)
        return replace(data, test=(data.test[0], (data.test[1] + 1) % 10))

    monkeypatch.setattr(lab_module, "_load", other_labels)
    after = report()
    assert without(before) == without(after)
    assert before["raw"]["test"] != after["raw"]["test"]


def test_choices_and_final_table_share_no_seed() -> None:
    for preset in Preset:
        choose, final = (get_plan(preset, purpose) for purpose in Purpose)
        assert not set(choose.seeds) & set(final.seeds)
    names = {problem.name for problem in get_plan(Preset.cpu, Purpose.choose).problems}
    assert names == {"mnist-500", "fashion-mnist-500"}


def test_the_best_of_each_kind_has_the_highest_kappa_of_its_kind() -> None:
    method = Tuned("constant", "random")
    report = Job(TINY, method, (4,), 0).run()["reports"][0]
    candidates = list(method.candidates(Lab(TINY, 0), 4, 0))
    for kind in lab_module.KINDS:
        best = max(candidates, key=lambda candidate: candidate.valid[kind].kappa)
        assert report[kind]["valid"] == pytest.approx(best.valid[kind], abs=1e-5)


def test_images_held_out_are_neither_trained_with_nor_chosen_by() -> None:
    data = lab_module._load(replace(TINY, held_out=30), 0)
    parts = [
        {image.numpy().tobytes() for image in images}
        for images, _ in (data.train, data.valid, data.test)
    ]
    assert [len(part) for part in parts] == [100, 50, 30]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
