from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path

from optuna.samplers import RandomSampler
import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.record import Preset
from benchmarks.samplers.benchmark import collect
from benchmarks.samplers.contenders import Contender
from benchmarks.samplers.plan import budgets
from benchmarks.samplers.plan import jobs
from benchmarks.samplers.plan import Plan
from benchmarks.samplers.plan import PLANS
from benchmarks.samplers.record import RunRecord
from benchmarks.samplers.record import Store
from benchmarks.samplers.run import ENTRANTS
from benchmarks.samplers.run import Job
from benchmarks.samplers.run import run
from benchmarks.samplers.setting import Setting
from benchmarks.samplers.suites.bbob import Bbob
from benchmarks.samplers.suites.coco import Noisy


def untimed(record: RunRecord) -> RunRecord:
    return replace(record, seconds=0.0, milliseconds=0.0)


@pytest.fixture(scope="module")
def records() -> list[RunRecord]:
    return [run(Job("tpe", "v", Noisy(f, 1, 2), seed, 12)) for f in (101, 107) for seed in (0, 1)]


def test_a_run_repeats_itself(records: list[RunRecord]) -> None:
    for record, (function, seed) in zip(
        records, [(f, seed) for f in (101, 107) for seed in (0, 1)], strict=True
    ):
        again = run(Job("tpe", "v", Noisy(function, 1, 2), seed, 12))
        assert untimed(again) == untimed(record)
        assert again.key == Job("tpe", "v", Noisy(function, 1, 2), seed, 12).key
        regrets = [regret for _, regret in record.steps]
        assert regrets == sorted(set(regrets), reverse=True)
        assert record.regret(12) == regrets[-1]
        assert record.regret(1) == regrets[0]


def test_seeds_are_paired(monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[Setting] = []

    def make(setting: Setting) -> RandomSampler:
        met.append(setting)
        return RandomSampler(seed=setting.seed)

    for name in ("one", "two"):
        monkeypatch.setitem(ENTRANTS, name, Contender(make, lambda: "1"))
    first, second, other = (
        run(Job(name, "1", Bbob(8, 1, 2), seed, 5))
        for name, seed in (("one", 0), ("two", 0), ("one", 1))
    )
    assert met[0].seed == met[1].seed != met[2].seed
    assert first.steps == second.steps != other.steps


def test_store_keeps_what_it_was_given(records: list[RunRecord], tmp_path: Path) -> None:
    store = Store(tmp_path / "new")
    assert store.read("tpe", "v") == []
    store.add(records)
    assert store.read("tpe", "v") == records
    assert store.versions("tpe") == ["v"]
    size = (tmp_path / "new" / "tpe@v.jsonl").stat().st_size
    assert size < 400 * len(records)


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_store_survives_a_torn_line(records: list[RunRecord], tmp_path: Path, cut: int) -> None:
    store = Store(tmp_path)
    store.add(records)
    path = tmp_path / "tpe@v.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert store.read("tpe", "v") == records[:-1]
    store.add(records[-1:])
    assert store.read("tpe", "v") == records


def test_only_what_is_missing_is_run(tmp_path: Path) -> None:
    plan = Plan(14, dimensions=(2,), problems=("f01-*", "f21-*"))
    wanted = jobs("bbob", plan, {"random": "r", "grid": "g"})
    assert [(j.sampler, j.trials) for j in wanted[:3]] == [
        ("random", 14),
        ("grid", 12),
        ("grid", 14),
    ]
    store = Store(tmp_path)
    done = [run(job) for job in wanted[:-2]]
    store.add(done)
    path = tmp_path / "grid@g.jsonl"
    path.write_bytes(path.read_bytes() + b'{"suite":"bbob","pro')  # killed while writing

    nothing_run, _ = collect(wanted, store, processes=0)
    assert nothing_run == done
    broken = Job("nobody", "1", Bbob(1, 1, 2), 0, 3)
    found, failures = collect([*wanted, broken], store, processes=2)
    assert [(f.job, f.error) for f in failures] == [(broken, "KeyError: 'nobody'")]
    assert [record.key for record in found] == [job.key for job in wanted]
    assert found[:-2] == done  # with their times: they were not run again
    assert [untimed(r) for r in found] == [untimed(run(job)) for job in wanted]
    assert collect(wanted, store, processes=0)[0] == found


def test_plans() -> None:
    assert budgets(15) == (12, 15)
    assert budgets(100) == (12, 30, 50, 100)
    for preset in Preset:
        for suite, plan in PLANS[preset].items():
            listed = jobs(suite, plan, {"random": "1", "botorch": "2"})
            slow = [job for job in listed if job.sampler == "botorch"]
            assert len(listed) > len(slow)
            assert len({job.key for job in listed}) == len(listed)
            assert {job.seed for job in slow} in (set(), set(range(plan.seeds)))
    cpu = PLANS[Preset.cpu]["bbob"]
    slow = [job for job in jobs("bbob", cpu, {"smac": "1"})]
    assert len(slow) == 8 * 3 * 2
    assert {job.trials for job in slow} == {30}
    assert len(jobs("bbob", cpu, {"gamma": "1"})) == 24 * 3 * 2


def test_command_end_to_end(tmp_path: Path) -> None:
    command = [
        "samplers",
        "--samplers",
        "random,qmc,tpe",
        "--problems",
        "f01-*",
        "--out",
        str(tmp_path),
    ]
    command += ["--suite", "bbob", "--suite", "outliers"]
    cli = CliRunner()
    result = cli.invoke(app, command)
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "samplers-bbob-smoke.json").read_text())
    assert {row["sampler"] for row in content["rows"]} == {"random", "qmc", "tpe"}
    for name in ("bbob-smoke.md", "bbob-smoke.png", "outliers-smoke.md", "outliers-smoke.png"):
        assert (tmp_path / f"samplers-{name}").stat().st_size > 100

    before = {path: path.read_bytes() for path in (tmp_path / "samplers").iterdir()}
    tables = (tmp_path / "samplers-outliers-smoke.md").read_text()
    assert len(before) == 3
    again = cli.invoke(app, [*command, "--report-only"])
    assert again.exit_code == 0, again.output
    assert {path: path.read_bytes() for path in (tmp_path / "samplers").iterdir()} == before
    assert (tmp_path / "samplers-outliers-smoke.md").read_text() == tables


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--suite", "bob"), "There is no suite 'bob'"),
        (("--samplers", "gp3"), "There is no sampler 'gp3'"),
        (("--samplers", "gamma@00"), "a version is for --report-only"),
        (("--suite", "bbob", "--problems", "x*"), "No problem is left"),
    ],
)
def test_command_refuses(option: tuple[str, str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["samplers", *option, "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())
    assert not list(tmp_path.iterdir())
