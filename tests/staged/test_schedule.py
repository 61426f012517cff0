"""A schedule goes to JSON and comes back."""

from __future__ import annotations

from collections.abc import Callable
import csv
import io
import json
from pathlib import Path
import tempfile
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import optuna
import pytest

from optuna_gamma.staged import Stage
from optuna_gamma.staged import StagedSchedule
from optuna_gamma.staged import StagedStudy
from optuna_gamma.staged import StageRecord


values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
records = st.builds(
    StageRecord,
    number=st.integers(0, 999),
    params=st.dictionaries(st.text(), values),
    value=st.floats(allow_nan=False),
    user_attrs=st.dictionaries(st.text(), values | st.lists(values)),
    trial_number=st.integers(0, 999),
    checkpoint=st.text(),
)


@given(st.lists(records))
def test_round_trip(stages: list[StageRecord]) -> None:
    schedule = StagedSchedule(stages)
    assert StagedSchedule.from_json(schedule.to_json()) == schedule == tuple(stages)
    assert json.loads(schedule.to_json())["schema_version"] == 1


def schedule(*rates: float, epochs: int | None = None) -> StagedSchedule:
    attrs = {} if epochs is None else {"epochs": epochs}
    return StagedSchedule(
        StageRecord(k, {"lr": rate, "kind": "a"}, float(k), attrs, 0, "")
        for k, rate in enumerate(rates)
    )


def test_csv() -> None:
    stages = [
        StageRecord(0, {"lr": 0.1}, 0.5, {"text": 'a,"b"'}, 3, "x"),
        StageRecord(1, {"lr": 0.2, "momentum": 0.9}, float("inf"), {}, 1, "y"),
    ]
    rows = list(csv.DictReader(io.StringIO(StagedSchedule(stages).to_csv())))
    assert [row["params_lr"] for row in rows] == ["0.1", "0.2"]
    assert [row["params_momentum"] for row in rows] == ["", "0.9"]
    assert [row["value"] for row in rows] == ["0.5", "inf"]
    assert rows[0]["user_attrs_text"] == 'a,"b"'
    assert StagedSchedule().to_csv() == "\n"


@pytest.mark.parametrize(
    ("epochs", "given", "expected"),
    [
        (None, None, [0.3, 0.1, 0.2, 0.2, 0.2]),
        (2, None, [0.3, 0.3, 0.1, 0.1, 0.2]),
        (2, 1, [0.3, 0.1, 0.2, 0.2, 0.2]),
        (2, [1, 3, 1], [0.3, 0.1, 0.1, 0.1, 0.2]),
    ],
)
def test_lr_scheduler(epochs: int | None, given: Any, expected: list[float]) -> None:
    torch = pytest.importorskip("torch")
    learned = schedule(0.3, 0.1, 0.2, epochs=epochs)

    def make() -> Any:
        parameters = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(2)]
        optimizer = torch.optim.SGD(parameters, lr=9.0)
        return optimizer, learned.lr_scheduler(optimizer, epochs_per_stage=given)

    def rates(optimizer: Any) -> float:
        [rate] = {group["lr"] for group in optimizer.param_groups}
        return float(rate)

    optimizer, scheduler = make()
    assert isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler)
    found = []
    for epoch in range(5):
        found.append(rates(optimizer))
        optimizer.step()
        scheduler.step()
        if epoch == 1:  # goes on in another process
            file = io.BytesIO()
            torch.save([optimizer.state_dict(), scheduler.state_dict()], file)
            file.seek(0)
            states = torch.load(file, weights_only=True)
            optimizer, scheduler = make()
            optimizer.load_state_dict(states[0])
            scheduler.load_state_dict(states[1])
    assert found == expected


@pytest.mark.parametrize(
    ("stages", "options", "message"),
    [
        ((), {}, "no stages"),
        ((0.1,), {"param": "rate"}, "no learning rate 'rate'"),
        ((0.1,), {"param": "kind"}, "no learning rate 'kind'"),
        ((0.1, 0.2), {"epochs_per_stage": [1]}, "or 2, one a stage, but got"),
        ((0.1,), {"epochs_per_stage": 0}, "`epochs_per_stage`"),
    ],
)
def test_no_lr_scheduler(stages: Any, options: Any, message: str) -> None:
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=9.0)
    with pytest.raises(ValueError, match=message):
        schedule(*stages).lr_scheduler(optimizer, **options)


def noisy(trial: optuna.Trial, stage: Stage) -> float:
    state = stage.load() or {"path": []}
    x = trial.suggest_float("x", 0.0, 1.0) + stage.seed / 2**40
    trial.set_user_attr("twice", 2 * x)
    stage.save(trial, {"path": [*state["path"], x]})
    return x


def test_a_replay_with_the_seed_of_the_run_is_the_run(create: Callable[..., StagedStudy]) -> None:
    staged = create(seed=5)
    staged.optimize(noisy, 3, 4)
    again = StagedSchedule.from_json(staged.schedule.to_json()).replay(noisy, seed=5)
    assert again.values == tuple(record.value for record in staged.schedule)
    assert again.user_attrs == tuple(record.user_attrs for record in staged.schedule)
    assert again.state == staged.load_best()
    other = staged.schedule.replay(noisy, seed=6)
    assert other.values != again.values


def test_a_replay_keeps_one_checkpoint(
    create: Callable[..., StagedStudy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = create(seed=5)
    staged.optimize(noisy, 4, 1)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    n_files: list[int] = []

    def counting(trial: optuna.Trial, stage: Stage) -> float:
        n_files.append(len(list((tmp_path / "temporary").rglob("*.safetensors"))))
        return noisy(trial, stage)

    staged.schedule.replay(counting, seed=5)
    assert n_files == [0, 1, 1, 1]


def test_a_replay_that_comes_to_nothing_says_where(create: Callable[..., StagedStudy]) -> None:
    staged = create()
    staged.optimize(noisy, 2, 2)

    def diverging(trial: optuna.Trial, stage: Stage) -> float:
        return float("nan") if stage.number == 1 else noisy(trial, stage)

    with pytest.raises(RuntimeError, match="Stage 1 of the schedule came to nothing with seed 7"):
        staged.schedule.replay(diverging, seed=7)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"schema_version": 1}'])
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"schedule\.json"):
        StagedSchedule.from_json(text)


def test_a_later_version_is_refused() -> None:
    with pytest.raises(ValueError, match="schema version 2"):
        StagedSchedule.from_json('{"schema_version": 2, "stages": []}')
