"""Files are whole or not there, wherever the directory is."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.memory import MemoryFileSystem
import pytest

from optuna_gamma.staged.directory import RunDirectory


@pytest.fixture(params=["local", "file-url", "memory"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> RunDirectory:
    urls = {
        "local": tmp_path / "a" / "b",
        "file-url": f"file://{tmp_path}/a/b",
        "memory": f"memory://{tmp_path.name}",
    }
    return RunDirectory(urls[request.param])


def test_write_read_list_remove(directory: RunDirectory) -> None:
    assert directory.read("folder/x") is None
    assert directory.list("folder") == []
    directory.write("folder/x", b"1", "folder/x.tmp")
    directory.write("folder/x", b"2", "folder/x.tmp")
    directory.write("folder/y", b"", "folder/y.tmp")
    assert directory.read("folder/x") == b"2"
    assert directory.list("folder") == ["folder/x", "folder/y"]
    directory.remove("folder/x")
    directory.remove("folder/x")
    assert directory.list("folder") == ["folder/y"]


def test_only_the_first_creates(directory: RunDirectory) -> None:
    assert directory.create("x", b"1", "x.tmp")
    assert not directory.create("x", b"2", "x.tmp")
    assert directory.read("x") == b"1"
    assert directory.list("") == ["x"]


def test_only_the_first_creates_without_hard_links_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    directory = RunDirectory(tmp_path)
    assert directory.create("x", b"1", "x.tmp")
    assert not directory.create("x", b"2", "x.tmp")
    assert directory.read("x") == b"1"


def test_a_failed_write_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = RunDirectory(tmp_path)
    directory.write("x", b"old", "x.tmp")

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        directory.write("x", b"new", "x.tmp")
    assert directory.read("x") == b"old"
    assert directory.list("") == ["x"]


def test_a_relative_path_does_not_follow_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    directory = RunDirectory("run")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    directory.write("x", b"1", "x.tmp")
    assert (tmp_path / "run" / "x").read_bytes() == b"1"


@pytest.mark.parametrize("bad", ["/etc/passwd", "../x", "a/../../x", "a\\b"])
def test_no_name_leads_out(directory: RunDirectory, bad: str) -> None:
    for method in (directory.read, directory.remove, directory.list):
        with pytest.raises(ValueError, match="not the name of a file"):
            method(bad)


def test_passwords_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(MemoryFileSystem):
        protocol = "broken"
        cachable = False

        def cat_file(self, path: str, *_: Any, **__: Any) -> bytes:
            raise RuntimeError("no route")

        def unstrip_protocol(self, name: str) -> str:
            return f"broken://me:secret@host{name}"

    fsspec.register_implementation("broken", Broken, clobber=True)
    directory = RunDirectory("broken://me:secret@host/run")
    assert str(directory).startswith("broken://host")
    with pytest.raises(OSError, match="no route") as caught:
        directory.read("x")
    assert "broken://host" in str(caught.value)
    with pytest.raises(ValueError, match="unknown") as unknown:
        RunDirectory("unknown://me:secret@host/run")
    with pytest.raises(ValueError, match="unknown://host/run"):
        RunDirectory("unknown://me:se@cret@host/run")
    for error in (caught.value, unknown.value):
        assert "secret" not in f"{error!r} {error.__cause__!r}"


@pytest.mark.parametrize("bad", ["", None, 3])
def test_what_is_no_directory_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="`directory`"):
        RunDirectory(bad)


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file"):
        RunDirectory(tmp_path / "file")
