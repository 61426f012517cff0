"""The same run is resumed, another one is refused, and nothing is written then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import threading
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import DuplicatedStudyError
import pytest

from optuna_gamma.staged import load_staged_study
from optuna_gamma.staged import Stage
from optuna_gamma.staged import StagedStudy
from optuna_gamma.staged.claim import Claim
from optuna_gamma.staged.claim import Claims
from optuna_gamma.staged.ledger import Ledger


Create = Callable[..., StagedStudy]
Objective = Callable[[optuna.Trial, Stage], float]


def random_sampler(seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.RandomSampler(seed=seed)


def content(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_extending_is_allowed_and_cutting_short_is_not(
    create: Create, tmp_path: Path, objective: Objective
) -> None:
    staged = create()
    staged.optimize(objective, 2, 3)
    promoted = staged.schedule
    staged.optimize(objective, 3, 5)
    assert [len(study.trials) for study in staged.studies] == [3, 3, 5]
    assert staged.schedule[:2] == promoted
    before = content(tmp_path)
    for n_stages, n_trials, message in ((2, 5, "`n_stages` = 3"), (3, 4, "`n_trials` = 5")):
        with pytest.raises(ValueError, match=message):
            create().optimize(objective, n_stages, n_trials)
        assert content(tmp_path) == before


def test_a_stage_in_progress_is_extended(create: Create, objective: Objective) -> None:
    def stopping(trial: optuna.Trial, stage: Stage) -> float:
        trial.study.stop()
        return objective(trial, stage)

    staged = create()
    staged.optimize(stopping, 1, 2)
    staged.optimize(objective, 1, 4)
    assert len(staged.studies[0].trials) == 4
    assert len(staged.schedule) == 1


def test_a_trial_left_by_its_worker_extends_its_stage(
    create: Create, objective: Objective
) -> None:
    def failing(trial: optuna.Trial, stage: Stage) -> float:
        if trial.number == 1:
            raise KeyError
        return objective(trial, stage)

    staged = create()
    with pytest.raises(KeyError):
        staged.optimize(failing, 1, 2)
    staged.optimize(objective, 1, 4)
    assert len(staged.studies[0].trials) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"study_name": "other"}, r"`study_name` is 'run' there, but 'other' was given"),
        ({"direction": "minimize"}, r"`direction` is 'maximize' there, but 'minimize' was given"),
        ({"seed": 1}, r"`seed` is 0 there, but 1 was given"),
        ({"keep": "all"}, r"`keep` is 'last' there, but 'all' was given"),
        ({"fingerprint": {"lr": 2}}, r"`fingerprint\['lr'\]` is 1 there, but 2 was given"),
        ({"fingerprint": {}}, r"`fingerprint\['lr'\]` is 1 there, but '\(absent\)' was given"),
        ({"fingerprint": None}, r"`fingerprint` is \{'lr': 1\} there, but None was given"),
    ],
)
def test_a_directory_of_another_run_is_refused_and_not_touched(
    create: Create, tmp_path: Path, options: dict[str, Any], message: str, objective: Objective
) -> None:
    create(fingerprint={"lr": 1}).optimize(objective, 1, 2)
    before = content(tmp_path)
    with pytest.raises(ValueError, match=message):
        create(**{"fingerprint": {"lr": 1}, **options})
    assert content(tmp_path) == before
    create(fingerprint={"lr": 1})
    assert content(tmp_path) == before


def test_a_study_of_another_directory_is_refused(
    tmp_path: Path, create: Create, objective: Objective
) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    create(storage=storage, directory=tmp_path / "a").optimize(objective, 1, 1)
    with pytest.raises(ValueError, match="was not made by the run in"):
        create(storage=storage, directory=tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_an_ordinary_study_of_that_name_is_refused(tmp_path: Path, create: Create) -> None:
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="run/stage-000")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(ValueError, match="was not made by the run in"):
        create(storage=storage)
    assert not (tmp_path / "run").exists()


def test_a_directory_whose_storage_is_gone_is_refused(
    create: Create, tmp_path: Path, objective: Objective
) -> None:
    create().optimize(objective, 1, 1)
    (tmp_path / "run" / "journal.log").unlink()
    before = content(tmp_path)
    with pytest.raises(ValueError, match="holds checkpoints"):
        create()
    assert content(tmp_path) == before


def test_a_worker_that_was_not_given_the_storage_begins_no_run_beside(
    create: Create, tmp_path: Path
) -> None:
    """Before there is a checkpoint that would tell."""
    storage = f"sqlite:///{tmp_path}/study.db"
    create(storage=storage)
    for load in (create, lambda: load_staged_study(study_name="run", directory=tmp_path / "run")):
        with pytest.raises(ValueError, match="`storage` is another one there, but the dir"):
            load()
    assert not (tmp_path / "run" / "journal.log").exists()
    create(study_name="two", directory=tmp_path / "two")
    with pytest.raises(ValueError, match=r"\(None\) there, but another one was given"):
        create(study_name="two", directory=tmp_path / "two", storage=storage)


def test_a_damaged_run_json_is_named(create: Create, tmp_path: Path) -> None:
    create()
    path = tmp_path / "run" / "run.json"
    whole = path.read_text()
    for damaged in (
        "",
        whole[:-1],
        "[]",
        whole.replace('"schema_version": 1', '"schema_version": 2'),
        whole.replace('"seed": 0', '"seed": 1'),
    ):
        path.write_text(damaged)
        with pytest.raises(ValueError, match=r"run\.json cannot be read"):
            create()
        assert path.read_text() == damaged


def test_a_run_json_that_was_never_written_may_be_deleted(create: Create, tmp_path: Path) -> None:
    """As by a process that is killed between the two, where there are no hard links."""
    path = tmp_path / "run" / "run.json"
    path.parent.mkdir()
    path.touch()
    with pytest.raises(
        ValueError, match=r"run\.json cannot be read: it is empty.*delete the file"
    ):
        create()
    path.unlink()
    create()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"study_name": ""}, ValueError),
        ({"study_name": " a"}, ValueError),
        ({"study_name": "a/b"}, ValueError),
        ({"study_name": "a\nb"}, ValueError),
        ({"study_name": "a" * 501}, ValueError),
        ({"study_name": None}, TypeError),
        ({"direction": "up"}, ValueError),
        ({"seed": -1}, ValueError),
        ({"seed": None}, TypeError),
        ({"seed": True}, TypeError),
        ({"keep": "best"}, ValueError),
        ({"fingerprint": "abc"}, TypeError),
        ({"fingerprint": {"a": object()}}, TypeError),
        ({"fingerprint": {"a": float("nan")}}, TypeError),
        ({"directory": ""}, ValueError),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(
    create: Create, tmp_path: Path, options: dict[str, Any], error: type[Exception]
) -> None:
    [name] = options
    with pytest.raises(error, match=f"`{name}`"):
        create(**options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_stages": 0}, ValueError, "`n_stages` must be at least 1, but got 0"),
        (
            {"n_trials": 0},
            ValueError,
            "`n_trials` must be an int of at least 1, or several, but got 0",
        ),
        ({"n_trials": ()}, ValueError, "`n_trials`"),
        ({"n_trials": (2, 1.5)}, TypeError, "`n_trials`"),
        ({"n_trials": "12"}, TypeError, "`n_trials`"),
        ({"n_stages": 1.5}, TypeError, "`n_stages`"),
        ({"n_trials": True}, TypeError, "`n_trials`"),
        ({"enqueue": [{}, {}, {}]}, ValueError, "give an `n_trials` of at least 3"),
        ({"enqueue": [1]}, TypeError, "`enqueue`"),
        ({"enqueue": [{"x": np.int64(1)}]}, TypeError, r"`int\(x\)`.* np.int64\(1\)"),
        ({"objective": 3}, TypeError, "`objective`"),
    ],
)
def test_bad_plans_are_refused_before_anything_is_written(
    create: Create,
    tmp_path: Path,
    options: dict[str, Any],
    error: type[Exception],
    message: str,
    objective: Objective,
) -> None:
    staged = create()
    before = content(tmp_path)
    with pytest.raises(error, match=message):
        staged.optimize(**{"objective": objective, "n_stages": 1, "n_trials": 2, **options})
    assert content(tmp_path) == before


def test_an_objective_of_the_other_direction_is_refused(
    create: Create, tmp_path: Path, objective: Objective
) -> None:
    task: Any = lambda trial, stage: objective(trial, stage)  # noqa: E731
    task.direction = "minimize"
    staged = create()
    before = content(tmp_path)
    with pytest.raises(ValueError, match='"maximize", but the objective is one to minimize'):
        staged.optimize(task, 1, 2)
    assert content(tmp_path) == before
    task.direction = "maximize"
    staged.optimize(task, 1, 2)


def ranges(low: float, high: float, name: str = "x") -> Objective:
    def objective(trial: optuna.Trial, stage: Stage) -> float:
        x = trial.suggest_float(name, low, high)
        stage.save(trial, {"x": x})
        return x

    return objective


@pytest.mark.parametrize("n_stages", [1, 2])
def test_another_search_space_is_refused_and_changes_nothing(
    create: Create, n_stages: int
) -> None:
    create().optimize(ranges(0.0, 1.0), 1, 2)
    # Whatever stage it is resumed in, and even if `catch` would take the error.
    for n_trials in (3, 4):
        with pytest.raises(ValueError, match=r"'x' is FloatDistribution\(high=1\.0.*high=2\.0"):
            create().optimize(ranges(0.0, 2.0), 2, n_trials, catch=(Exception,))
    study = create().studies[-1]
    assert [trial.params for trial in study.trials] == [{}]
    staged = create()
    staged.optimize(ranges(0.0, 1.0), 1 + n_stages, 4)
    assert len(staged.schedule) == 1 + n_stages
    staged.optimize(ranges(0.0, 9.0, name="y"), 4, 4)
    assert set(staged.schedule[-1].params) == {"y"}


class Task:
    """An objective that says what it is, as ``VisionTask`` does."""

    def __init__(self, **fingerprint: Any) -> None:
        self.fingerprint = fingerprint
        self.numbers: list[int] = []

    def __call__(self, trial: optuna.Trial, stage: Stage) -> float:
        self.numbers.append(trial.number)
        stage.save(trial, {})
        return trial.suggest_float("x", 0.0, 1.0)


def test_another_objective_is_refused_and_changes_nothing(
    create: Create, tmp_path: Path, objective: Objective
) -> None:
    staged = create()
    staged.optimize(Task(model="small", shape=(8, 8)), 1, 2)
    before = content(tmp_path)
    message = (
        r"`fingerprint\['batch'\]` is '\(absent\)' there, but 5 was given; "
        r"`fingerprint\['model'\]` is 'small' there, but 'large' was given"
    )
    with pytest.raises(ValueError, match=message):
        create().optimize(Task(model="large", shape=(8, 8), batch=5), 2, 2)
    assert content(tmp_path) == before
    staged.optimize(Task(model="small", shape=(8, 8)), 2, 2)
    staged.optimize(objective, 3, 2)  # says nothing
    assert len(staged.schedule) == 3


def test_of_two_objectives_at_the_same_moment_one_is_refused(
    create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = Task(model="small"), Task(model="large")
    meeting = threading.Barrier(2)
    claim = Claims.next

    def meet(self: Claims, stage: int, ledger: Ledger) -> Claim | None:
        if not ledger.trials:
            meeting.wait()  # both have seen that there are no trials yet
        return claim(self, stage, ledger)

    errors: list[ValueError] = []

    def work(task: Task) -> None:
        try:
            create().optimize(task, 1, 4)
        except ValueError as error:
            errors.append(error)

    create()
    monkeypatch.setattr(Claims, "next", meet)
    threads = [threading.Thread(target=work, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [error] = errors
    assert "begun with another objective" in str(error)
    assert sorted(len(task.numbers) for task in tasks) == [0, 4]
    assert len(create().schedule) == 1


def test_load_if_exists(create: Create, tmp_path: Path) -> None:
    create(load_if_exists=False)
    with pytest.raises(DuplicatedStudyError):
        create(load_if_exists=False)
    storage = f"sqlite:///{tmp_path}/study.db"
    create(storage=storage, directory=tmp_path / "a")
    with pytest.raises(DuplicatedStudyError):
        create(storage=storage, directory=tmp_path / "b", load_if_exists=False)
    assert not (tmp_path / "b").exists()


def test_load(create: Create, tmp_path: Path, objective: Objective) -> None:
    directory = tmp_path / "run"
    with pytest.raises(KeyError):
        load_staged_study(study_name="run", directory=directory)
    assert not directory.exists()
    create(seed=3, direction="minimize").optimize(objective, 1, 2)
    staged = load_staged_study(study_name="run", directory=directory, sampler=random_sampler)
    assert (staged.study_name, staged.seed, staged.direction) == ("run", 3, "minimize")
    assert len(staged.schedule) == 1
    with pytest.raises(ValueError, match=r"but 'other' was given\. Give what .* begun with\.$"):
        load_staged_study(study_name="other", directory=directory)
    staged.optimize(objective, 2, 2)
    assert len(staged.schedule) == 2


def test_files_of_others_in_the_directory_are_left_alone(
    create: Create, tmp_path: Path, objective: Objective
) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "config.toml").write_text("a = 1")
    (tmp_path / "run" / "checkpoints" / "mine.safetensors").write_text("")
    create().optimize(objective, 2, 2)
    assert (tmp_path / "run" / "config.toml").exists()
    assert (tmp_path / "run" / "checkpoints" / "mine.safetensors").exists()
