from __future__ import annotations

import pytest

from benchmarks.record import Preset
from benchmarks.record import Purpose
from benchmarks.staged import populations
from benchmarks.staged.autolrs import AutoLRS
from benchmarks.staged.jobs import AnyMethod
from benchmarks.staged.jobs import Job
from benchmarks.staged.lab import Lab
from benchmarks.staged.methods import Tuned
from benchmarks.staged.plan import DEFAULT
from benchmarks.staged.plan import get_plan
from benchmarks.staged.plan import LONG
from benchmarks.staged.populations import SuccessiveHalving
from tests.benchmarks.staged.tiny import METHODS
from tests.benchmarks.staged.tiny import TINY


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_epochs_are_equal_search_included(
    method: AnyMethod, steps: list[tuple[int, int, list[float]]]
) -> None:
    budget = 4
    report = Job(TINY, method, (budget,), 0).run()["reports"][-1]
    spent = sum(len(rates) for *_, rates in steps)
    assert report["epochs"] == pytest.approx(spent / 2)
    left = budget * 36 - spent
    if isinstance(method, SuccessiveHalving):
        n_rates = sum(first == 0 for first, *_ in steps)
        assert spent == populations._cost(n_rates, [4, 12, 36], 3)
        assert 0 <= left < populations._cost(n_rates + 1, [4, 12, 36], 3) - spent
    elif isinstance(method, AutoLRS):
        assert 0 <= left < 10 * 2 * budget  # a probe has whole steps
    else:
        assert left == 0


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_candidate_is_a_whole_training(method: AnyMethod) -> None:
    lab = Lab(TINY, 0)
    for candidate in method.candidates(lab, 2, 0):
        assert candidate.weights.keys() == {"raw", "averaged"}
        assert candidate.weights["averaged"] is not candidate.weights["raw"]


def test_reports_on_the_way_are_those_of_smaller_budgets() -> None:
    for method in (Tuned("cosine", "gamma"), AutoLRS()):
        reports = Job(TINY, method, (2, 4), 1).run()["reports"]
        assert [report["budget"] for report in reports] == [2, 4]
        assert Job(TINY, method, (2,), 1).run()["reports"] == reports[:1]


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("preset", Preset)
def test_every_method_is_reported_at_every_budget_or_the_largest(
    preset: Preset, purpose: Purpose
) -> None:
    plan = get_plan(preset, purpose)
    for problem, method in ((p, m) for p in plan.problems for m in plan.methods):
        found = [n for job in plan.jobs_of(problem, method, 0) for n in job.budgets]
        is_thrifty = preset is Preset.cpu and purpose is Purpose.final and problem.n_train > 500
        if is_thrifty and not method.anytime and method not in (DEFAULT, *LONG):
            assert found == [12]
        elif method == DEFAULT:
            assert found == sorted([*plan.budgets, *plan.early])
        else:
            assert found == list(plan.budgets)
    assert len({job.key for job in plan.jobs()}) == len(plan.jobs())
