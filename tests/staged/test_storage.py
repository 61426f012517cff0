"""A journal survives killed writers, left locks and full disks."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal import JournalFileOpenLock
import pytest

from optuna_gamma.staged import storage as storage_module
from optuna_gamma.staged.lease import Process
from optuna_gamma.staged.storage import open_journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.log"
    optuna.create_study(storage=open_journal(str(path)), study_name="first")
    return path


def names(path: Path) -> list[str]:
    return optuna.get_all_study_names(open_journal(str(path)))


@pytest.mark.parametrize("length", [1, 17, 5000])
def test_a_line_cut_short_is_dropped_and_the_journal_goes_on(path: Path, length: int) -> None:
    whole = path.read_bytes()
    already_open = open_journal(str(path))
    path.write_bytes(whole + (b'{"op_code": 4, "worker_id": "' + b"x" * 6000)[:length])
    assert names(path) == ["first"]
    assert path.read_bytes() == whole
    path.write_bytes(whole + b'{"op_code"')
    optuna.create_study(storage=already_open, study_name="second")
    assert names(path) == ["first", "second"]
    # Other programs can read it too.
    stock = JournalStorage(JournalFileBackend(str(path), JournalFileOpenLock(str(path))))
    assert optuna.get_all_study_names(stock) == ["first", "second"]


def test_a_journal_of_a_single_cut_line(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:10])
    assert names(path) == []
    assert path.read_bytes() == b""


def test_damage_elsewhere_is_named(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:5] + b"\n" + whole[5:])
    with pytest.raises(ValueError, match="is damaged") as caught:
        open_journal(str(path))
    assert str(path) in str(caught.value)


def test_every_flipped_bit_and_every_missing_byte_is_refused_by_name(path: Path) -> None:
    whole = path.read_bytes()
    damaged = [
        whole[:where] + bytes([whole[where] ^ 1 << bit]) + whole[where + 1 :]
        for where in range(len(whole))
        for bit in range(8)
    ]
    # Without its line feed the last line is whole: see below.
    damaged += [whole[:where] + whole[where + 1 :] for where in range(len(whole) - 1)]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"journal {path} is damaged"):
            names(path)


def test_a_missing_line_feed_is_put_back(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert names(path) == ["first"]
    assert path.read_bytes() == whole


def test_a_line_feed_that_two_have_put_back_is_passed_over(path: Path) -> None:
    already_open = open_journal(str(path))
    path.write_bytes(path.read_bytes() + b"\n")
    assert names(path) == ["first"]
    optuna.create_study(storage=already_open, study_name="second")
    opened_later = open_journal(str(path))
    optuna.create_study(storage=opened_later, study_name="third")
    for storage in (already_open, opened_later, open_journal(str(path))):
        assert optuna.get_all_study_names(storage) == ["first", "second", "third"]


@pytest.mark.parametrize("tail", [b"", b'{"op_code": 4'])
def test_who_may_only_read_reads_what_is_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch, tail: bytes
) -> None:
    def read_only(file: str, mode: str) -> Any:
        if mode != "rb":
            raise PermissionError(errno.EACCES, "Permission denied", file)
        return open(file, mode)

    path.write_bytes(path.read_bytes() + tail)
    content = path.read_bytes()
    monkeypatch.setattr(storage_module, "open", read_only, raising=False)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert names(path) == ["first"]
    assert path.read_bytes() == content


def test_a_full_disk_leaves_no_half_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = open_journal(str(path))
    whole = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            optuna.create_study(storage=storage, study_name="second")
    assert path.read_bytes() == whole
    optuna.create_study(storage=storage, study_name="second")
    assert names(path) == ["first", "second"]


def test_a_disk_that_fills_up_in_the_middle_of_a_line_is_named_and_leaves_no_half_line(
    path: Path,
) -> None:
    resource = pytest.importorskip("resource")
    storage = open_journal(str(path))
    whole = path.read_bytes()
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 7, hard))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            optuna.create_study(storage=storage, study_name="second")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == whole
    optuna.create_study(storage=storage, study_name="second")
    assert names(path) == ["first", "second"]


def test_a_full_disk_leaves_no_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = open_journal(str(path))

    def full(descriptor: int, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left") as caught:
            optuna.create_study(storage=storage, study_name="second")
    assert str(path) in str(caught.value)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    optuna.create_study(storage=storage, study_name="second")
    assert names(path) == ["first", "second"]


@pytest.mark.parametrize("tail", [b"", b'{"op_code": 0'])
def test_a_process_that_was_paused_with_the_lock_spoils_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, tail: bytes
) -> None:
    """While it looked at the end of the file others have broken its lock and gone on."""
    path.write_bytes(path.read_bytes() + tail)
    look = storage_module._end_of_last_line
    paused = True

    def look_and_pause(file: Any) -> Any:
        nonlocal paused
        end = look(file)
        if paused:
            paused = False
            os.unlink(f"{path}.lock")
            optuna.create_study(storage=open_journal(str(path)), study_name="theirs")
        return end

    ours = JournalStorage(storage_module._JournalFile(str(path))) if not tail else None
    monkeypatch.setattr(storage_module, "_end_of_last_line", look_and_pause)
    optuna.create_study(storage=ours or open_journal(str(path)), study_name="ours")
    assert names(path) == ["first", "theirs", "ours"]


def dead_process() -> Process:
    code = "from optuna_gamma.staged.lease import Process; print(Process.current().to_json())"
    output = subprocess.run(
        [sys.executable, "-c", code.replace("print(", "import json; print(json.dumps(") + ")"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return Process.from_json(json.loads(output))


def test_the_lock_of_a_killed_process_is_broken_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = path.with_name("journal.log.lock")
    lock.write_text(json.dumps(dead_process().to_json()))
    monkeypatch.setattr(storage_module, "LOCK_GRACE_SECONDS", float("inf"))
    optuna.create_study(storage=open_journal(str(path)), study_name="second")
    assert not lock.exists()


@pytest.mark.parametrize("content", ["", "[1", '["elsewhere/1/1", 1, "1"]'])
def test_the_lock_of_a_process_elsewhere_is_broken_after_the_grace_time(
    path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    lock = path.with_name("journal.log.lock")
    lock.write_text(content)
    monkeypatch.setattr(storage_module, "LOCK_GRACE_SECONDS", 0.01)
    optuna.create_study(storage=open_journal(str(path)), study_name="second")
    assert not lock.exists()


def test_a_dead_lock_is_broken_where_the_file_system_has_no_flock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS wants a descriptor to write for it, and Lustre and FUSE may not have it at all."""
    fcntl = pytest.importorskip("fcntl")

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    path.with_name("journal.log.lock").write_text(json.dumps(dead_process().to_json()))
    optuna.create_study(storage=open_journal(str(path)), study_name="second")
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_of_two_that_see_a_dead_lock_the_second_leaves_the_first_ones_new_lock_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, turn = Path(f"{path}.lock"), Path(f"{path}.lock.lock")
    lock.write_text("")
    turn.write_text(json.dumps(Process.current().to_json()))

    def first(seconds: float) -> None:
        lock.unlink()
        lock.write_text("new")
        turn.unlink()

    monkeypatch.setattr(storage_module.time, "sleep", first)
    storage_module._LockFile(str(lock))._break(expired=True)
    assert lock.read_text() == "new"
    assert not turn.exists()


