from __future__ import annotations

from collections.abc import Iterator
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import optuna
import pytest
from safetensors import safe_open
from safetensors.torch import load_file
import torch
from typer.testing import CliRunner
from typer.testing import Result

from optuna_gamma import load_staged_study
from optuna_gamma.cli.app import app
from optuna_gamma.cli.options import TrainOptions
from optuna_gamma.vision import create_model
from optuna_gamma.vision import load_dataset


SMALL = [
    *("--n-train", "100", "--n-valid", "60", "--epochs-per-stage", "2"),
    *("--stages", "2", "--trials", "3", "--device", "cpu"),
]
FILES = {
    "schedule.json",
    "metrics.json",
    "best.safetensors",
    "confusion.png",
    "schedule.png",
    "config.toml",
}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threads, verbosity = torch.get_num_threads(), optuna.logging.get_verbosity()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    optuna.logging.set_verbosity(verbosity)


def _train(out: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["train", *SMALL, "--out", str(out), *options])


def _trained(out: Path, *options: str) -> Result:
    result = _train(out, *options)
    assert result.exit_code == 0, result.output
    return result


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _trials(out: Path) -> list[list[tuple[Any, ...]]]:
    staged = load_staged_study(study_name="digits", directory=out)
    return [
        [(t.number, t.state, t.params, t.values, t.user_attrs) for t in study.trials]
        for study in staged.studies
    ]


def _python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        check=False,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    return out, _trained(out)


def test_help_imports_nothing_heavy() -> None:
    done = _python(
        "import sys; from optuna_gamma.cli import main\n"
        "try: main()\n"
        "finally: print([m for m in ('torch', 'optuna', 'numpy') if m in sys.modules])",
        "train",
        "--help",
    )
    assert done.returncode == 0
    assert "--epochs-per-stage" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("optuna-gamma 0.1")


@pytest.mark.parametrize(("missing", "extra"), [("typer", "cli"), ("torch", "train")])
def test_missing_extra_names_the_pip_command(missing: str, extra: str) -> None:
    script = f"import sys; sys.modules['{missing}'] = None\n" + (
        "from optuna_gamma.cli import main; main()"
    )
    done = _python(script, "train")
    assert done.returncode == 1
    assert f"pip install 'optuna-gamma[{extra}]'" in done.stderr
    assert done.stderr.count("\n") == 1


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


