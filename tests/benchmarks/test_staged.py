from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import replace
import json
import math
from pathlib import Path
from typing import Any
from typing import cast

import numpy as np
import optuna
from optuna.trial import FixedTrial
import pytest
import torch
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.pool import Attempt
from benchmarks.record import Preset
from benchmarks.record import Purpose
from benchmarks.staged import autolrs
from benchmarks.staged import lab as lab_module
from benchmarks.staged import methods
from benchmarks.staged import populations
from benchmarks.staged import run
from benchmarks.staged.autolrs import AutoLRS
from benchmarks.staged.autolrs import forecast
from benchmarks.staged.forms import Probed
from benchmarks.staged.forms import Staged
from benchmarks.staged.jobs import AnyMethod
from benchmarks.staged.jobs import Job
from benchmarks.staged.jobs import PROCESSORS
from benchmarks.staged.jobs import Store
from benchmarks.staged.lab import Lab
from benchmarks.staged.lab import Problem
from benchmarks.staged.lab import State
from benchmarks.staged.methods import schedule
from benchmarks.staged.methods import Tuned
from benchmarks.staged.plan import DEFAULT
from benchmarks.staged.plan import get_plan
from benchmarks.staged.plan import LONG
from benchmarks.staged.plan import Plan
from benchmarks.staged.populations import exploited
from benchmarks.staged.populations import PBT
from benchmarks.staged.populations import SuccessiveHalving
from benchmarks.staged.report import Reports
from benchmarks.staged.report import write
from benchmarks.thesis.jobs import OnlyStage
from optuna_gamma.staged import Stage
from optuna_gamma.vision import load_dataset
from optuna_gamma.vision import VisionTask
from optuna_gamma.vision.sources import DATA_VARIABLE


TINY = Problem("digits", n_train=100, n_valid=50, n_test=40, epochs=18)
"""36 steps."""

METHODS: tuple[AnyMethod, ...] = (
    Tuned("constant", "gamma"),
    Tuned("one-cycle", "tpe"),
    Staged(10, averaging=True, sampler="gamma"),
    Staged(0, averaging=False, sampler="random", score="loss"),
    Probed(n_probes=3, min_steps=5),
    Probed(rounds=2, min_steps=5, sampler="random"),
    Probed(),
    Tuned("constant", "gamma", 1),
    Tuned("cosine", "gamma", 3),
    AutoLRS(),
    PBT(),
    SuccessiveHalving(),
)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    monkeypatch.setattr(autolrs, "FIRST_STAGE", 20)
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, list[float]]]:
    """Of each segment trained: first step, seed, and the rates of its steps, counted apart."""
    seen: list[tuple[int, int, list[float]]] = []
    train = Lab.train

    def watch(
        self: Lab,
        state: State | None,
        rate: Any,
        n_steps: int,
        seed: int,
        average_after: Sequence[int],
    ) -> State:
        rates: list[float] = []
        seen.append((0 if state is None else state.step, seed, rates))

        def counted(step: int) -> float:
            rates.append(rate(step))
            return rates[-1]

        return train(self, state, counted, n_steps, seed, average_after)

    monkeypatch.setattr(Lab, "train", watch)
    return seen


class TestBudget:
    @pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
    def test_epochs_are_equal_search_included(
        self, method: AnyMethod, steps: list[tuple[int, int, list[float]]]
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
    def test_a_candidate_is_a_whole_training(self, method: AnyMethod) -> None:
        lab = Lab(TINY, 0)
        for candidate in method.candidates(lab, 2, 0):
            assert candidate.weights.keys() == {"raw", "averaged"}
            assert candidate.weights["averaged"] is not candidate.weights["raw"]

    def test_reports_on_the_way_are_those_of_smaller_budgets(self) -> None:
        for method in (Tuned("cosine", "gamma"), AutoLRS()):
            reports = Job(TINY, method, (2, 4), 1).run()["reports"]
            assert [report["budget"] for report in reports] == [2, 4]
            assert Job(TINY, method, (2,), 1).run()["reports"] == reports[:1]

    @pytest.mark.parametrize("purpose", Purpose)
    @pytest.mark.parametrize("preset", Preset)
    def test_every_method_is_reported_at_every_budget_or_the_largest(
        self, preset: Preset, purpose: Purpose
    ) -> None:
        plan = get_plan(preset, purpose)
        for problem, method in ((p, m) for p in plan.problems for m in plan.methods):
            found = [n for job in plan.jobs_of(problem, method, 0) for n in job.budgets]
            is_thrifty = (
                preset is Preset.cpu and purpose is Purpose.final and problem.n_train > 500
            )
            if is_thrifty and not method.anytime and method not in (DEFAULT, *LONG):
                assert found == [12]
            elif method == DEFAULT:
                assert found == sorted([*plan.budgets, *plan.early])
            else:
                assert found == list(plan.budgets)
        assert len({job.key for job in plan.jobs()}) == len(plan.jobs())


class TestImages:
    @pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
    def test_test_images_choose_nothing(
        self, method: AnyMethod, monkeypatch: pytest.MonkeyPatch
    ) -> None:
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

    def test_choices_and_final_table_share_no_seed(self) -> None:
        for preset in Preset:
            choose, final = (get_plan(preset, purpose) for purpose in Purpose)
            assert not set(choose.seeds) & set(final.seeds)
        names = {problem.name for problem in get_plan(Preset.cpu, Purpose.choose).problems}
        assert names == {"mnist-500", "fashion-mnist-500"}

    def test_the_best_of_each_kind_has_the_highest_kappa_of_its_kind(self) -> None:
        method = Tuned("constant", "random")
        report = Job(TINY, method, (4,), 0).run()["reports"][0]
        candidates = list(method.candidates(Lab(TINY, 0), 4, 0))
        for kind in lab_module.KINDS:
            best = max(candidates, key=lambda candidate: candidate.valid[kind].kappa)
            assert report[kind]["valid"] == pytest.approx(best.valid[kind], abs=1e-5)

    def test_images_held_out_are_neither_trained_with_nor_chosen_by(self) -> None:
        data = lab_module._load(replace(TINY, held_out=30), 0)
        parts = [
            {image.numpy().tobytes() for image in images}
            for images, _ in (data.train, data.valid, data.test)
        ]
        assert [len(part) for part in parts] == [100, 50, 30]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]


