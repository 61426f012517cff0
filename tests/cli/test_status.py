"""``optuna-gamma status`` and ``export``."""

from __future__ import annotations

from collections.abc import Callable
import csv
from dataclasses import replace
import io
import json
from pathlib import Path
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner
from typer.testing import Result

from optuna_gamma.cli import time_left
from optuna_gamma.cli.app import app
from optuna_gamma.cli.opening import open_run
from optuna_gamma.cli.options import TrainOptions
from optuna_gamma.cli.progress import seconds_left
from optuna_gamma.cli.time_left import remaining
from optuna_gamma.cli.time_left import seconds_per_epoch
from optuna_gamma.staged import create_staged_study
from optuna_gamma.staged import Stage
from optuna_gamma.staged import StagedStudy
from optuna_gamma.staged.lease import Lease
from optuna_gamma.staged.per_stage import PerStage


def objective(trial: optuna.Trial, stage: Stage) -> float:
    x = trial.suggest_float("x", 0.0, 1.0)
    stage.save(trial, {"x": x})
    if trial.number == 1:
        raise optuna.TrialPruned
    return float("nan") if trial.number == 2 else x


Begin = Callable[..., StagedStudy]


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    def begin(storage: str | None = None) -> StagedStudy:
        return create_staged_study(
            study_name="mine", directory=tmp_path / "run", storage=storage, sampler=None
        )

    return begin


def command(name: str, folder: Path, *options: str) -> Result:
    return CliRunner().invoke(app, [name, str(folder), *options])


def done(name: str, folder: Path, *options: str) -> str:
    result = command(name, folder, *options)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_status_of_a_run_that_goes_on(begin: Begin, tmp_path: Path) -> None:
    staged, folder = begin(), tmp_path / "run"
    assert "no trial was begun yet" in done("status", folder)
    seen: list[dict[str, object]] = []

    def looking(trial: optuna.Trial, stage: Stage) -> float:
        if (stage.number, trial.number) == (1, 1):
            seen.append(json.loads(done("status", folder, "--json")))
            assert "mine: 1 of 3 stages finished, 1 trial running" in done("status", folder)
            trial.study.stop()
        return objective(trial, stage)

    staged.optimize(looking, 3, 4)
    [status] = seen
    assert (status["n_stages"], status["n_finished"], status["n_running"]) == (3, 1, 1)
    first, second = status["stages"]  # type: ignore[misc]
    assert (first["complete"], first["pruned"], first["failed"]) == (2, 1, 1)
    assert first["promoted"]
    assert not second["promoted"]
    assert second["running"] == 1
    assert first["best"]["number"] == staged.schedule[0].trial_number
    lines = done("status", folder).splitlines()
    assert "nobody is working on it" in lines[0]
    assert any(words[:2] == ["1/3", "4/4"] for line in lines if (words := line.split()))


def test_status_tells_the_dead_from_the_living(begin: Begin, tmp_path: Path) -> None:
    begin()
    program = (
        "import os\nfrom optuna_gamma import load_staged_study\n"
        f"staged = load_staged_study(study_name='mine', directory={str(tmp_path / 'run')!r})\n"
        "staged.optimize(lambda trial, stage: os._exit(9), 2, 2)"
    )
    killed = subprocess.run([sys.executable, "-c", program], check=False)
    assert killed.returncode == 9
    status = json.loads(done("status", tmp_path / "run", "--json"))
    assert status["n_running"] == 0
    assert status["stages"][0]["interrupted"] == 1


def test_the_time_left_is_that_of_the_trials_left(finished: tuple[Path, Result]) -> None:
    folder, _ = finished
    status = open_run(str(folder), None).status()
    options = TrainOptions.read(folder)
    assert remaining(status, options, PerStage((2,))) == (0, 0)
    assert json.loads(done("status", folder, "--json"))["seconds_left"] == 0.0
    longer = replace(options, stages=4, trials=(3, 1))
    assert remaining(status, longer, PerStage((2, 5))) == (4, 11)