def test_same_command_shows_a_finished_run_again(
    finished: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, first = finished
    monkeypatch.delattr("optuna_gamma.vision.task.train_epoch")
    before = _contents(out)
    again = _trained(out)
    assert again.stdout == first.stdout
    assert "finished" in again.stderr
    assert _contents(out) == before


def test_more_stages_extend_the_run(tmp_path: Path, finished: tuple[Path, Result]) -> None:
    two = _read(finished[0] / "schedule.json")["stages"]
    out = tmp_path / "run"
    _trained(out, "--stages", "1")
    assert _read(out / "schedule.json")["stages"] == two[:1]
    result = _trained(out)
    assert "3 trials are left" in result.stderr
    assert _read(out / "schedule.json")["stages"] == two
    assert _read(out / "metrics.json")["stages"] == _read(finished[0] / "metrics.json")["stages"]


@pytest.mark.parametrize("epoch", [3, 8])
def test_killed_run_resumes_as_if_undisturbed(
    tmp_path: Path, finished: tuple[Path, Result], epoch: int
) -> None:
    """``kill -9`` when an epoch has been trained: of 12, two a trial, six a stage."""
    out = tmp_path / "run"
    script = f"""
import os, signal
from optuna_gamma.cli import main
from optuna_gamma.vision import task
train_epoch, calls = task.train_epoch, []
def killed(*arguments):
    calls.append(train_epoch(*arguments))
    if len(calls) == {epoch}:
        os.kill(os.getpid(), signal.SIGKILL)
    return calls[-1]
task.train_epoch = killed
main()
"""
    done = _python(script, "train", *SMALL, "--out", str(out))
    assert done.returncode == -signal.SIGKILL, done.stderr
    before = [trials for stage in _trials(out) for trials in stage]
    result = _trained(out)
    assert f"{6 - (epoch - 1) // 2} trials are left" in result.stderr
    assert _trials(out) == _trials(finished[0])
    finished_before = [t for t in before if t[1].is_finished()]
    assert len(finished_before) == (epoch - 1) // 2
    name = "schedule.json"
    assert (out / name).read_bytes() == (finished[0] / name).read_bytes()
    there, here = _read(finished[0] / "metrics.json"), _read(out / "metrics.json")
    for key in ("stages", "final", "epochs_spent"):
        assert there[key] == here[key]
    assert load_file(out / "best.safetensors").keys()
    for key, weights in load_file(finished[0] / "best.safetensors").items():
        assert weights.equal(load_file(out / "best.safetensors")[key])


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    from optuna_gamma.vision import task

    train_epoch, out = task.train_epoch, tmp_path / "run"

    def interrupted(*arguments: Any) -> float:
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
        monkeypatch.setattr("optuna_gamma.vision.task.train_epoch", train_epoch)
        return train_epoch(*arguments)

    monkeypatch.setattr("optuna_gamma.vision.task.train_epoch", interrupted)
    result = _train(out)
    assert result.exit_code == 130
    finished = [state.is_finished() for _, state, *_ in _trials(out)[0]]
    assert finished == [times == 1]
    if times == 1:
        assert "0 of 2 stages finished" in result.stderr
        assert "same command resumes" in result.stderr
    monkeypatch.setattr("optuna_gamma.vision.task.train_epoch", train_epoch)
    _trained(out)


def test_every_trial_is_trained_to_its_end(tmp_path: Path) -> None:
    _trained(tmp_path / "run", "--stages", "1", "--trials", "9", "--sampler", "grid", "-q")
    (trials,) = _trials(tmp_path / "run")
    assert {state for _, state, *_ in trials} == {optuna.trial.TrialState.COMPLETE}


@pytest.mark.parametrize("sampler", ["gaussian", "conjugate", "gp", "tpe", "random"])
def test_samplers(tmp_path: Path, sampler: str) -> None:
    _trained(tmp_path / "run", "--sampler", sampler, "--stages", "1", "--trials", "6", "-q")
    (trials,) = _trials(tmp_path / "run")
    assert len({params["lr"] for _, _, params, *_ in trials}) == 6


def test_grid_tries_every_rate_in_every_stage(tmp_path: Path) -> None:
    _trained(tmp_path / "run", "--sampler", "grid", "--lr-min", "0.01", "--lr-max", "0.04")
    for trials in _trials(tmp_path / "run"):
        rates = [params["lr"] for _, _, params, *_ in trials]
        assert rates == pytest.approx([0.01, 0.02, 0.04])


@pytest.mark.parametrize("objective", ["accuracy", "loss"])
def test_objectives(tmp_path: Path, objective: str) -> None:
    _trained(tmp_path / "run", "--objective", objective)
    best = min if objective == "loss" else max
    records = _read(tmp_path / "run" / "schedule.json")["stages"]
    for trials, record in zip(_trials(tmp_path / "run"), records, strict=True):
        assert record["value"] == best(attrs[objective] for *_, attrs in trials)


def test_quiet(tmp_path: Path) -> None:
    result = _trained(tmp_path / "run", "--quiet")
    assert result.stderr == ""
    assert "Learning" in result.stdout
    assert str(tmp_path) not in result.stdout


def test_threads(tmp_path: Path) -> None:
    _trained(tmp_path / "run", "--threads", "2", "--stages", "1", "--trials", "1")
    assert torch.get_num_threads() == 2
    assert "threads = 2\n" in (tmp_path / "run" / "config.toml").read_text()


def test_storage_and_name(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    _trained(tmp_path / "run", "--storage", url, "--name", "ours", "--stages", "1")
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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--stages 0", "--stages"),
        ("--trials -1", "--trials"),
        ("--epochs-per-stage 0", "--epochs-per-stage"),
        ("--sampler bayes", "--sampler"),
        ("--objective f1", "--objective"),
        ("--seed -1", "--seed"),
        ("--stagse 3", "--stagse"),
        ("--dataset imagenet", "Unknown data set 'imagenet'; known are digits, mnist"),
        ("--dataset npz:absent.npz", "no file absent.npz"),
        ("--model lenet", "Unknown network 'lenet'"),
        ("--n-train 5000", "Cannot take 5000 images to train"),
        ("--n-train 3", "at least the number of classes, 10"),
        ("--lr-min 0", "--lr-min and --lr-max must be positive and in this order"),
        ("--lr-min 0.9", "but got 0.9 and 0.5"),
        ("--momentum 1", "--momentum must be in [0, 1), but got 1.0"),
        ("--weight-decay -1", "--weight-decay must not be negative"),
        ("--device abacus", "no device 'abacus'"),
        ("--storage nonsense", "--storage cannot be opened"),
        ("--name a/b", "--name must be"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = _train(tmp_path / "run", *options.split())
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_remote_folder_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", *SMALL, "--out", "s3://bucket/run"])
    assert result.exit_code == 2
    assert "--out must be a local folder" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--seed 1", "--seed is 0 there, but 1 was given"),
        ("--batch-size 10", "--batch-size is 50 there, but 10 was given"),
        ("--n-train 101", "the hash of the images"),
        ("--sampler random", "--sampler is 'gamma' there, but 'random' was given"),
        ("--lr-max 0.4", "--lr-max is 0.5 there"),
        ("--name other", "--name is 'digits' there, but 'other' was given"),
        ("--stages 1", "--stages = 2, but 1 was given"),
        ("--trials 2", "--trials = 3, but 2 was given"),
    ],
)
def test_folder_of_another_run_is_refused_and_left_alone(
    finished: tuple[Path, Result], options: str, said: str
) -> None:
    out, _ = finished
    before = _contents(out)
    result = _train(out, *options.split())
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert _contents(out) == before


def test_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    out = tmp_path / "run"
    _trained(out, "--stages", "1")
    (checkpoint,) = (out / "checkpoints").rglob("*.safetensors")
    content = bytearray(checkpoint.read_bytes())
    content[-1] ^= 1
    checkpoint.write_bytes(content)
    for stages in ("1", "2"):
        result = _train(out, "--stages", stages)
        assert result.exit_code == 1
        assert str(checkpoint) in result.stderr
        assert "Traceback" not in result.output
    assert checkpoint.read_bytes() == content
    assert len(_read(out / "schedule.json")["stages"]) == 1


def test_stage_without_a_winner_says_why(tmp_path: Path) -> None:
    result = _train(tmp_path / "run", "--lr-min", "1e8", "--lr-max", "1e9")
    assert result.exit_code == 1
    assert "Stage 0 has no trial to promote" in result.stderr
    assert "--trials" in result.stderr


def test_options_as_toml() -> None:
    tomllib = pytest.importorskip("tomllib")
    options = TrainOptions(
        dataset='npz:C:\\a "b"\n€.npz',
        model="deep-conv",
        stages=4,
        trials=8,
        epochs_per_stage=None,
        sampler="gamma",
        objective="kappa",
        lr_min=1e-05,
        lr_max=0.5,
        n_train=None,
        n_valid=100,
        batch_size=50,
        momentum=0.0,
        weight_decay=1e-3,
        data=None,
        device="auto",
        threads=None,
        out=Path("runs/ä"),
        storage=None,
        name="digits",
        seed=0,
        quiet=True,
    )
    read = tomllib.loads(options.to_toml())
    assert read["dataset"] == options.dataset
    assert read["out"] == str(Path("runs/ä"))
    assert read["lr-min"] == 1e-05
    assert read["quiet"] is True
    assert "n-train" not in read
    assert read.keys() == {
        name.replace("_", "-") for name, value in vars(options).items() if value is not None
    }
