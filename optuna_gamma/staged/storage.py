"""Opening a journal file so that it survives killed writers and full disks.

Optuna's own journal backend does not: a lock left by a killed process makes the next one wait for
30 seconds, or for ever, and a line cut short by a kill or a full disk makes every later open fail.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
import functools
import io
import json
import os
import time
from typing import Any
from typing import NamedTuple
import zlib

import optuna
from optuna.storages.journal import BaseJournalBackend
from optuna.storages.journal import JournalStorage

from optuna_gamma.staged.lease import Process


_logger = optuna.logging.get_logger(f"optuna.{__name__}")

_CHECKSUM_KEY = "crc32"

LOCK_GRACE_SECONDS = 30.0
"""A lock of another machine that stays for this long is broken, as in Optuna."""


def open_journal(path: str) -> JournalStorage:
    """Open, or create, a journal file.

    Args:
        path: Absolute path of the file, whose folder exists.

    Raises:
        ValueError: If the file is damaged elsewhere than at its end.
    """
    try:
        return JournalStorage(_JournalFile(path))
    except (KeyError, TypeError) as error:  # an operation that Optuna does not know
        raise ValueError(
            f"The journal {path} is damaged: {error!r}. Restore it from a backup; it holds what "
            "the run has done so far."
        ) from error


class _JournalFile(BaseJournalBackend):
    """Optuna's journal file, which other programs may use at the same time, with safe appends."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = _LockFile(f"{path}.lock")
        self._offsets = [0]
        if not os.path.exists(path):
            open(path, "ab").close()
        # Who may only read, reads what is before the end of the last whole line.
        places = (path, os.path.dirname(path))  # the lock is made in the folder
        if not self._is_terminated() and all(os.access(place, os.W_OK) for place in places):
            self.append_logs([])

    def _is_terminated(self) -> bool:
        with open(self._path, "rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return True
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        number = min(log_number_from, len(self._offsets) - 1)
        with open(self._path, "rb") as file:
            file.seek(self._offsets[number])
            for line in file:
                if not line.endswith(b"\n"):
                    return  # it is being written
                if line == b"\n":  # two writers have ended the same line
                    if number == len(self._offsets) - 1:
                        self._offsets[number] += 1
                    continue
                offset = self._offsets[number] + len(line)
                number += 1
                if number == len(self._offsets):
                    self._offsets.append(offset)
                if number > log_number_from:
                    yield self._parse(line, number)

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            log = json.loads(line)
            if not isinstance(log, dict):
                raise ValueError("it is no JSON object")
            key, checksum = next(reversed(log.items()), ("", None))
            rest = {k: v for k, v in log.items() if k != key}
            if checksum == _checksum(rest):
                if key != _CHECKSUM_KEY:
                    raise ValueError(f"the key of its checksum is {key!r}")
                return rest
            if _CHECKSUM_KEY in log:
                raise ValueError("its checksum is another one")
            return log  # Optuna wrote it, which makes none
        except ValueError as caught:
            error = str(caught)
        raise ValueError(
            f"The journal {self._path} is damaged in line {number}: {error}. Restore it from a "
            "backup; it holds what the run has done so far."
        )

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = "".join(f"{_dump({**log, _CHECKSUM_KEY: _checksum(log)})}\n" for log in logs)
        try:
            while not self._try_append(lines.encode()):
                pass
        except OSError as error:
            error.filename = error.filename or self._path
            raise

    def _try_append(self, lines: bytes) -> bool:
        """Append unless the lock was lost before anything was written; return whether it was not.

        A process that is stopped for longer than the lock's grace time finds its lock broken and
        the journal longer when it is woken. So lines only ever go to the end as it is then, and
        nothing is cut off but what was looked at.
        """
        with self._lock.hold() as is_held, _open_for_appending(self._path) as file:
            end = _end_of_last_line(file)
            size = file.seek(0, os.SEEK_END)
            if not is_held():
                return False
            if end.missing:
                file.write(end.missing)
            elif end.position < size:
                _logger.warning(
                    f"The last line of {self._path} was cut short by a crash and has been dropped "
                    f"({size - end.position} bytes): nothing had been told that it was written."
                )
                _cut(file, end.position, expected=size)
            start = file.seek(0, os.SEEK_END)
            written = 0
            try:
                while written < len(lines):
                    written += file.write(lines[written:]) or 0
                os.fsync(file.fileno())
            except OSError:
                # A full disk has taken a part of it: leave none.
                _cut(file, start, expected=start + written)
                raise
        return True


def _dump(log: dict[str, Any]) -> str:
    return json.dumps(log, separators=(",", ":"))


def _checksum(log: dict[str, Any]) -> str:
    """Return what tells a line whose bits have flipped; Optuna ignores the key and writes none."""
    return f"{zlib.crc32(_dump(log).encode()):08x}"


def _open_for_appending(path: str) -> io.FileIO:
    flags = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)
    return io.FileIO(path, "r+", opener=lambda name, _: os.open(name, flags))