def test_the_first_trial_tells_how_long_an_epoch_takes(begin: Begin) -> None:
    staged, found = begin(), []

    def training(trial: optuna.Trial, stage: Stage) -> float:
        for step in range(2):
            found.append(seconds_per_epoch(staged.status()))
            trial.report(0.0, step)
        found.append(seconds_per_epoch(staged.status()))
        return objective(trial, stage)

    staged.optimize(training, 1, 1)
    assert found[0] is None
    assert all(seconds is not None and seconds > 0.0 for seconds in found[1:])


def test_a_trial_taken_over_takes_the_time_of_its_new_worker(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged, found = begin(), []
    options = SimpleNamespace(stages=1, trials=1, epochs_per_stage=4)
    dies = iter([True, False])

    def look(trial: optuna.Trial) -> None:
        begun = Lease.of(trial.study.trials[0]).begun
        assert begun is not None
        clock = SimpleNamespace(time=lambda: begun + 10.0)
        monkeypatch.setattr(time_left, "time", clock)
        status = staged.status()
        found.append((seconds_per_epoch(status), seconds_left(status, options)))  # type: ignore

    def training(trial: optuna.Trial, stage: Stage) -> float:
        if next(dies):
            for step in range(3):
                trial.report(0.0, step)
            raise KeyboardInterrupt
        look(trial)
        trial.report(0.0, 0)
        look(trial)
        return objective(trial, stage)

    with pytest.raises(KeyboardInterrupt):
        staged.optimize(training, 1, 1)
    staged.optimize(training, 1, 1)
    assert found == [(None, None), (pytest.approx(10.0), pytest.approx(30.0))]


@pytest.mark.parametrize("url", [None, "sqlite:///{}/study.db"])
def test_export_schedule_and_trials(begin: Begin, tmp_path: Path, url: str | None) -> None:
    storage = url and url.format(tmp_path)
    staged, folder = begin(storage), tmp_path / "run"
    staged.optimize(objective, 2, 4)
    where = ["--storage", storage] if storage else []
    assert done("export", folder, *where) == staged.schedule.to_csv()
    file = tmp_path / "new" / "schedule.json"
    assert done("export", folder, "--to", str(file), *where) == ""
    assert file.read_text() == staged.schedule.to_json()
    printed = done("export", folder, "--what", "trials", *where)
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert [(row["stage"], row["number"]) for row in rows] == [
        (str(stage), str(number)) for stage in range(2) for number in range(4)
    ]
    promoted = [int(row["number"]) for row in rows if row["promoted"] == "True"]
    assert promoted == [record.trial_number for record in staged.schedule]
    as_json = json.loads(done("export", folder, "--what", "trials", "--format", "json", *where))
    assert [row["params_x"] for row in as_json] == [float(row["params_x"]) for row in rows]


def test_export_weights(finished: tuple[Path, Result], tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    folder, _ = finished
    for name in ("weights.safetensors", "weights.pt"):
        done("export", folder, "--what", "weights", "--to", str(tmp_path / name))
    weights = load_file(tmp_path / "weights.safetensors")
    written = load_file(folder / "best.safetensors")
    loaded = torch.load(tmp_path / "weights.pt")
    assert weights.keys() == written.keys() == loaded.keys()
    for name, tensor in written.items():
        np.testing.assert_array_equal(weights[name], tensor)
        np.testing.assert_array_equal(loaded[name], tensor)


def test_export_weights_of_numpy_without_torch(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def objective(trial: optuna.Trial, stage: Stage) -> float:
        stage.save(trial, {"model": {"w": np.arange(3.0)}})
        return trial.suggest_float("x", 0.0, 1.0)

    begin().optimize(objective, n_stages=1, n_trials=1)
    monkeypatch.setitem(sys.modules, "torch", None)
    folder, file = tmp_path / "run", tmp_path / "weights.safetensors"
    done("export", folder, "--what", "weights", "--to", str(file))
    np.testing.assert_array_equal(load_file(file)["w"], np.arange(3.0))

    monkeypatch.delitem(sys.modules, "safetensors.torch", raising=False)
    result = command("export", folder, "--what", "weights", "--to", str(tmp_path / "weights.pt"))
    assert result.exit_code == 1
    assert "pip install 'optuna-gamma[train]'" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--what", "weights"], "give the file to write them to with --to"),
        (["--what", "weights", "--to", "x.csv"], "not as csv: give one of them with --format"),
        (["--what", "weights", "--to", "x.PT"], "only its trials can be exported"),
        (["--format", "pt"], "csv or json, not as pt"),
        ([], "No stage of the run"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    begin: Begin, tmp_path: Path, options: list[str], said: str
) -> None:
    begin()
    result = command("export", tmp_path / "run", *options)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("name", ["status", "export", "clean", "worker", "replay", "report"])
def test_a_folder_is_given_once(name: str, tmp_path: Path) -> None:
    for arguments in ([], [str(tmp_path), "--out", str(tmp_path)]):
        result = CliRunner().invoke(app, [name, *arguments])
        assert result.exit_code == 2
        assert "Give the folder of the run, as DIR or with --out." in result.stderr


@pytest.mark.parametrize("missing", ["plotly", "torch", "optuna_dashboard"])
@pytest.mark.parametrize(
    "name", ["status", "export", "clean", "worker", "replay", "report", "dashboard"]
)
def test_a_folder_that_is_not_there_is_named_before_a_missing_extra(
    name: str, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    (tmp_path / "file").write_text("")
    for given in ("absent", "file"):
        result = command(name, tmp_path / given)
        assert result.exit_code == 2, result.output
        assert f"There is no folder {tmp_path / given}: give the folder of a" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_database_has_to_be_given(begin: Begin, tmp_path: Path) -> None:
    begin(f"sqlite:///{tmp_path}/study.db")
    result = command("status", tmp_path / "run")
    assert result.exit_code == 2
    assert "give its URL with --storage" in result.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///{}/new.db", "There is no database"),
        ("sqlite:///{}", "--storage cannot be opened"),
        ("nodatabase://x", "--storage is a URL of nodatabase, for which there is no driver"),
        ("oracle://me@host/x", "--storage is a URL of oracle, for which there is no driver"),
    ],
)
@pytest.mark.parametrize("name", ["status", "export"])
def test_a_database_that_cannot_be_opened_is_not_made(
    begin: Begin, tmp_path: Path, name: str, url: str, said: str
) -> None:
    begin(f"sqlite:///{tmp_path}/study.db")
    before = sorted(tmp_path.rglob("*"))
    result = command(name, tmp_path / "run", "--storage", url.format(tmp_path))
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["status", "export", "report", "clean"])
def test_who_reads_is_told_where_the_run_is_and_not_how_to_begin_one(
    begin: Begin, tmp_path: Path, name: str
) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    begin()
    result = command(name, tmp_path / "run", "--storage", url)
    assert result.exit_code == 2, result.output
    assert "are in the folder itself: leave --storage out" in result.stderr

    for run in "abcdef":
        create_staged_study(study_name=run, directory=tmp_path / run, storage=url)
    elsewhere = "sqlite://"  # in memory
    create_staged_study(study_name="g", directory=tmp_path / "g", storage=elsewhere)
    result = command(name, tmp_path / "g", "--storage", url)
    assert result.exit_code == 2, result.output
    assert "'g', but 'a', 'b', 'c', 'd', 'e', …: give the --storage that" in result.stderr

    (tmp_path / "run" / "journal.log").unlink()
    result = command(name, tmp_path / "run")
    assert result.exit_code == 2, result.output
    assert f"There is no {tmp_path}/run/journal.log, where the run keeps its tr" in result.stderr


@pytest.mark.parametrize("accuracy", [[0.9], None, "97 %", float("nan")])
def test_what_programs_keep_is_shown_as_it_is(
    begin: Begin, tmp_path: Path, accuracy: object
) -> None:
    activations = ["[/b]", "[relu]", ":smile:"]

    def objective(trial: optuna.Trial, stage: Stage) -> float:
        trial.set_user_attr("accuracy", accuracy)
        trial.set_user_attr("nested", {"loss": [float("inf")]})
        trial.suggest_float("x", 0.0, 1.0)
        trial.suggest_categorical("activation", [activations[stage.number]])
        stage.save(trial, {})
        return 1.0

    for number, activation in enumerate(activations):
        folder = tmp_path / str(number)
        staged = create_staged_study(study_name="[mine]", directory=folder)
        activations = [activation]
        staged.optimize(objective, n_stages=1, n_trials=1)
        shown = done("status", folder)
        assert shown.startswith("[mine]: 1 of 1 stage finished")
        assert activation in shown
        for options in (["status", str(folder), "--json"], ["export", str(folder), *TRIALS]):
            result = CliRunner().invoke(app, options)
            json.loads(result.stdout, parse_constant=pytest.fail)


TRIALS = ("--what", "trials", "--format", "json")


W = np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ([W], "but a value of type list"),
        ({"model": W}, "but ['model']"),
        ({"model": None, "averaged": None}, "but ['averaged', 'model']"),
        ({"model": {0: W}}, "give pt as --format"),
        ({"model": {"layer": {"w": W}}}, "'layer' is of type dict"),
        ({"model": {"w": W, "b": 0.5}}, "'b' is of type float"),
        ({"model": {"w": W.astype(complex)}}, "give pt as --format"),
        ({"model": {"w": np.array(["a"])}}, "give pt as --format"),
    ],
)
def test_weights_that_safetensors_does_not_hold_are_refused(
    begin: Begin, tmp_path: Path, state: object, said: str
) -> None:
    def objective(trial: optuna.Trial, stage: Stage) -> float:
        stage.save(trial, state)
        return trial.suggest_float("x", 0.0, 1.0)

    begin().optimize(objective, n_stages=1, n_trials=1)
    to = tmp_path / "weights.safetensors"
    result = command("export", tmp_path / "run", "--what", "weights", "--to", str(to))
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "load_best()" in result.stderr
    assert not to.exists()


