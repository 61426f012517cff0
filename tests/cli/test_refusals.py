"""What ``optuna-gamma train`` refuses, and how it says so."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
import re
import shutil
from typing import Any

import pytest
from typer.testing import CliRunner
from typer.testing import Result

from optuna_gamma.cli.app import app


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--stages 0", "--stages"),
        ("--trials -1", "--trials"),
        ("--trials 6,0", "'6,0' is neither"),
        ("--trials 99999999999999999999", "at most 1,000,000"),
        ("--stages 100000000", "--stages"),
        ("--sampler grid --trials 1,6", "would try the smallest rate alone in the first stage"),
        ("--trials 6,", "'6,' is neither"),
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
        ("--momentum 1", "--momentum must be in [0, 1), but got 1"),
        ("--weight-decay -1", "--weight-decay must be finite and not negative"),
        ("--device abacus", "no device 'abacus'"),
        ("--device hpu", "no device 'hpu'"),
        ("--batch-size 500", "--batch-size must not be above the number of training images, 100"),
        ("--batch-size 10:101", "but got 101"),
        ("--batch-size 0", "--batch-size must be an int of at least 1, but got 0"),
        ("--batch-size 1.5:9", "--batch-size must be an int of at least 1, but got 1.5"),
        ("--batch-size 8:16.5", "--batch-size must be an int of at least 1, but got 16.5"),
        ("--batch-size many", "'many' is neither a number nor LOW:HIGH"),
        ("--momentum 0.9:0.5", "In '0.9:0.5' the first"),
        ("--momentum 0.5:1", "--momentum must be in [0, 1), but got 1"),
        ("--weight-decay 0:0.1", "--weight-decay is searched on a logarithmic scale"),
        ("--dropout 1", "--dropout must be in [0, 1), but got 1"),
        ("--dropout 0.1:0.5 --model torchvision:resnet18", "the network has no dropout layer"),
        ("--sampler grid --momentum 0.1:0.9", "--momentum is to be searched too"),
        ("--sampler grid --trials 6,3", "--trials gives them 6 and 3: give one number"),
        ("--optimizer adam", "--optimizer"),
        ("--optimizer adamw --momentum 0.9", "--momentum is 0.9 and --nesterov False"),
        ("--optimizer adamw --momentum 0.1:0.9", "--momentum cannot be searched"),
        ("--optimizer adamw --nesterov", "'adamw' has neither"),
        ("--nesterov", "--nesterov needs a --momentum above 0"),
        ("--augment rotate", "--augment must be one of flip, crop, but got 'rotate'"),
        ("--class-weights equal", "--class-weights must be balanced or numbers"),
        ("--class-weights 1,2", "--class-weights must be 'balanced', None or 10 positive numbers"),
        ("--model keras-cifar", "from 10×10 up, but these are 8×8"),
        ("--model torchvision:alexnet", "--model cannot take images of shape (1, 8, 8)"),
        ("--dataset folder:absent", "no folder absent; expected PATH/train/CLASS/IMAGE"),
        ("--storage nonsense", "--storage must be a database URL"),
        ("--storage foo://user:secret@host/x", "--storage is a URL of foo, for which there is no"),
        ("--storage mysql+mysqldb://user:secret@host/x", "install pymysql and give mysql+pymysql"),
        ("--name a/b", "--name must be"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: str,
    said: str,
    train: Callable[..., Result],
) -> None:
    monkeypatch.chdir(tmp_path)
    result = train(tmp_path / "run", *options.split())
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert "secret" not in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", ["0", "-5", "0:9", "2.5"])
def test_the_batch_size_is_looked_at_before_epochs_are_counted(tmp_path: Path, size: str) -> None:
    out = tmp_path / "run"
    result = CliRunner().invoke(app, ["train", "--out", str(out), f"--batch-size={size}"])
    assert result.exit_code == 2, result.output
    assert "--batch-size must be an int of at least 1, but got" in result.stderr
    assert not out.exists()


def test_spaces_in_a_list_are_passed_over(tmp_path: Path, train: Callable[..., Result]) -> None:
    result = train(tmp_path / "run", "--augment", "crop, rotate")
    assert "but got 'rotate'" in result.stderr


def test_remote_folder_is_refused(tmp_path: Path, small: list[str]) -> None:
    result = CliRunner().invoke(app, ["train", *small, "--out", "s3://bucket/run"])
    assert result.exit_code == 2
    assert "--out must be a local folder" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--seed 1", "--seed is 0 there, but 1 was given; other images were given (they follow"),
        ("--batch-size 10", "--batch-size is 50 there, but 10 was given"),
        ("--n-train 101", "--n-train is 100 there, but 101 was given. Give"),
        ("--n-train 90 --n-valid 61", "but 90 was given; --n-valid is 60 there, but 61 was given"),
        ("--sampler random", "--sampler is 'gamma' there, but 'random' was given"),
        ("--lr-max 0.4", "--lr-max is 0.5 there"),
        ("--momentum 0.1:0.9", "--momentum is 0.0 there, but '0.1:0.9' was given"),
        ("--dropout 0.1", "--dropout is None there, but 0.1 was given"),
        ("--augment crop", "--augment is [] there, but ['crop'] was given"),
        ("--class-weights balanced", "--class-weights is None there"),
        ("--name other", "--name is 'digits' there, but 'other' was given"),
        ("--stages 1", "--stages = 2, but 1 was given"),
        ("--trials 2", "--trials = 3, but 2 was given"),
    ],
)
def test_folder_of_another_run_is_refused_and_left_alone(
    finished: tuple[Path, Result], options: str, said: str, train: Callable[..., Result]
) -> None:
    out, _ = finished
    before = _contents(out)
    result = train(out, *options.split())
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert not re.search("[0-9a-f]{32}", result.stderr)  # a hash
    assert "finished" not in result.output
    assert _contents(out) == before


def test_damaged_checkpoint_is_named(
    tmp_path: Path, train: Callable[..., Result], trained: Callable[..., Result]
) -> None:
    out = tmp_path / "run"
    trained(out, "--stages", "1")
    (checkpoint,) = (out / "checkpoints").rglob("*.safetensors")
    content = bytearray(checkpoint.read_bytes())
    content[-1] ^= 1
    checkpoint.write_bytes(content)
    for stages in ("1", "2"):
        result = train(out, "--stages", stages)
        assert result.exit_code == 1
        assert str(checkpoint) in result.stderr
        assert "Traceback" not in result.output
    assert checkpoint.read_bytes() == content
    assert len(_read(out / "schedule.json")["stages"]) == 1


def test_stage_without_a_winner_says_why(tmp_path: Path, train: Callable[..., Result]) -> None:
    result = train(tmp_path / "run", "--lr-min", "1e8", "--lr-max", "1e9")
    assert result.exit_code == 1
    assert "Stage 0 has no trial to promote" in result.stderr
    assert "The reasons:\n    diverged in epoch 1 with momentum=" in result.stderr
    assert ": the training loss is " in result.stderr
    assert "{" not in result.stderr.partition("The reasons:")[2]
    assert "--trials" in result.stderr


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("file", "--out is a file"),
        ("file/run", "file/run/run.json: Not a directory."),
        ("x" * 300, "config.toml: File name too long."),
    ],
)
def test_a_folder_that_cannot_be_is_refused_without_trials_too(
    tmp_path: Path, out: str, said: str
) -> None:
    (tmp_path / "file").write_text("")
    small = ["--n-train", "50", "--n-valid", "40", "--epochs-per-stage", "1"]
    result = CliRunner().invoke(app, ["train", *small, "--out", str(tmp_path / out)])
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code in (1, 2)
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize("option", ["--trials", "--epochs-per-stage"])
def test_a_damaged_config_does_not_change_the_run(
    finished: tuple[Path, Result], tmp_path: Path, option: str
) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished[0], out)
    with (out / "config.toml").open("a") as file:
        file.write("# a note\n")
    before = _contents(out)
    small = ["--n-train", "100", "--n-valid", "60", "--stages", "3", option, "3"]
    result = CliRunner().invoke(app, ["train", *small, "--out", str(out)])
    assert result.exit_code == 2, result.output
    assert f"{out / 'config.toml'} cannot be read: it is damaged, or was edited" in result.stderr
    assert _contents(out) == before


def test_what_is_refused_is_not_measured_on_the_test_images(
    finished: tuple[Path, Result], tmp_path: Path, train: Callable[..., Result]
) -> None:
    """Killed between promotion and measuring, then asked for fewer trials."""
    out = tmp_path / "run"
    shutil.copytree(finished[0], out)
    journal = (out / "journal.log").read_bytes().splitlines(keepends=True)
    (out / "journal.log").write_bytes(b"".join(line for line in journal if b'"test"' not in line))
    before = _contents(out)
    result = train(out, "--trials", "2")
    assert result.exit_code == 2, result.output
    assert _contents(out) == before
    assert train(out).exit_code == 0
    assert b'"test"' in (out / "journal.log").read_bytes()
