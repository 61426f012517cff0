"""A run's directory, on this machine or anywhere fsspec reaches: every file whole or not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
import functools
import hashlib
import os
from pathlib import Path
import posixpath
import re

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem


class RunDirectory:
    """Files by their names relative to the directory, with ``/`` between the parts.

    On a local file system a file is written aside, synced and renamed; on an object store it is
    one PUT. Either way a reader sees all of it or none.

    Args:
        url: A path, or any URL that fsspec knows, such as ``s3://bucket/run``.
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        if not isinstance(url, (str, os.PathLike)) or not os.fspath(url):
            raise ValueError(f"`directory` must be a path or an fsspec URL, but got {url!r}.")
        try:
            self._fs, self._root = url_to_fs(os.fspath(url))
        except (ValueError, ImportError) as error:  # no such protocol, or not installed
            raise ValueError(
                f"`directory` {_without_user(os.fspath(url))} cannot be opened: {error}"
            ) from error
        self.is_local = isinstance(self._fs, LocalFileSystem)
        if self.is_local and os.path.exists(self._root) and not os.path.isdir(self._root):
            raise NotADirectoryError(f"`directory` is a file: {self._root}")

    def __str__(self) -> str:
        if self.is_local:
            return str(self._root)
        return _without_user(str(self._fs.unstrip_protocol(self._root)))

    @functools.cached_property
    def local(self) -> RunDirectory:
        """Where files are made and read: the directory itself, or a remote one's local copies.

        Copies are in the user's cache folder. All processes of the user on this machine share
        them, and whoever reads one compares it with its hash.
        """
        if self.is_local:
            return self
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        name = hashlib.sha256(str(self).encode()).hexdigest()[:32]
        return RunDirectory(cache / "optuna-gamma" / "runs" / name)

    def path(self, name: str) -> str:
        """Return the full path of a file, absolute where the directory is local.

        Raises:
            ValueError: If the name leads out of the directory.
        """
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise ValueError(f"{name!r} is not the name of a file in {self}.")
        return posixpath.join(self._root, name)

    def show(self, name: str) -> str:
        """Return the full name of a file for people to read."""
        return self.path(name) if self.is_local else posixpath.join(str(self), name)

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, or :obj:`None` where there is no such file."""
        try:
            with self._reaching(name):
                return bytes(self._fs.cat_file(self.path(name)))
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes, aside: str) -> None:
        """Write a file, replacing what is there, and see it on the disk.

        Args:
            name: Name of the file.
            content: What to write.
            aside: Name to write it under before it is renamed. If the process is killed meanwhile
                this file stays, so its name should say who may delete it.
        """
        if not self.is_local:
            with self._reaching(name):
                self._fs.pipe_file(self.path(name), content)
            return
        with self._aside(aside, content):
            self._rename(aside, name)

    def create(self, name: str, content: bytes, aside: str) -> bool:
        """Write a file unless it exists; of several processes that try only one succeeds.

        On an object store that cannot refuse to overwrite, two processes that try in the same
        instant may both believe to have succeeded. The arguments are those of :meth:`write`.

        Returns:
            Whether this call wrote it.
        """
        if not self.is_local:
            try:
                with self._reaching(name):
                    self._fs.pipe_file(self.path(name), content, mode="create")
            except FileExistsError:
                return False
            return True
        with self._aside(aside, content) as temporary:
            try:
                os.link(temporary, self.path(name))
            except FileExistsError:
                return False
            except OSError:  # no hard links here, or another worker has cleaned up
                try:
                    with open(self.path(name), "xb") as file:
                        file.write(content)
                except FileExistsError:
                    return False
        _sync(Path(self.path(name)).parent)
        return True

    def prepare(self, aside: str, content: bytes) -> None:
        """Write a file, in :attr:`local`, that :meth:`put` will put in its place."""
        temporary = Path(self.local.path(aside))
        temporary.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            _sync(temporary)
        except BaseException:
            self.local.remove(aside)
            raise

    def put(self, aside: str, name: str) -> None:
        """Put a file that was prepared in its place; of a remote directory's a copy stays here."""
        if not self.is_local:
            with self._reaching(name):
                self._fs.put_file(self.local.path(aside), self.path(name))
        self.local._rename(aside, name)

    def get(self, name: str, aside: str) -> bool:
        """Fetch a file of a remote directory into :attr:`local`.

        Returns:
            Whether it is there; if not, another process has collected the download before it was
            renamed.

        Raises:
            FileNotFoundError: If there is no such file.
        """
        temporary = Path(self.local.path(aside))
        temporary.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._reaching(name):
                self._fs.get_file(self.path(name), str(temporary))
            with suppress(FileNotFoundError):
                os.replace(temporary, self.local.path(name))
                return True
            return False
        finally:
            self.local.remove(aside)

    def list(self, folder: str) -> list[str]:
        """Return the names of all files under ``folder``, sorted."""
        with self._reaching(folder):
            self._fs.invalidate_cache()
            found = self._fs.find(self.path(folder))
        prefix = self._root.rstrip("/") + "/"
        return sorted(name.removeprefix(prefix) for name in found)

    def remove(self, name: str) -> None:
        """Delete a file; it may be gone already."""
        with suppress(FileNotFoundError), self._reaching(name):
            self._fs.rm_file(self.path(name))

    @contextmanager
    def _aside(self, name: str, content: bytes) -> Iterator[Path]:
        self.prepare(name, content)
        try:
            yield Path(self.path(name))
        finally:
            self.remove(name)

    def _rename(self, aside: str, name: str) -> None:
        os.replace(self.path(aside), self.path(name))
        _sync(Path(self.path(name)).parent)

    @contextmanager
    def _reaching(self, name: str) -> Iterator[None]:
        """Turn what the libraries for remote file systems raise into errors with the file's name.

        Raises:
            OSError: Instead of any error of theirs that is none.
        """
        self.path(name)
        try:
            yield
        except OSError:
            raise
        except Exception as error:
            if self.is_local:
                raise
            raise OSError(f"{self.show(name)}: {type(error).__name__}: {error}") from error


def _without_user(url: str) -> str:
    """Return a URL without what may be a password.

    >>> _without_user("ftp://me:secret@example.org/run")
    'ftp://example.org/run'
    >>> _without_user("ftp://me:se@cret@example.org/run")
    'ftp://example.org/run'
    """
    return re.sub(r"(?<=//)[^/]*@", "", url)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no directories, and journals renames itself
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