class TestTraining:
    def test_it_is_that_of_vision_task(self) -> None:
        data = load_dataset("digits", n_train=100, n_valid=50)
        task = VisionTask(
            model="deep-conv",
            data=data,
            space=lambda trial: {"lr": trial.suggest_float("lr", 1e-3, 0.5)},
            epochs_per_stage=3,
            averaging="tail",
            device="cpu",
        )
        stage = OnlyStage(7)
        task(cast(optuna.Trial, FixedTrial({"lr": 0.05})), cast(Stage, stage))
        state = Lab(TINY, 0).train(None, lambda step: 0.05, 6, 7, [3])
        for name, weights in state.model.items():
            assert weights.equal(stage.state["model"][name])
            assert state.means[3].weights[name].equal(stage.state["averaged"][name])

    def test_a_mean_goes_on_over_segments(self) -> None:
        """The naive twin: every weight kept, then averaged."""
        lab, state, kept = Lab(TINY, 0), None, []
        for k in range(6):
            state = lab.train(state, lambda step: 0.02, 1, k, [3, 5])
            kept.append(state.model["0.weight"].clone())
        assert state is not None
        for after, mean in state.means.items():
            assert mean.n_steps == 6 - after
            expected = torch.stack(kept[after:]).mean(0)
            torch.testing.assert_close(mean.weights["0.weight"], expected)

    @pytest.mark.parametrize("n_steps", [10, 200])
    def test_schedules_are_those_of_pytorch(self, n_steps: int) -> None:
        parameter = [torch.nn.Parameter(torch.zeros(1))]
        for shape, make in (
            ("cosine", lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, n_steps)),
            ("one-cycle", lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.3, n_steps)),
        ):
            optimizer = torch.optim.SGD(parameter, 0.3, momentum=0.9)
            scheduler = make(optimizer)
            expected = []
            for _ in range(n_steps):
                expected.append(optimizer.param_groups[0]["lr"])
                optimizer.step()
                scheduler.step() if len(expected) < n_steps else None
            ours = schedule(cast(methods.Shape, shape), 0.3, n_steps)
            np.testing.assert_allclose([ours(step) for step in range(n_steps)], expected)

    def test_a_training_that_diverges_is_never_the_best(self) -> None:
        lab = Lab(TINY, 0)
        state = lab.train(None, lambda step: 1e6, 36, 0, [18])
        candidate = lab.candidate(state, (1e6,))
        assert math.isnan(candidate.valid["raw"].loss)
        assert candidate.valid["raw"].kappa == -math.inf

    def test_the_mean_that_validates_best_is_taken(self) -> None:
        lab = Lab(TINY, 0)
        state = lab.train(None, lambda step: 0.05, 36, 0, lab_module.windows(36))
        assert list(state.means) == [18, 27, 32]
        scores = [lab.validate(mean.weights).kappa for mean in state.means.values()]
        assert lab.candidate(state, (0.05,)).valid["averaged"].kappa == max(scores)


