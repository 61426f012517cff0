"""What users of other staged and population-based training have reported, one test each.

The kill tests show the same for SIGKILL at every moment, on every storage.
"""

from __future__ import annotations

from collections.abc import Callable
import math
from pathlib import Path
import threading
from typing import Any

import numpy as np
import optuna
import pytest

from optuna_gamma.staged import CheckpointError
from optuna_gamma.staged import load_staged_study
from optuna_gamma.staged import Stage
from optuna_gamma.staged import StagedSchedule
from optuna_gamma.staged import StagedStudy


Create = Callable[..., StagedStudy]


def train(trial: optuna.Trial, stage: Stage) -> float:
    """Search parameters of every kind; weights and momentum go on from stage to stage."""
    state = stage.load() or {"model": np.zeros(4), "optimizer": {"momentum": np.zeros(4)}}
    rate = trial.suggest_float("rate", 1e-3, 1.0, log=True)
    decay = trial.suggest_int("decay", 0, 3)
    kind = trial.suggest_categorical("kind", ["plain", "nesterov"])
    momentum = 0.9 * state["optimizer"]["momentum"] + rate * (1.0 - state["model"])
    model = state["model"] + momentum * (1.1 if kind == "nesterov" else 1.0) - 1e-3 * decay
    stage.save(trial, {"model": model, "optimizer": {"momentum": momentum}})
    return -float(np.sum((model - 1.0) ** 2))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.safetensors") if path.is_file()]


def test_autolrs_cannot_resume_and_overwrites_its_only_file(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it searches a learning rate only."""
    undisturbed = create(directory=tmp_path / "undisturbed")
    undisturbed.optimize(train, 2, 3)
    staged = create()
    staged.optimize(train, 1, 3)
    write = Path.write_bytes

    def cut_short(path: Path, content: bytes) -> int:
        write(path, content[: len(content) // 2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", cut_short)
        with pytest.raises(KeyboardInterrupt):
            staged.optimize(train, 2, 3)
    first = StagedSchedule(undisturbed.schedule[:1]).replay(train, seed=0)
    assert np.array_equal(staged.load_best()["model"], first.state["model"])
    create().optimize(train, 2, 3)
    assert staged.schedule == undisturbed.schedule
    assert set(staged.schedule[0].params) == {"rate", "decay", "kind"}


def test_ray_deletes_checkpoints_that_are_still_needed(create: Create) -> None:
    """Ray #8441, #9036: a trial that starts late, or is slow, finds its parent gone."""
    begun, others_are_done = threading.Event(), threading.Event()
    loaded: list[Any] = []

    def slow(trial: optuna.Trial, stage: Stage) -> float:
        if stage.number == 1:
            begun.set()
            assert others_are_done.wait(60)
            loaded.append(stage.load())
        return train(trial, stage)

    def last(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        finished = [t for t in study.trials if t.state.is_finished()]
        if study.study_name == "run/stage-001" and len(finished) == 5:
            others_are_done.set()

    staged = create()
    staged.optimize(train, 1, 6)
    thread = threading.Thread(target=staged.optimize, args=(slow, 2, 6))
    thread.start()
    assert begun.wait(60)
    create().optimize(train, 2, 6, callbacks=[last])
    thread.join()
    assert loaded[0] is not None
    assert len(staged.schedule) == 2


def test_ray_loses_the_schedulers_state_when_it_is_restored(create: Create) -> None:
    """Ray #30838. Here every trial is run by a study that was just loaded."""
    undisturbed = create(directory="memory://whole", storage=optuna.storages.InMemoryStorage())
    undisturbed.optimize(train, 2, 4)

    def one(trial: optuna.Trial, stage: Stage) -> float:
        trial.study.stop()
        return train(trial, stage)

    while len(create().schedule) < 2:
        create().optimize(one, 2, 4)
    assert create().schedule == undisturbed.schedule


@pytest.mark.parametrize(("keep", "n_kept"), [("last", 1), ("all", 3)])
def test_ray_and_keras_tuner_fill_the_disk(
    create: Create, tmp_path: Path, keep: str, n_kept: int
) -> None:
    """Ray #15605; Keras Tuner #288, #481: a file a trial, over a terabyte."""
    most = 0

    def watched(trial: optuna.Trial, stage: Stage) -> float:
        nonlocal most
        most = max(most, len(files(tmp_path)) - (stage.number if keep == "all" else 0))
        return train(trial, stage)

    create(keep=keep).optimize(watched, 3, 10)
    assert most <= 2  # the promoted one, the best of the stage in progress
    assert len(files(tmp_path)) == n_kept


def test_ray_proposes_values_out_of_range(create: Create) -> None:
    """Ray #5035: what was promoted is perturbed beyond the bounds."""
    staged = create(sampler=None)
    staged.optimize(train, 3, 6)
    for study in staged.studies:
        for trial in study.trials:
            assert 1e-3 <= trial.params["rate"] <= 1.0
            assert trial.params["decay"] in range(4)
            assert trial.params["kind"] in ("plain", "nesterov")


def test_ray_promotes_or_stops_at_nan(create: Create) -> None:
    """Ray #11670."""

    def diverging(trial: optuna.Trial, stage: Stage) -> float:
        return math.nan if trial.number % 2 else train(trial, stage)

    staged = create(sampler=None)
    staged.optimize(diverging, 2, 6)
    assert all(record.trial_number % 2 == 0 for record in staged.schedule)
    assert np.isfinite(staged.load_best()["model"]).all()


def test_ray_was_irreproducible_until_it_could_replay(create: Create, tmp_path: Path) -> None:
    """Ray #9178."""
    one, two = (create(directory=tmp_path / name, seed=7) for name in ("one", "two"))
    for staged in (one, two):
        staged.optimize(train, 2, 4)
    assert one.schedule == two.schedule
    replayed = one.schedule.replay(train, seed=7)
    assert replayed.values == tuple(record.value for record in one.schedule)
    assert np.array_equal(replayed.state["model"], two.load_best()["model"])


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: b"", None])
def test_syne_tune_restarts_from_scratch_at_a_damaged_file(
    create: Create, tmp_path: Path, damage: Callable[[bytes], bytes] | None
) -> None:
    staged = create()
    staged.optimize(train, 1, 3)
    [path] = files(tmp_path)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match=path.name):
        staged.optimize(train, 2, 3, catch=(Exception,))
    assert len(staged.schedule) == 1


def test_neps_reads_half_written_files(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever moment another process looks at, what it finds is whole."""
    write = Path.write_bytes

    def look() -> None:
        reader = load_staged_study(study_name="run", directory=tmp_path / "run")
        if reader.schedule:
            reader.load_best()

    def in_halves(path: Path, content: bytes) -> int:
        write(path, content[: len(content) // 2])
        look()
        n_written = write(path, content)
        look()
        return n_written

    staged = create()
    monkeypatch.setattr(Path, "write_bytes", in_halves)
    staged.optimize(train, 2, 3)
    look()
    assert len(staged.schedule) == 2