def test_the_model_is_exported_where_nothing_is_averaged(begin: Begin, tmp_path: Path) -> None:
    def objective(trial: optuna.Trial, stage: Stage) -> float:
        stage.save(trial, {"model": {"w": W}, "averaged": None})
        return trial.suggest_float("x", 0.0, 1.0)

    begin().optimize(objective, n_stages=1, n_trials=1)
    to = tmp_path / "weights.safetensors"
    done("export", tmp_path / "run", "--what", "weights", "--to", str(to))
    np.testing.assert_array_equal(load_file(to)["w"], W)


@pytest.mark.parametrize("name", ["export", "report"])
@pytest.mark.parametrize("to", ["run", "file/x.csv"])
def test_a_file_that_cannot_be_written_is_the_users_to_mend(
    begin: Begin, tmp_path: Path, name: str, to: str
) -> None:
    begin().optimize(objective, n_stages=1, n_trials=1)
    (tmp_path / "file").write_text("")
    result = command(name, tmp_path / "run", "--to", str(tmp_path / to))
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(f"Error: {tmp_path / to.partition('/')[0]}: ")


def test_nobody_takes_no_time(begin: Begin) -> None:
    staged = begin()

    def killed(trial: optuna.Trial, stage: Stage) -> float:
        trial.report(0.0, 0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        staged.optimize(killed, 1, 1)
    status = staged.status()
    assert status.stages[0].n_abandoned == 1
    assert seconds_per_epoch(status) is None


def test_status_does_not_send_back_to_what_cannot_go_on(begin: Begin, tmp_path: Path) -> None:
    def failing(trial: optuna.Trial, stage: Stage) -> float:
        trial.suggest_float("x", 0.0, 1.0)
        return float("nan")

    with pytest.raises(RuntimeError, match="no trial to promote"):
        begin().optimize(failing, 1, 2)
    shown = done("status", tmp_path / "run")
    assert "no trial of stage 1 can be promoted" in shown
    assert "resumes it" not in shown
