"""The staged study as its users see it."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
from typing import Any

import optuna
import pytest

from optuna_gamma import GammaBOSampler
from optuna_gamma.staged import create_staged_study
from optuna_gamma.staged import load_staged_study
from optuna_gamma.staged import Stage
from optuna_gamma.staged import StagedSchedule
from optuna_gamma.staged import StagedStudy
from optuna_gamma.staged.directory import RunDirectory


Create = Callable[..., StagedStudy]
Objective = Callable[[optuna.Trial, Stage], float]


def random_sampler(seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.RandomSampler(seed=seed)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_each_stage_goes_on_from_the_best_trial_before(
    create: Create, tmp_path: Path, direction: str, objective: Objective
) -> None:
    staged = create(direction=direction)
    staged.optimize(objective, n_stages=3, n_trials=4)
    assert [study.study_name for study in staged.studies] == [f"run/stage-00{k}" for k in range(3)]
    for record, study in zip(staged.schedule, staged.studies, strict=True):
        assert len(study.trials) == 4
        assert study.direction.name.lower() == direction
        best = study.best_trial
        assert (record.value, record.params, record.trial_number) == (
            best.value,
            best.params,
            best.number,
        )
        assert record.user_attrs == {"twice": 2 * record.params["x"]}
        assert study.user_attrs == {"promoted_trial": best.number}
    assert staged.load_best() == {"path": [record.params["x"] for record in staged.schedule]}
    saved = StagedSchedule.from_json((tmp_path / "run" / "schedule.json").read_text())
    assert saved == staged.schedule


def test_stages_of_one_trial_go_on_with_what_was_chosen(
    create: Create, objective: Objective
) -> None:
    staged = create()
    staged.optimize(objective, n_stages=3, n_trials=(3, 1))
    staged.optimize(objective, n_stages=5, n_trials=(3, 1))
    assert [len(study.trials) for study in staged.studies] == [3, 1, 3, 1, 3]
    rates = [record.params["x"] for record in staged.schedule]
    assert rates[0] == rates[1] != rates[2] == rates[3] != rates[4]
    assert staged.load_best() == {"path": rates}
    with pytest.raises(ValueError, match="Stage 0 was begun with `n_trials` = 3, but 2 was given"):
        staged.optimize(objective, n_stages=5, n_trials=(2, 2))


def test_a_grid_is_for_the_stages_that_search(create: Create, objective: Objective) -> None:
    staged = create()
    grid = [{"x": x} for x in (0.2, 0.9, 0.4)]
    staged.optimize(objective, n_stages=4, n_trials=(3, 1), enqueue=grid)
    assert [record.params["x"] for record in staged.schedule] == [0.9] * 4
    with pytest.raises(ValueError, match="`n_trials` of at least 3"):
        staged.optimize(objective, n_stages=4, n_trials=(2, 1), enqueue=grid)


def test_a_stage_of_one_trial_that_failed_can_be_given_others(
    create: Create, objective: Objective
) -> None:
    def failing(trial: optuna.Trial, stage: Stage) -> float:
        value = objective(trial, stage)
        return float("nan") if (stage.number, trial.number) == (1, 0) else value

    staged = create()
    with pytest.raises(RuntimeError, match="`n_trials` such as 3,3"):
        staged.optimize(failing, n_stages=2, n_trials=(3, 1))
    staged.optimize(failing, n_stages=2, n_trials=(3, 2))
    failed, other = staged.studies[1].trials
    assert failed.params == staged.schedule[0].params != other.params == staged.schedule[1].params
    staged.optimize(failing, n_stages=4, n_trials=(3, 1))  # what was mended is over
    assert [len(study.trials) for study in staged.studies] == [3, 2, 3, 1]


def test_a_worker_asked_for_one_trial_searches_where_others_search(
    create: Create, objective: Objective
) -> None:
    create().optimize(objective, n_stages=1, n_trials=4)

    def stopping(trial: optuna.Trial, stage: Stage) -> float:
        trial.study.stop()
        return objective(trial, stage)

    create().optimize(stopping, n_stages=2, n_trials=4)
    with pytest.raises(ValueError, match="Stage 1 was begun with `n_trials` = 4"):
        create().optimize(objective, n_stages=2, n_trials=(4, 1))


def test_clean_takes_what_nobody_needs_and_nothing_else(
    create: Create, tmp_path: Path, objective: Objective
) -> None:
    staged = create(keep="all")

    def interrupted(trial: optuna.Trial, stage: Stage) -> float:
        if (stage.number, trial.number) == (2, 2):
            raise KeyboardInterrupt
        return objective(trial, stage)

    with pytest.raises(KeyboardInterrupt):
        staged.optimize(interrupted, 3, 3)
    folder = tmp_path / "run" / "checkpoints"
    needed = set(folder.iterdir())
    assert len(needed) == 3  # two promoted ones, and the best of the stage in progress
    orphans = {
        folder / name
        for name in (
            f"stage-000-trial-00001-{'0' * 64}.safetensors",  # nobody told of it
            "stage-001-trial-00000-abc.tmp",  # its worker was killed
            f"stage-002-trial-00000-{'0' * 64}.safetensors",
        )
    }
    others = {
        folder / name
        for name in (
            "stage-002-trial-00002-abc.tmp",  # a worker may be writing it
            f"stage-003-trial-00000-{'0' * 64}.safetensors",  # of workers who know more than we
            "mine.safetensors",
        )
    }
    for path in orphans | others:
        path.touch()
    assert set(staged.clean(dry_run=True)) == {str(path) for path in orphans}
    assert set(folder.iterdir()) == needed | orphans | others
    assert set(staged.clean()) == {str(path) for path in orphans}
    assert staged.clean() == ()
    assert set(folder.iterdir()) == needed | others
    staged.optimize(objective, 3, 3)
    assert len(staged.load_best()["path"]) == 3


def test_a_schedule_is_written_though_clean_takes_its_draft(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: Objective
) -> None:
    rename = RunDirectory._rename
    taken = []

    def take(self: RunDirectory, aside: str, name: str) -> None:
        if name == "schedule.json" and not taken:
            self.remove(aside)
            taken.append(aside)
        rename(self, aside, name)

    monkeypatch.setattr(RunDirectory, "_rename", take)
    staged = create()
    staged.optimize(objective, 1, 2)
    assert len(taken) == 1
    text = (tmp_path / "run" / "schedule.json").read_text()
    assert StagedSchedule.from_json(text) == staged.schedule


@pytest.mark.parametrize(("keep", "n_files"), [("last", 1), ("all", 3)])
def test_disk_holds_the_promoted_checkpoints_asked_for(
    create: Create, tmp_path: Path, keep: str, n_files: int, objective: Objective
) -> None:
    most = 0

    def watched(trial: optuna.Trial, stage: Stage) -> float:
        nonlocal most
        value = objective(trial, stage)
        stage.save(trial, {"again": trial.number, "path": []})
        most = max(most, len(os.listdir(tmp_path / "run" / "checkpoints")) - stage.number)
        return value

    staged = create(keep=keep)
    staged.optimize(watched, 3, 5)
    files = set(os.listdir(tmp_path / "run" / "checkpoints"))
    assert files == {Path(r.checkpoint).name for r in staged.schedule[-n_files:]}
    # The best of the stage in progress and the one just written; earlier promoted ones aside.
    assert most <= 2


def test_the_stage_tells_its_number_and_a_seed_in_common(
    create: Create, objective: Objective
) -> None:
    seen: dict[int, set[tuple[int, int]]] = {}

    def watched(trial: optuna.Trial, stage: Stage) -> float:
        seen.setdefault(stage.number, set()).add((stage.seed, stage.n_stages))
        return objective(trial, stage)

    create(seed=5).optimize(watched, 3, 2)
    assert [len(seen[k]) for k in range(3)] == [1, 1, 1]
    assert len(set.union(*seen.values())) == 3
    assert all(0 <= seed < 2**31 and n == 3 for seed, n in set.union(*seen.values()))


def test_equal_seeds_give_equal_runs_and_others_do_not(
    tmp_path: Path, objective: Objective
) -> None:
    schedules = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        staged = create_staged_study(
            study_name="run", directory=tmp_path / name, sampler=random_sampler, seed=seed
        )
        staged.optimize(objective, 2, 3)
        schedules.append(staged.schedule)
    assert schedules[0] == schedules[1] != schedules[2]


def test_samplers(create: Create, tmp_path: Path, objective: Objective) -> None:
    default = create(sampler=None, directory=tmp_path / "a")
    default.optimize(objective, 1, 2)
    seeds: list[int] = []

    def make(seed: int) -> optuna.samplers.BaseSampler:
        seeds.append(seed)
        return random_sampler(seed)

    create(sampler=make, directory=tmp_path / "b").optimize(objective, 2, 3)
    assert len(seeds) == len(set(seeds)) == 6
    sampler = GammaBOSampler(seed=1)
    create(sampler=sampler, directory=tmp_path / "c").optimize(objective, 1, 2)
    with pytest.raises(TypeError, match="must return an Optuna sampler"):
        create(sampler=str, directory=tmp_path / "d").optimize(objective, 1, 2)
    with pytest.raises(TypeError, match="`sampler`"):
        create(sampler="tpe", directory=tmp_path / "e")
    assert not (tmp_path / "e").exists()


def test_enqueued_parameters_come_first_in_every_stage(
    create: Create, objective: Objective
) -> None:
    grid = [{"x": 0.25}, {"x": 0.75}, {"x": 0.5}]
    staged = create()
    staged.optimize(objective, 2, 3, enqueue=grid)
    for study in staged.studies:
        assert [trial.params for trial in study.trials] == grid
    staged.optimize(objective, 3, 4, enqueue=grid)
    params = [trial.params for trial in staged.studies[2].trials]
    assert params[:3] == grid
    assert params[3] not in grid


@pytest.mark.parametrize("bad", [{"x": 1.5}, {"x": "fast"}, {"kind": "c"}])
def test_enqueued_parameters_outside_of_the_search_space_are_refused(
    create: Create, bad: dict[str, Any]
) -> None:
    def searching(trial: optuna.Trial, stage: Stage) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        trial.suggest_categorical("kind", ["a", "b"])
        stage.save(trial, {})
        return x

    staged = create()
    [name] = bad
    with pytest.raises(ValueError, match=f"`enqueue` gives '{name}' the value"):
        staged.optimize(searching, 1, 2, enqueue=[bad], catch=(Exception,))
    staged.optimize(searching, 1, 2, enqueue=[{"x": 0.5, "kind": "b"}])
    found = staged.studies[0].trials[0].params
    assert found["kind"] == "b"
    assert (found["x"] == 0.5) == (name == "x")  # else it had been suggested before


def test_any_storage_of_optuna(tmp_path: Path, objective: Objective) -> None:
    schedules = []
    journal = optuna.storages.journal.JournalFileBackend(str(tmp_path / "other.log"))
    for k, storage in enumerate(
        [
            None,
            f"sqlite:///{tmp_path}/study.db",
            optuna.storages.InMemoryStorage(),
            optuna.storages.JournalStorage(journal),
        ]
    ):
        staged = create_staged_study(
            study_name="run", storage=storage, directory=tmp_path / str(k), sampler=random_sampler
        )
        for n_stages in (1, 2):
            staged.optimize(objective, n_stages, 3)
        schedules.append(staged.schedule)
    assert all(schedule == schedules[0] for schedule in schedules)
    assert sorted(os.listdir(tmp_path / "1")) == ["checkpoints", "run.json", "schedule.json"]


def test_a_remote_directory(tmp_path: Path, objective: Objective) -> None:
    options: dict[str, Any] = {
        "study_name": "run",
        "storage": f"sqlite:///{tmp_path}/study.db",
        "directory": f"memory://{tmp_path.name}",
        "sampler": random_sampler,
    }
    create_staged_study(**options).optimize(objective, 2, 2)
    staged = load_staged_study(**options)
    assert len(staged.load_best()["path"]) == 2
    with pytest.raises(ValueError, match="`storage` must be given"):
        create_staged_study(**{**options, "storage": None})


def test_torch_states(create: Create) -> None:
    torch = pytest.importorskip("torch")

    def train(trial: optuna.Trial, stage: Stage) -> float:
        model = torch.nn.Linear(2, 1)
        state = stage.load()
        if state is not None:
            model.load_state_dict(state["model"])
        x = trial.suggest_float("x", 0.0, 1.0)
        with torch.no_grad():
            model.weight += x
        stage.save(trial, {"model": model.state_dict()})
        return x

    staged = create()
    staged.optimize(train, 2, 2)
    assert isinstance(staged.load_best()["model"]["weight"], torch.Tensor)