class TestProtocols:
    def test_stages_of_the_thesis_are_epochs(
        self, steps: list[tuple[int, int, list[float]]]
    ) -> None:
        list(Staged(0, averaging=False, sampler="random").candidates(Lab(TINY, 0), 2, 0))
        assert {len(rates) for *_, rates in steps} == {2}
        assert len(steps) == 18 * 2

    def test_probes_take_a_third_at_most_and_the_winner_is_trained_on(
        self, steps: list[tuple[int, int, list[float]]]
    ) -> None:
        for method, expected in (
            (Probed(min_steps=5), [(0, 6)] * 6 + [(6, 108)]),  # of 4 × 36 steps
            (Probed(min_steps=20), [(0, 20)] * 2 + [(20, 104)]),
            (Probed(min_steps=50), [(0, 144)]),
            (
                Probed(2, rounds=2, min_steps=9),
                [(0, 9)] * 2 + [(9, 54)] + [(63, 9)] * 2 + [(72, 54)],
            ),
        ):
            steps.clear()
            (candidate,) = method.candidates(Lab(TINY, 0), 4, 0)
            assert [(first, len(rates)) for first, _, rates in steps] == expected
            rates = [rates[0] for *_, rates in steps]
            assert candidate.rates[-1] == rates[-1]
            assert rates[-1] in rates[:-1] or len(rates) == 1

    def test_candidates_of_a_stage_begin_alike(
        self, steps: list[tuple[int, int, list[float]]]
    ) -> None:
        list(Staged(12, averaging=True, sampler="random").candidates(Lab(TINY, 0), 3, 0))
        assert [first for first, *_ in steps] == [0] * 3 + [12] * 3 + [24] * 3
        assert len({seed for _, seed, _ in steps}) == 3

    def test_population(self, steps: list[tuple[int, int, list[float]]]) -> None:
        candidates = list(PBT(intervals=4).candidates(Lab(TINY, 0), 5, 0))
        assert len(candidates) == 5
        assert [first for first, *_ in steps] == [0] * 5 + [9] * 5 + [18] * 5 + [27] * 5
        ratios = []
        for before, after in zip(range(0, 15, 5), range(5, 20, 5), strict=True):
            old = [steps[before + i][2][-1] for i in range(5)]
            new = [steps[after + i][2][0] for i in range(5)]
            changed = [i for i in range(5) if new[i] != old[i]]
            assert len(changed) == 1  # 20 % of 5
            ratios.append(min(abs(new[changed[0]] / rate - f) for rate in old for f in (0.8, 1.2)))
        assert max(ratios) == pytest.approx(0, abs=1e-9)

    def test_truncation(self) -> None:
        rng = np.random.default_rng(0)
        scores = [0.5, -math.inf, 0.9, 0.8, 0.1, 0.7, 0.6, 0.4, 0.3, 0.2]
        pairs = exploited(scores, rng)
        assert {i for i, _ in pairs} == {1, 4}
        assert {j for _, j in pairs} <= {2, 3}
        assert exploited([0.2, 0.1], rng) == [(1, 0)]
        assert exploited([0.1], rng) == []

    def test_halving(self, steps: list[tuple[int, int, list[float]]]) -> None:
        list(SuccessiveHalving().candidates(Lab(TINY, 0), 3, 0))
        by_rung = {first: [s for s in steps if s[0] == first] for first in (0, 4, 12)}
        lengths = {first: {len(rates) for *_, rates in rung} for first, rung in by_rung.items()}
        assert lengths == {0: {4}, 4: {8}, 12: {24}}
        n = [len(rung) for rung in by_rung.values()]
        assert n[1] == n[0] // 3
        assert n[2] == max(n[1] // 3, 1)
        assert all(len(set(rates)) == 1 for *_, rates in steps)

    def test_autolrs(self, steps: list[tuple[int, int, list[float]]]) -> None:
        (candidate,) = AutoLRS().candidates(Lab(TINY, 0), 2, 0)
        assert autolrs.stages(36) == [(0, 20), (20, 36)]
        whole = [s for s in steps if len(s[2]) in (20, 16)]
        assert [first for first, *_ in whole] == [0, 20]
        assert candidate.rates == tuple(rates[0] for *_, rates in whole)
        for first, end in autolrs.stages(36):
            probes = {s[2][0] for s in steps if first <= s[0] < end and s not in whole}
            assert len(probes) == autolrs.PROBES
            assert all(1e-3 <= rate <= 0.5001 for rate in probes)

    def test_stages_of_autolrs_double(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(autolrs, "FIRST_STAGE", 100)
        lengths = [end - first for first, end in autolrs.stages(3_000)]
        assert lengths == [100, 200, 400, 800, 800, 700]

    def test_forecast(self) -> None:
        t = np.arange(1.0, 11.0)
        assert forecast((2 * np.exp(-0.2 * t) + 0.5).tolist(), 100) == pytest.approx(0.5, abs=0.05)
        assert forecast([1.0, math.nan, 1.0, 1.0, 1.0], 10) == 1e6
        assert forecast([3.0, 2.0], 10) == 2.0


class TestStore:
    def test_nothing_is_run_twice(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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

    def test_a_changed_method_is_run_again(self, tmp_path: Path) -> None:
        job = Job(TINY, PBT(), (2,), 0)
        store = Store(tmp_path)
        store.add(job, {"reports": [], "seconds": 0.0})
        assert Store(tmp_path).missing([job]) == []
        (path,) = tmp_path.iterdir()
        path.rename(tmp_path / "PBT@older.jsonl")
        assert Store(tmp_path).missing([job]) == [job]

    def test_what_another_processor_stored_is_reported_and_goes_on_once_it_is_known_as_equal(
        self, tmp_path: Path
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

    def test_the_first_method_is_also_compared_while_it_has_spent_less(
        self, tmp_path: Path
    ) -> None:
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
