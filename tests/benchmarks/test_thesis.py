from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.pool import Attempt
from benchmarks.record import Preset
from benchmarks.thesis import jobs
from benchmarks.thesis import krasser
from benchmarks.thesis import plan
from benchmarks.thesis import published
from benchmarks.thesis import run
from benchmarks.thesis import single_tables
from benchmarks.thesis.analysis import differences
from benchmarks.thesis.analysis import Mean
from benchmarks.thesis.analysis import verdict
from benchmarks.thesis.jobs import key
from benchmarks.thesis.jobs import read_table
from benchmarks.thesis.jobs import Search
from benchmarks.thesis.jobs import StagedRun
from benchmarks.thesis.jobs import Trainings
from benchmarks.thesis.outcome import Found
from benchmarks.thesis.outcome import GUESSING
from benchmarks.thesis.plan import get_plan
from benchmarks.thesis.setting import grid
from benchmarks.thesis.setting import Images
from benchmarks.thesis.setting import make_task
from benchmarks.thesis.setting import OBJECTIVES
from benchmarks.thesis.setting import score
from benchmarks.thesis.store import Store
from benchmarks.thesis.version import version
from optuna_gamma import kappa
from optuna_gamma.vision.sources import DATA_VARIABLE


TINY = Images("digits", "deep-conv", n_train=60, n_valid=30, n_test=40)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


class TestPublished:
    def test_tables_4_and_5(self) -> None:
        gains = {
            (epoch, sampler): tuple(
                rows[sampler, objective] for objective in ("accuracy", "κ original", "κ improved")
            )
            for epoch, rows in published.SMALL.items()
            for sampler in ("grid", "gaussian", "conjugate")
        }
        assert gains == {
            (1, "grid"): (47, 52, 52),
            (1, "gaussian"): (42, 50, 51),
            (1, "conjugate"): (46, 50, 51),
            (2, "grid"): (88, 91, 90),
            (2, "gaussian"): (87, 88, 88),
            (2, "conjugate"): (87, 89, 91),
        }

    def test_table_6_has_an_epoch_a_line(self) -> None:
        lines = [tuple(rows.values()) for rows in published.MNIST.values()]
        assert lines == [
            (95.62, 95.75, 95.64, 96.24),
            (98.18, 98.13, 98.36, 98.62),
            (97.83, 98.21, 98.23, 98.79),
        ]

    def test_table_11_is_a_tie(self) -> None:
        distances = {name: single_tables._published_distance(name) for name in published.RATES}
        assert distances == {"grid": 0, "gaussian": 0.083, "conjugate": 0.083}


class TestSetting:
    def test_rates(self) -> None:
        assert grid(5) == [0.1, 0.2, 0.3, 0.4, 0.5]
        assert set(grid(100)) <= set(grid(500))

    def test_presets_follow_the_thesis(self) -> None:
        for preset in (Preset.cpu, Preset.paper):
            whole = get_plan(preset)
            images = whole.small.images
            assert images.n_train + images.n_valid == 500
            assert images.n_valid == 100
            assert whole.small.trials == whole.mnist.trials == whole.cifar.trials == 12
            assert whole.short.trials == whole.long.trials == (12, 22)
            assert (whole.short.epochs, whole.long.epochs) == (1, 50)
            assert whole.short.grids[0] == 100
            assert whole.short.grids[-1] == 500
        paper = get_plan(Preset.paper)
        assert paper.long.grids == (100, 200, 300, 400, 500)
        assert paper.mnist.images.n_train + paper.mnist.images.n_valid == 60_000
        assert paper.cifar.reported == (1, 10, 20, 50)

    def test_training(self) -> None:
        task = make_task(TINY, 0, 1)
        assert task.batch_size == 50
        assert task.fingerprint["weight_decay"] == 0.001
        assert task.objective == "kappa"  # the value returned, which the runs do not use

    def test_brightness_is_between_0_and_1(self) -> None:
        data = make_task(TINY, 0, 1).data
        assert float(data.train[0].max()) == pytest.approx(1.0)
        assert float(data.train[0].min()) == pytest.approx(0.0, abs=1e-6)
        assert len(data.test[1]) == 40

    def test_scores(self) -> None:
        better = {name: score(name, 0.9, 0.3) for name in OBJECTIVES}
        assert better["accuracy"] == 0.9
        assert better["loss"] == -0.3
        assert better["κ original"] == kappa(0.9, 0.3, variant="original")
        assert better["κ improved"] == kappa(0.9, 0.3)
        assert score("κ improved", 0.9, 0.3, 0.5) == kappa(0.9, 0.3, lam=0.5)
        assert math.isnan(score("κ original", math.nan, math.nan))

    def test_original_kappa_breaks_ties_of_accuracy(self) -> None:
        # 1 of 100 images is more than any loss between 1e-4 and 10 can make up for.
        assert score("κ original", 0.51, 10.0) > score("κ original", 0.50, 1e-4)


