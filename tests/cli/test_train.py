"""What ``optuna-gamma train`` does and leaves."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from PIL import Image
import pytest
from safetensors import safe_open
from safetensors.torch import load_file
from sklearn.datasets import load_digits
import torch
from typer.testing import CliRunner
from typer.testing import Result

from optuna_gamma import load_staged_study
from optuna_gamma.cli.app import app
from optuna_gamma.cli.options import TrainOptions
from optuna_gamma.cli.task import create_task
from optuna_gamma.staged import StagedSchedule
from optuna_gamma.vision import create_model
from optuna_gamma.vision import load_dataset


FILES = {
    "schedule.json",
    "metrics.json",
    "best.safetensors",
    "confusion.png",
    "schedule.png",
    "config.toml",
}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _trials(out: Path) -> list[list[tuple[Any, ...]]]:
    staged = load_staged_study(study_name="digits", directory=out)
    return [
        [(t.number, t.state, t.params, t.values, t.user_attrs) for t in study.trials]
        for study in staged.studies
    ]


def test_table_and_messages(finished: tuple[Path, Result]) -> None:
    out, result = finished
    assert "Epochs in total: 2 stages × 3 trials × 2 = 12, of which 4 are kept" in result.stderr
    assert "The first trial took" in result.stderr
    assert "for the other 5" in result.stderr
    assert not set("\x1b\r") & set(result.output)  # neither colours nor a bar in a pipe
    for record, stage in zip(
        _read(out / "schedule.json")["stages"], _read(out / "metrics.json")["stages"], strict=True
    ):
        row = next(
            line
            for line in result.stdout.splitlines()
            if line.split()[:1] == [str(record["number"] + 1)]
        )
        attrs, test = record["user_attrs"], stage["test"]
        assert row.split() == [
            str(record["number"] + 1),
            f"{record['params']['lr']:.4g}",
            f"{attrs['kappa']:.1f}",
            f"{attrs['accuracy']:.2%}",
            f"{test['accuracy']:.2%}",
            f"{test['loss']:.4f}",
            f"{test['sensitivity']:.2%}",
            f"{test['specificity']:.2%}",
            f"{test['mcc']:.4f}",
        ]
    for name in FILES:
        assert str(out / name) in result.stdout
    assert "--stages" in result.stdout


def test_files(finished: tuple[Path, Result]) -> None:
    out, _ = finished
    assert {path.name for path in out.iterdir()} >= FILES
    data = load_dataset("digits", n_train=100, n_valid=60)
    metrics = _read(out / "metrics.json")
    assert metrics["epochs_spent"] == 12
    assert metrics["epochs_kept"] == 4
    assert metrics["seconds"] > 0
    assert metrics["seed"] == 0
    assert metrics["versions"]["optuna"] == optuna.__version__

    # What is reported is what the weights do.
    with safe_open(out / "best.safetensors", framework="np") as file:
        about = json.loads(file.metadata()["optuna-gamma"])
    model = create_model(about["model"], tuple(about["input_shape"]), len(about["classes"]))
    model.load_state_dict(load_file(out / "best.safetensors"))
    assert about["mean"] == pytest.approx(data.mean)
    with torch.no_grad():
        answers = model.eval()(data.test[0]).argmax(1)
    accuracy = (answers == data.test[1]).double().mean().item()
    assert metrics["final"]["test"]["accuracy"] == accuracy
    assert metrics["final"]["test"]["accuracy"] == metrics["stages"][-1]["test"]["accuracy"]
    assert np.trace(metrics["final"]["test"]["confusion"]) == round(accuracy * 360)
    assert metrics["stages"][0]["test"] != metrics["stages"][1]["test"]
    for picture in ("confusion.png", "schedule.png"):
        assert (out / picture).read_bytes().startswith(b"\x89PNG")


def test_test_images_decide_nothing(finished: tuple[Path, Result]) -> None:
    out, _ = finished
    staged = load_staged_study(study_name="digits", directory=out)
    for study, record in zip(staged.studies, staged.schedule, strict=True):
        assert record.trial_number == study.best_trial.number
        assert study.user_attrs["test"]
        for trial in study.trials:
            assert not any("test" in key for key in (*trial.user_attrs, *trial.system_attrs))


def test_every_trial_is_trained_to_its_end(tmp_path: Path, trained: Callable[..., Result]) -> None:
    trained(tmp_path / "run", "--stages", "1", "--trials", "9", "--sampler", "grid", "-q")
    (trials,) = _trials(tmp_path / "run")
    assert {state for _, state, *_ in trials} == {optuna.trial.TrialState.COMPLETE}


@pytest.mark.parametrize("sampler", ["gaussian", "conjugate", "gp", "tpe", "random"])
def test_samplers(tmp_path: Path, sampler: str, trained: Callable[..., Result]) -> None:
    trained(tmp_path / "run", "--sampler", sampler, "--stages", "1", "--trials", "6", "-q")
    (trials,) = _trials(tmp_path / "run")
    assert len(trials) == 6
    assert len({params["lr"] for _, _, params, *_ in trials}) >= 5  # GPSampler may repeat one


def test_grid_tries_every_rate_in_every_stage(
    tmp_path: Path, trained: Callable[..., Result]
) -> None:
    trained(tmp_path / "run", "--sampler", "grid", "--lr-min", "0.01", "--lr-max", "0.04")
    for trials in _trials(tmp_path / "run"):
        rates = [params["lr"] for _, _, params, *_ in trials]
        assert rates == pytest.approx([0.01, 0.02, 0.04])


@pytest.mark.parametrize("objective", ["accuracy", "loss"])
def test_objectives(tmp_path: Path, objective: str, trained: Callable[..., Result]) -> None:
    trained(tmp_path / "run", "--objective", objective)
    best = min if objective == "loss" else max
    records = _read(tmp_path / "run" / "schedule.json")["stages"]
    for trials, record in zip(_trials(tmp_path / "run"), records, strict=True):
        assert record["value"] == best(attrs[objective] for *_, attrs in trials)


def test_a_run_goes_on_with_its_own_trials(tmp_path: Path) -> None:
    sizes = ["--n-train", "100", "--n-valid", "60", "--device", "cpu", "--out", str(tmp_path)]
    first = ["train", *sizes, "--stages", "2", "--trials", "2,1", "--epochs-per-stage", "1", "-q"]
    for command in (first, ["train", *sizes, "--stages", "4"]):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
    assert [len(trials) for trials in _trials(tmp_path)] == [2, 1, 2, 1]
    config = (tmp_path / "config.toml").read_text()
    assert "trials = [2, 1]\n" in config
    assert "quiet = false\n" in config


def test_everything_searched(tmp_path: Path, trained: Callable[..., Result]) -> None:
    out = tmp_path / "run"
    options = ["--momentum", "0.5:0.9", "--batch-size", "10:40", "--weight-decay", "1e-5:1e-2"]
    options += ["--dropout", "0.1:0.5", "--nesterov", "--augment", "crop"]
    options += ["--class-weights", "balanced", "--averaging", "tail"]
    result = trained(out, *options)
    config = (out / "config.toml").read_text()
    assert "batch-size = [10, 40]\n" in config
    assert 'augment = ["crop"]\n' in config
    for trials in _trials(out):
        for _, _, params, *_ in trials:
            assert params.keys() == {"lr", "momentum", "batch_size", "weight_decay", "dropout"}
            assert 10 <= params["batch_size"] <= 40
            assert 0.5 <= params["momentum"] <= 0.9
    status = CliRunner().invoke(app, ["status", str(out)])
    assert "batch_size" in status.stdout
    assert max(map(len, status.stdout.splitlines())) <= 80
    (heading,) = [line for line in result.stdout.splitlines() if "Batch size" in line]
    assert heading.split() == ["Stage", "Momentum", "Weight", "decay", "Batch", "size", "Dropout"]
    # The same command resumes, a worker takes the options from the folder, replay the schedule.
    files = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert trained(out, *options).stdout == result.stdout
    worker = CliRunner().invoke(app, ["worker", "--out", str(out)])
    assert worker.exit_code == 0, worker.output
    assert files == {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    replay = CliRunner().invoke(app, ["replay", "--out", str(out), "--seeds", "1"])
    assert replay.exit_code == 0, replay.output


def test_averaged_weights_are_what_a_run_ends_with(
    tmp_path: Path, trained: Callable[..., Result]
) -> None:
    out = tmp_path / "run"
    trained(out, "--averaging", "tail")
    state = load_staged_study(study_name="digits", directory=out).load_best()
    weights = load_file(out / "best.safetensors")
    assert all(weights[name].equal(tensor) for name, tensor in state["averaged"].items())
    assert any(not weights[name].equal(tensor) for name, tensor in state["model"].items())
    # A replay with the run's own seed is the run, down to the averages.
    metrics = _read(out / "metrics.json")
    task = create_task(TrainOptions.read(out))
    replayed = StagedSchedule.from_json((out / "schedule.json").read_bytes()).replay(task, seed=0)
    test = task.evaluate(replayed.state, "test")
    assert test.accuracy == metrics["final"]["test"]["accuracy"]
    assert test.loss == metrics["final"]["test"]["loss"]


def test_adamw(tmp_path: Path, trained: Callable[..., Result]) -> None:
    trained(tmp_path / "run", "--optimizer", "adamw", "--class-weights", "1,1,1,1,1,1,1,1,1,2")
    config = (tmp_path / "run" / "config.toml").read_text()
    assert "lr-min = 0.0001\nlr-max = 0.03\n" in config
    assert all(
        1e-4 <= params["lr"] <= 0.03
        for trials in _trials(tmp_path / "run")
        for _, _, params, *_ in trials
    )


def test_folder_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: Callable[..., Result]
) -> None:
    images = load_digits().images.astype(np.uint8)
    for k, label in enumerate(load_digits().target[:300]):
        folder = tmp_path / "images" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[k]).save(folder / f"{k}.png")
    monkeypatch.chdir(tmp_path)
    trained(tmp_path / "run", "--dataset", "folder:images", "--stages", "1")
    metrics = _read(tmp_path / "run" / "metrics.json")
    assert np.sum(metrics["final"]["test"]["confusion"]) == 60
    assert metrics["fingerprint"]["dataset"] == "folder"
    monkeypatch.chdir(tmp_path / "run")  # where there are no images
    result = CliRunner().invoke(app, ["worker", "--out", str(tmp_path / "run"), "-q"])
    assert result.exit_code == 0, result.output


def test_quiet(tmp_path: Path, trained: Callable[..., Result]) -> None:
    result = trained(tmp_path / "run", "--quiet")
    assert result.stderr == ""
    assert "Learning" in result.stdout
    assert str(tmp_path) not in result.stdout


def test_threads(tmp_path: Path, trained: Callable[..., Result]) -> None:
    trained(tmp_path / "run", "--threads", "2", "--stages", "1", "--trials", "1")
    assert torch.get_num_threads() == 2
    assert "threads = 2\n" in (tmp_path / "run" / "config.toml").read_text()


def test_storage_and_name(tmp_path: Path, trained: Callable[..., Result]) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    trained(tmp_path / "run", "--storage", url, "--name", "ours", "--stages", "1")
    assert not (tmp_path / "run" / "journal.log").exists()
    (study,) = optuna.get_all_study_summaries(url)
    assert study.study_name == "ours/stage-000"


def test_default_stage_is_long_enough(tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ["--n-train", "100", "--batch-size", "5", "--stages", "1", "--lr-max", "0.01"]
    result = CliRunner().invoke(app, ["train", *options, "--trials", "1", "--out", str(out)])
    assert result.exit_code == 0
    assert _read(out / "metrics.json")["epochs_spent"] == 13  # 20 steps each: 260 steps
    assert "epochs-per-stage = 13\n" in (out / "config.toml").read_text()


def test_stages_that_train_on(train: Callable[..., Result], tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ["--trials", "3,1", "--epochs-per-stage", "1,2", "--stages", "4"]
    result = train(out, *options)
    assert result.exit_code == 0
    assert "3 × 1 + 1 × 2 + 3 × 1 + 1 × 2 = 10, of which 6 are kept" in result.stderr
    assert [len(trials) for trials in _trials(out)] == [3, 1, 3, 1]
    metrics = _read(out / "metrics.json")
    assert (metrics["epochs_spent"], metrics["epochs_kept"]) == (10, 6)
    assert "trials = [3, 1]" in (out / "config.toml").read_text()
    again = train(out, *options)
    assert "finished" in again.stderr
    assert again.stdout == result.stdout


def test_default_epochs_stay_when_trials_are_added(tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = [
        "train",
        "--n-train",
        "600",
        "--n-valid",
        "60",
        "--batch-size",
        "5",
        "--out",
        str(out),
    ]
    first = CliRunner().invoke(app, [*options, "--trials", "2,1", "--stages", "1"])
    assert "2 × 3 = 6" in first.stderr
    more = CliRunner().invoke(app, [*options, "--trials", "3,1", "--stages", "2"])
    assert more.exit_code == 0, more.output
    assert "2 × 3" not in more.stderr
    assert _read(out / "metrics.json")["epochs_spent"] == 2 * 3 + 18
    shorter = CliRunner().invoke(app, [*options, "--trials", "3,1", "--stages", "1"])
    assert shorter.exit_code == 2
    assert "begun with --stages = 2, but 1 was given" in shorter.stderr


def test_home_is_what_the_tilde_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: list[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    one = ["--stages", "1", "--trials", "1", "--epochs-per-stage", "1"]
    result = CliRunner().invoke(app, ["train", *small, *one, "--out=~/run"])
    assert result.exit_code == 0, result.output
    assert "Epochs in total: 1 stage × 1 trial × 1 = 1," in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    status = CliRunner().invoke(app, ["status", "--out=~/run"])
    assert "1 of 1 stage finished" in status.stdout