def _cut(file: io.FileIO, end: int, *, expected: int) -> None:
    if os.fstat(file.fileno()).st_size == expected:  # else others have written meanwhile
        file.truncate(end)


class _End(NamedTuple):
    """Where a journal's last whole line ends.

    Attributes:
        position: Where what is worth keeping ends.
        missing: What its writer had not come to write of it.
    """

    position: int
    missing: bytes = b""


def _end_of_last_line(file: io.FileIO) -> _End:
    """Look at what follows the last newline: its writer died before the operation was recorded."""
    end = position = file.seek(0, os.SEEK_END)
    keep = 0
    while position > 0:
        start = max(0, position - 4096)
        file.seek(start)
        newline = (file.read(position - start) or b"").rfind(b"\n")
        if newline >= 0:
            keep = start + newline + 1
            break
        position = start
    if keep == end:
        return _End(end)
    file.seek(keep)
    rest = file.read(end - keep) or b""
    if rest.endswith(b"}") and _is_whole(rest):
        return _End(end, b"\n")
    if _is_whole(rest[:-1]):
        raise ValueError(
            f"The journal {file.name!s} is damaged: its last line ends with {rest[-1:]!r} instead "
            "of a line feed. Restore the file from a backup."
        )
    return _End(keep)


def _is_whole(line: bytes) -> bool:
    try:
        log = json.loads(line)
        return isinstance(log, dict) and log.pop(_CHECKSUM_KEY) == _checksum(log)
    except (ValueError, KeyError):
        return False


class _LockFile:
    """The lock file of Optuna's :class:`~optuna.storages.journal.JournalFileOpenLock`.

    It is created exclusively, which network file systems can do, unlike ``flock``. In addition it
    names its holder, so that a lock whose holder was killed on this machine is broken at once.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    @contextmanager
    def hold(self) -> Iterator[Callable[[], bool]]:
        """Hold the lock; yield a function that tells whether it still is held."""
        descriptor = self._acquire()
        try:
            yield functools.partial(self._is_at, descriptor)
        finally:
            # After a pause beyond the grace time the lock may be somebody else's.
            ours = self._is_at(descriptor)
            os.close(descriptor)
            if ours:
                os.unlink(self._path)

    def _acquire(self) -> int:
        holder = json.dumps(Process.current().to_json()).encode()
        delay = 0.001
        seen: tuple[int, int] | None = None
        since = time.monotonic()
        while True:
            descriptor = _create_exclusively(self._path, holder)
            if descriptor is not None:
                return descriptor
            with suppress(FileNotFoundError):
                status = os.stat(self._path)
                if (status.st_ino, status.st_mtime_ns) != seen:
                    seen, since = (status.st_ino, status.st_mtime_ns), time.monotonic()
                if self._break(expired=time.monotonic() - since > LOCK_GRACE_SECONDS):
                    continue
            time.sleep(delay)
            delay = min(2 * delay, 0.1)

    def _break(self, *, expired: bool) -> bool:
        """Remove the lock if its holder is known to be dead, or has had its time."""
        with open(self._path, "rb") as file:
            try:
                holder = Process.from_json(json.loads(file.read()))
            except ValueError:
                holder = None  # Optuna's own lock is empty
            if not expired and (holder is None or not holder.is_known_dead()):
                return False
            # Of several processes that see a dead lock only one may remove it: the second would
            # remove the first one's new lock. They take turns by a lock like this one:
            # network file systems may refuse `flock`.
            with _LockFile(f"{self._path}.lock").hold():
                if self._is_at(file.fileno()):
                    _logger.warning(f"Removing the lock {self._path}: its holder is gone.")
                    if os.name == "nt":
                        file.close()  # an open file cannot be deleted there
                    os.unlink(self._path)
        return True

    def _is_at(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(descriptor))
        except FileNotFoundError:
            return False


def _create_exclusively(path: str, content: bytes) -> int | None:
    """Create a file with its content; return a descriptor of it, :obj:`None` if it exists."""
    # Linux can make a file without a name and name it when it is written: so a process that is
    # killed between the two leaves nothing.
    with suppress(AttributeError, OSError):  # another system, or a file system that cannot
        descriptor = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_WRONLY, 0o666)
        try:
            os.write(descriptor, content)
            # Any `src_dir_fd` makes it the system call that follows the link.
            os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor)
        except FileExistsError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        return descriptor
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return None
    try:
        os.write(descriptor, content)
    except OSError:  # a full disk may have room for a name
        os.close(descriptor)
        os.unlink(path)
        raise
    return descriptor
