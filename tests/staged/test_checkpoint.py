"""A checkpoint is, bit for bit, what was saved, or an error that names the file."""

from __future__ import annotations

import errno
from pathlib import Path
import stat
import subprocess
import sys
from typing import Any

from hypothesis import given
from hypothesis import HealthCheck
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest

from optuna_gamma.staged import checkpoint
from optuna_gamma.staged.checkpoint import checkpoint_name
from optuna_gamma.staged.checkpoint import CheckpointError
from optuna_gamma.staged.checkpoint import commit_checkpoint
from optuna_gamma.staged.checkpoint import discard_checkpoint
from optuna_gamma.staged.checkpoint import load_checkpoint
from optuna_gamma.staged.checkpoint import parse_checkpoint_name
from optuna_gamma.staged.checkpoint import save_checkpoint
from optuna_gamma.staged.checkpoint import temporary_name
from optuna_gamma.staged.directory import RunDirectory


STATE: dict[str, Any] = {
    "model": {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.int64(3)},
    "optimizer": {0: (0.9, None), 1: [float("inf"), b"\x00\xff", "é", 2**70, True]},
}


def save(directory: RunDirectory, stage: int, trial: int, state: Any) -> str:
    sha256 = save_checkpoint(directory, stage, trial, "abc", state)
    commit_checkpoint(directory, stage, trial, "abc", sha256)
    return sha256


def test_round_trip_in_one_file_named_by_its_hash(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    sha256 = save(directory, 2, 7, STATE)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [str(path.relative_to(tmp_path)) for path in files] == [checkpoint_name(2, 7, sha256)]
    found = load_checkpoint(directory, 2, 7, sha256)
    assert found["optimizer"] == STATE["optimizer"]
    assert np.array_equal(found["model"]["w"], STATE["model"]["w"])
    found["model"]["w"] += 1  # not a view of the file
    assert np.array_equal(
        load_checkpoint(directory, 2, 7, sha256)["model"]["w"], STATE["model"]["w"]
    )


def test_a_remote_file_is_copied_once_and_verified_each_time() -> None:
    directory = RunDirectory("memory://test-checkpoint/run")
    sha256 = save(directory, 0, 0, STATE)
    name = checkpoint_name(0, 0, sha256)
    assert directory.list(checkpoint.FOLDER) == directory.local.list(checkpoint.FOLDER) == [name]
    copy = Path(directory.local.path(name))
    content = copy.read_bytes()
    assert directory.read(name) == content

    for damaged in (None, b"", content[:-1]):  # another machine, or a copy that went bad
        copy.unlink()
        if damaged is not None:
            copy.write_bytes(damaged)
        assert load_checkpoint(directory, 0, 0, sha256)["optimizer"] == STATE["optimizer"]
        assert copy.read_bytes() == content
    directory.remove(name)
    directory.remove(name)
    assert load_checkpoint(directory, 0, 0, sha256)["optimizer"] == STATE["optimizer"]
    copy.unlink()
    with pytest.raises(CheckpointError, match=r"memory://.* is missing"):
        load_checkpoint(directory, 0, 0, sha256)
    directory.write(name, content[:-1], "unused")
    with pytest.raises(CheckpointError, match=r"memory://.* is damaged"):
        load_checkpoint(directory, 0, 0, sha256)
    assert directory.local.list(checkpoint.FOLDER) == [name]


def test_what_is_not_committed_is_discarded(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    save_checkpoint(directory, 0, 0, "abc", STATE)
    save_checkpoint(directory, 0, 0, "abc", {})
    assert directory.list("") == [temporary_name(0, 0, "abc")]
    discard_checkpoint(directory, 0, 0, "abc")
    discard_checkpoint(directory, 0, 0, "abc")
    assert directory.list("") == []


@pytest.mark.parametrize("bad", ["../../x", "a/b", "", "ABC", "é"])
def test_names_that_a_storage_makes_up_are_refused(bad: str) -> None:
    for make in (checkpoint_name, temporary_name):
        with pytest.raises(ValueError, match="tampered"):
            make(0, 0, bad)


def test_equal_states_give_equal_files_in_other_processes_too(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from optuna_gamma.staged.checkpoint import save_checkpoint\n"
        "from optuna_gamma.staged.directory import RunDirectory\n"
        "state = {k: np.full(3, i) for i, k in enumerate('cadb')} | {'x': 1.5}\n"
        "print(save_checkpoint(RunDirectory(sys.argv[1]), 0, 0, '1', state))\n"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / hash_seed)],
            env={"PYTHONHASHSEED": hash_seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(hashes) == 1


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, Path, str, bytes]:
    directory = RunDirectory(tmp_path_factory.mktemp("written"))
    sha256 = save(directory, 0, 0, STATE)
    path = Path(directory.path(checkpoint_name(0, 0, sha256)))
    return directory, path, sha256, path.read_bytes()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_and_cut_bytes_are_named(
    written: tuple[RunDirectory, Path, str, bytes], data: st.DataObject
) -> None:
    directory, path, sha256, content = written
    where = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        damaged = content[:where]
    else:
        bit = 1 << data.draw(st.integers(0, 7))
        damaged = content[:where] + bytes([content[where] ^ bit]) + content[where + 1 :]
    path.write_bytes(damaged)
    with pytest.raises(CheckpointError, match="damaged") as caught:
        load_checkpoint(directory, 0, 0, sha256)
    assert str(path) in str(caught.value)
    path.write_bytes(content)
    load_checkpoint(directory, 0, 0, sha256)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="missing") as caught:
        load_checkpoint(RunDirectory(tmp_path), 0, 3, "0" * 64)
    assert "trial-00003" in str(caught.value)


def test_a_full_disk_is_an_error_that_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(CheckpointError, match="No space left") as caught:
        save_checkpoint(RunDirectory(tmp_path), 0, 0, "abc", STATE)
    assert str(tmp_path) in str(caught.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_too_many_loose_numbers_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "_MAX_TREE_BYTES", 100)
    with pytest.raises(TypeError, match="as arrays"):
        save_checkpoint(RunDirectory(tmp_path), 0, 0, "abc", list(range(100)))


def test_files_have_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    sha256 = save(directory, 0, 0, STATE)
    (tmp_path / "other").touch()
    modes = [
        stat.S_IMODE(path.stat().st_mode)
        for path in (Path(directory.path(checkpoint_name(0, 0, sha256))), tmp_path / "other")
    ]
    assert modes[0] == modes[1]


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.binary(min_size=32, max_size=32))
def test_names_are_read_back(stage: int, trial: int, digest: bytes) -> None:
    file = parse_checkpoint_name(checkpoint_name(stage, trial, digest.hex()))
    assert file == (stage, trial, digest.hex())


def test_names_of_others_are_not_ours() -> None:
    for name in ("checkpoints/x.safetensors", "journal.log", "checkpoints/../journal.log"):
        assert parse_checkpoint_name(name) is None