def test_who_dies_while_breaking_a_lock_leaves_one_that_is_broken_too(path: Path) -> None:
    dead = json.dumps(dead_process().to_json())
    for name in ("journal.log.lock", "journal.log.lock.lock"):
        path.with_name(name).write_text(dead)
    optuna.create_study(storage=open_journal(str(path)), study_name="second")
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_lock_of_a_living_process_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = path.with_name("journal.log.lock")
    lock.write_text(json.dumps(Process.current().to_json()))
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 5:
            lock.unlink()

    monkeypatch.setattr(storage_module.time, "sleep", pause)
    optuna.create_study(storage=open_journal(str(path)), study_name="second")
    assert len(pauses) >= 5
    assert names(path) == ["first", "second"]


def test_a_lock_that_somebody_else_took_meanwhile_is_left_alone(path: Path) -> None:
    lock = storage_module._LockFile(f"{path}.lock")
    with lock.hold():
        os.unlink(f"{path}.lock")  # broken: we were paused for too long
        Path(f"{path}.lock").write_text("theirs")
    assert Path(f"{path}.lock").read_text() == "theirs"


def test_optuna_and_we_keep_each_other_out(path: Path) -> None:
    stock: Any = JournalFileOpenLock(str(path))
    ours = storage_module._LockFile(f"{path}.lock")
    stock.acquire()
    with open(f"{path}.lock", "rb") as file:
        assert file.read() == b""
    assert not ours._break(expired=False)
    stock.release()
    with ours.hold(), pytest.raises(FileExistsError):
        os.open(f"{path}.lock", os.O_CREAT | os.O_EXCL)