@pytest.fixture(scope="module")
def staged() -> tuple[StagedRun, jobs.Result]:
    job = StagedRun(TINY, "gamma", "κ original", trials=3, reported=(1, 2), seed=1)
    return job, job.run()


class TestStagedRun:
    def test_repeats_itself(self, staged: tuple[StagedRun, jobs.Result]) -> None:
        job, result = staged
        again = job.run()
        for stage in (*result["stages"], *again["stages"]):
            stage.pop("seconds", None)
        assert again == result

    @pytest.mark.parametrize(
        ("sampler", "trials", "stages", "epochs"),
        [("grid", 4, 2, 8), ("random", 3, 2, 6), ("gamma", 3, 2, 6), ("constant", 3, 2, 6)],
    )
    def test_spends_exactly_its_epochs(
        self,
        sampler: str,
        trials: int,
        stages: int,
        epochs: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        spent = []

        def counted(images: Images, seed: int, epochs_per_stage: int) -> Any:
            task = make_task(images, seed, epochs_per_stage)

            class Counted:
                data = task.data
                evaluate = staticmethod(task.evaluate)

                def __call__(self, trial: Any, stage: Any) -> float:
                    spent.append(epochs_per_stage)
                    return task(trial, stage)

            return Counted()

        monkeypatch.setattr(jobs, "make_task", counted)
        StagedRun(TINY, sampler, "accuracy", trials, (1, stages), 0).run()
        assert sum(spent) == epochs

    def test_nothing_is_chosen_by_test_images(
        self, staged: tuple[StagedRun, jobs.Result], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job, result = staged

        def shuffled(images: Images, seed: int, epochs_per_stage: int) -> Any:
            task = make_task(images, seed, epochs_per_stage)
            x, y = task._splits["test"]
            task._splits["test"] = (torch.zeros_like(x), y)
            return task

        monkeypatch.setattr(jobs, "make_task", shuffled)
        blind = job.run()
        assert blind["rates"] == result["rates"]
        for with_test, without in zip(result["stages"], blind["stages"], strict=True):
            assert with_test["valid"] == without["valid"]
            assert with_test["test"] != without["test"]

    def test_grid_promotes_the_best_of_its_rates(self) -> None:
        job = StagedRun(TINY, "grid", "loss", trials=4, reported=(1,), seed=0)
        result = job.run()
        trainings = Trainings(TINY, 1, 0, tuple(grid(4))).run()["trainings"]
        losses = [loss for _, loss, _, _ in trainings]
        best = int(np.nanargmin(losses))
        assert result["rates"] == [grid(4)[best]]
        # One training gives the same in both forms: the searches of all tables share trainings.
        accuracy, loss, test, _ = trainings[best]
        stage = result["stages"][0]
        assert stage["valid"]["accuracy"] == pytest.approx(accuracy, abs=1e-5)
        assert stage["valid"]["loss"] == pytest.approx(loss, rel=1e-4)
        assert stage["test"]["accuracy"] == pytest.approx(test, abs=1e-5)


class TestSearch:
    TABLE = {  # noqa: RUF012
        rate: (0.8 - abs(rate - 0.2), 1.0 + abs(rate - 0.2), 0.7, 2.0) for rate in grid(50)
    }

    def search(self, **changes: Any) -> Search:
        job = Search(TINY, 1, 0, 50, "gamma", "accuracy", repetition=0, trials=12)
        return replace(job, **changes)

    @pytest.mark.parametrize("sampler", plan.SEARCHERS)
    def test_first_trials_do_not_depend_on_their_number(self, sampler: str) -> None:
        short, long = (
            self.search(sampler=sampler, trials=n).run(self.TABLE)["rates"] for n in (12, 22)
        )
        assert long[:12] == short

    def test_finds_the_best(self) -> None:
        rates = self.search().run(self.TABLE)["rates"]
        found = Found.of(0, rates, self.TABLE, "accuracy", 0.05)
        assert found.valid > 78
        assert found.test == 70
        assert found.seconds == 24

    @pytest.mark.filterwarnings("ignore:The value nan")
    def test_diverged_trainings_are_not_chosen(self) -> None:
        diverged = (math.nan, math.nan, math.nan, 1.0)
        table = {r: diverged if r > 0.15 else t for r, t in self.TABLE.items()}
        rates = self.search(sampler="random", trials=40).run(table)["rates"]
        assert any(rate > 0.15 for rate in rates)
        assert Found.of(0, rates, table, "loss", 0.05).rate <= 0.15
        assert Found.of(0, [0.4, 0.5], table, "loss", 0.05).valid == GUESSING

    def test_of_equals_the_first_is_chosen(self) -> None:
        table = dict.fromkeys(grid(4), (0.5, 1.0, 0.5, 1.0))
        assert Found.of(0, [0.25, 0.5, 0.125], table, "accuracy", 0.05).rate == 0.25


def test_a_table_is_put_together_from_pieces() -> None:
    pieces = [Trainings(TINY, 1, 0, rates) for rates in ((0.1,), (0.2,))]
    table = read_table([(job, job.run()) for job in pieces])
    whole = Trainings(TINY, 1, 0, (0.1, 0.2))
    assert {r: t[:3] for r, t in table.items()} == {
        r: t[:3] for r, t in read_table([(whole, whole.run())]).items()
    }


@pytest.mark.parametrize(
    ("claimed", "left", "right", "expected"),
    [
        (2.0, (5.0, 5.1, 5.2), (1.0, 1.2, 1.1), "reproduced"),
        (-2.0, (5.0, 5.1, 5.2), (1.0, 1.2, 1.1), "contradicted"),
        (0.0, (5.0, 5.1, 5.2), (1.0, 1.2, 1.1), "contradicted"),
        (2.0, (5.0, 1.0, 5.2), (1.0, 5.2, 1.1), "not told from chance"),
        (2.0, (5.0,), (1.0,), "one seed"),
    ],
)
def test_verdicts(
    claimed: float, left: tuple[float, ...], right: tuple[float, ...], expected: str
) -> None:
    assert verdict(claimed, differences(left, right)) == expected


def test_interval() -> None:
    mean = Mean.of([1.0, 2.0, 3.0])
    assert mean.value == 2.0
    assert mean.half == pytest.approx(4.303 / math.sqrt(3), rel=1e-3)  # Student's t, 2 degrees
    assert str(mean) == "2.0 ± 2.5"


def test_krasser_maximum() -> None:
    x = np.linspace(krasser.LOW, krasser.HIGH, 30_001)
    values = [krasser.krasser(value) for value in x]
    assert x[int(np.argmax(values))] == pytest.approx(krasser.X_STAR, abs=1e-3)
    assert max(values) == pytest.approx(0.5004, abs=1e-4)


def test_arrival_counts_the_initial_points() -> None:
    reached = [krasser.arrival(krasser.METHODS["conjugate"], seed) for seed in range(3)]
    assert all(n is not None and 3 <= n <= 10 for n in reached)


def test_version_is_the_same_in_each_call() -> None:
    before = version()
    version.cache_clear()
    assert version() == before


def test_runs_are_kept_and_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = get_plan(Preset.smoke)
    small = replace(tiny.small, images=TINY, rows=(("random", "accuracy"), ("constant", "none")))
    long = replace(tiny.long, images=TINY, epochs=1, grids=(4,), trials=(3,), lams=(), priors=())
    tiny = replace(tiny, small=small, mnist=replace(small, reported=(1,)), long=long)
    monkeypatch.setattr(run, "get_plan", lambda preset: tiny)
    ran = []

    def here(function: Any, work: Any, processes: int) -> Iterator[Any]:
        for item in work:
            ran.append(key(item[0]))
            yield Attempt(item, function(item))

    monkeypatch.setattr(run, "attempt_all", here)
    run.main(["4", "6", "11"], Preset.smoke, 1, tmp_path)
    wanted = [*small.jobs(), *tiny.mnist.jobs(), *long.trainings(), *long.searches()]
    assert sorted(ran) == sorted(key(job) for job in wanted)
    assert len(set(ran)) == len(ran)
    table = json.loads((tmp_path / "thesis-table-4-smoke.json").read_text())
    row = next(row for row in table["rows"] if row["sampler"] == "random")
    assert row["epochs"] == 3
    assert (tmp_path / "thesis-table-6-confusion-smoke.png").exists()
    assert (tmp_path / "thesis-table-11-smoke.md").exists()

    # Killed while it wrote the last line: that run is repeated, and no other.
    ran.clear()
    path = next((tmp_path / "thesis").glob("staged@*.jsonl"))
    path.write_bytes(path.read_bytes()[:-10])
    run.main(["4", "6", "11"], Preset.smoke, 1, tmp_path)
    assert len(ran) == 1
    assert len(Store(tmp_path / "thesis", version()).missing(wanted)) == 0

    ran.clear()
    run.main(["4", "6", "11"], Preset.smoke, 0, tmp_path)  # as --report-only
    assert ran == []


def test_nothing_to_report(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["thesis", "--report-only", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "There are no runs" in result.output
