"""Pictures of trials as Optuna's artifacts."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import replace
import io
import logging
from pathlib import Path
import shutil

import optuna
from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts import get_all_artifact_meta
from optuna.artifacts import upload_artifact
from PIL import Image
import pytest
import torch
from torch import Tensor

from optuna_gamma.vision import Dataset
from optuna_gamma.vision.artifacts import attach_pictures
from optuna_gamma.vision.artifacts import CONFUSION_FILE
from optuna_gamma.vision.artifacts import drop_pictures
from optuna_gamma.vision.artifacts import MISTAKES_FILE


@pytest.fixture
def store(tmp_path: Path) -> FileSystemArtifactStore:
    return FileSystemArtifactStore(tmp_path)


@pytest.fixture
def logits(digits: Dataset) -> Tensor:
    return torch.randn(len(digits.valid[0]), 10, generator=torch.Generator().manual_seed(0))


def pictures(
    study: optuna.Study, store: FileSystemArtifactStore, number: int
) -> dict[str, tuple[int, int]]:
    """Return the sizes of a trial's pictures."""
    found = {}
    for meta in get_all_artifact_meta(study.trials[number], storage=study._storage):
        assert meta.mimetype == "image/png"
        with store.open_reader(meta.artifact_id) as reader:
            found[meta.filename] = Image.open(io.BytesIO(reader.read())).size
    return found


def test_what_was_not_promoted_goes(
    store: FileSystemArtifactStore, digits: Dataset, logits: Tensor
) -> None:
    study = optuna.create_study()
    for _ in range(2):
        trial = study.ask()
        attach_pictures(store, trial, digits, logits)
        study.tell(trial, 0.0)
    before = pictures(study, store, 1)
    assert set(before) == {CONFUSION_FILE, MISTAKES_FILE}
    assert min(min(size) for size in before.values()) > 300
    for _ in range(2):  # another worker does it too
        drop_pictures(store, study, promoted=1)
        assert pictures(study, store, 1) == before
        assert set(pictures(study, store, 0).values()) == {(130, 160)}


def test_nothing_misclassified(store: FileSystemArtifactStore, digits: Dataset) -> None:
    study = optuna.create_study()
    right = torch.nn.functional.one_hot(digits.valid[1], 10).float()
    attach_pictures(store, study.ask(), digits, right)
    assert set(pictures(study, store, 0)) == {CONFUSION_FILE}


def test_a_trial_that_is_run_again_has_its_pictures_once(
    store: FileSystemArtifactStore, tmp_path: Path, digits: Dataset, logits: Tensor
) -> None:
    study = optuna.create_study()
    trial = study.ask()
    attach_pictures(store, trial, digits, logits)
    for file in tmp_path.iterdir():
        file.unlink()  # its writer was killed between the entry and the file
    attach_pictures(store, trial, digits, logits)
    assert len(get_all_artifact_meta(trial)) == 2
    assert set(pictures(study, store, 0)) == {CONFUSION_FILE, MISTAKES_FILE}


def test_a_file_that_was_never_written_is_mended(
    store: FileSystemArtifactStore, tmp_path: Path, digits: Dataset, logits: Tensor
) -> None:
    study = optuna.create_study()
    trial = study.ask()
    attach_pictures(store, trial, digits, logits)
    for file in tmp_path.iterdir():
        file.unlink()
    study.tell(trial, state=optuna.trial.TrialState.FAIL)
    drop_pictures(store, study, promoted=1)
    assert set(pictures(study, store, 0).values()) == {(130, 160)}


def test_a_full_disk_ends_no_training(
    tmp_path: Path, digits: Dataset, logits: Tensor, optuna_log: Callable[[], list[str]]
) -> None:
    store = FileSystemArtifactStore(tmp_path / "missing")
    attach_pictures(store, optuna.create_study().ask(), digits, logits)
    [said] = optuna_log()
    assert "The pictures of trial 0 cannot be written" in said


def test_what_people_have_added_stays(
    store: FileSystemArtifactStore, tmp_path: Path, digits: Dataset, logits: Tensor
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    study = optuna.create_study()
    trial = study.ask()
    upload_artifact(artifact_store=store, file_path=str(notes), study_or_trial=trial)
    # So optuna-dashboard says that an artifact was deleted.
    study._storage.set_trial_system_attr(trial._trial_id, "artifacts:gone", "null")
    attach_pictures(store, trial, digits, logits)
    study.tell(trial, 0.0)
    drop_pictures(store, study, promoted=1)
    contents = {file.read_bytes() for file in tmp_path.iterdir()}
    assert b"mine" in contents
    assert len(contents) == 2


def test_a_folder_that_was_deleted_is_no_error(
    tmp_path: Path, digits: Dataset, logits: Tensor, optuna_log: Callable[[], list[str]]
) -> None:
    folder = tmp_path / "artifacts"
    folder.mkdir()
    store, study = FileSystemArtifactStore(folder), optuna.create_study(study_name="s")
    trial = study.ask()
    attach_pictures(store, trial, digits, logits)
    study.tell(trial, 0.0)
    shutil.rmtree(folder)
    drop_pictures(store, study, promoted=1)
    [said] = optuna_log()
    assert "Pictures of s cannot be deleted" in said


@pytest.mark.parametrize(
    "entry",
    [
        '{"filename": "misclassified.png", "artifact_id": "/etc/passwd"}',
        '{"filename": "misclassified.png"}',
        "[1]",
        "no JSON",
    ],
)
def test_what_others_have_written_to_the_storage_is_no_error(
    store: FileSystemArtifactStore, optuna_log: Callable[[], list[str]], entry: str
) -> None:
    study = optuna.create_study(study_name="s")
    trial = study.ask()
    study._storage.set_trial_system_attr(trial._trial_id, "artifacts:odd", entry)
    study.tell(trial, 0.0)
    drop_pictures(store, study, promoted=1)
    [said] = optuna_log()
    assert "Pictures of s cannot be deleted" in said


def test_names_of_classes_are_no_formulas(
    store: FileSystemArtifactStore, digits: Dataset, logits: Tensor
) -> None:
    study = optuna.create_study()
    odd = replace(digits, classes=("$_$", r"$\foo$", "${a$", *digits.classes[3:]))
    attach_pictures(store, study.ask(), odd, logits)
    assert set(pictures(study, store, 0)) == {CONFUSION_FILE, MISTAKES_FILE}


@pytest.fixture
def optuna_log(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.logging.enable_propagation()
    yield lambda: [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    optuna.logging.disable_propagation()
    optuna.logging.set_verbosity(verbosity)
