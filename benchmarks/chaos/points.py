"""The points of a worker's commit at which it can be killed, stopped or hindered."""

from __future__ import annotations

from collections.abc import Callable
import json
import os
from pathlib import Path
import signal
import sys
from typing import Any

from optuna.storages import BaseStorage
from optuna.storages.journal import JournalStorage
from sqlalchemy import event

from optuna_gamma.staged import directory
from optuna_gamma.staged import stage
from optuna_gamma.staged import storage


COMMIT_POINTS = ("temporary", "rename", "attribute", "tell", "promotion", "collection")
"""Between each two steps of a commit, in their order."""

POINTS = (
    "identity",
    "study",
    "trial",
    "load",
    "parameter",
    *COMMIT_POINTS,
    "schedule",
    "lock",
    "torn line",
    "full disk",
    "transaction",
    "call",
)
"""All points: a commit's, those before it, a journal's lock held, its line half written by a
killed worker or on a full disk, a database's rows locked, and "call": any Python function's call
or return."""

JOURNAL_POINTS = ("lock", "torn line", "full disk")
"""Those that only a journal has."""


def kill(_: str) -> None:
    """End this process with SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)


def act_at(
    point: str, n: int, store: BaseStorage | None, action: Callable[[str], None] = kill
) -> None:
    """Make this process do something when it passes a point for the nth time.

    Args:
        point: One of :data:`POINTS`.
        n: How often the point is to be passed.
        store: The storage that will be used; :obj:`None` is a journal.
        action: Called with the point's name. At "full disk" nothing is called: the journal's file
            can grow no further.
    """
    bomb = _Bomb(n, lambda: action(point))
    owner = JournalStorage if store is None else type(store)
    match point:
        case "identity":
            _after(directory.RunDirectory, "create", bomb)
        case "study":
            _after(owner, "create_new_study", bomb)
        case "trial":
            _after(owner, "create_new_trial", bomb)
        case "load":
            _after(stage.TrialWeights, "load", bomb)
        case "parameter":
            _after(owner, "set_trial_param", bomb)
        case "temporary":
            _after(directory, "_sync", bomb, lambda path: path.suffix == ".tmp")
        case "rename":
            _after(os, "replace", bomb, _is_checkpoint)
        case "attribute":
            _after(owner, "set_trial_system_attr", bomb, _is_result)
        case "tell":
            _after(owner, "set_trial_state_values", bomb, _is_tell)
        case "promotion":
            _after(owner, "set_study_user_attr", bomb)
        case "schedule":
            _after(os, "replace", bomb, lambda *arguments: not _is_checkpoint(*arguments))
        case "collection":
            _after(directory.RunDirectory, "remove", bomb)
        case "lock":
            _after(storage, "_end_of_last_line", bomb)  # held, and about to write
        case "torn line":
            _in_the_middle_of_a_line(bomb)
        case "full disk":
            _on_a_full_disk(n)
        case "transaction":
            _with_locked_rows(store, bomb)
        case "call":
            sys.setprofile(bomb)
        case _:
            raise ValueError(f"`point` must be one of {', '.join(POINTS)}, but got {point!r}.")


class _Bomb:
    def __init__(self, n: int, action: Callable[[], None]) -> None:
        self._n = n
        self.action = action

    def __call__(self, *_: Any) -> None:
        if self.is_due():
            self.action()

    def is_due(self) -> bool:
        self._n -= 1
        return self._n == 0


def _after(
    owner: Any, name: str, bomb: _Bomb, condition: Callable[..., bool] = lambda *_, **__: True
) -> None:
    original = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if condition(*args, **kwargs):
            bomb()
        return result

    setattr(owner, name, wrapped)


def _is_checkpoint(_: Any, target: Any) -> bool:
    return str(target).endswith(".safetensors")


def _is_result(_: Any, __: int, key: str, value: Any) -> bool:
    del value
    return key.startswith("gamma:result")


def _is_tell(_: Any, __: int, state: Any, values: Any = None) -> bool:
    del values
    return bool(state.is_finished())


def _with_locked_rows(store: Any, bomb: _Bomb) -> None:
    def executed(_: Any, __: Any, statement: str, *___: Any) -> None:
        if "FOR UPDATE" in statement:
            bomb()

    event.listen(store._backend.engine, "after_cursor_execute", executed)


def _in_the_middle_of_a_line(bomb: _Bomb) -> None:
    original = storage._JournalFile.append_logs

    def append(self: Any, logs: list[dict[str, Any]]) -> None:
        if bomb.is_due():
            with self._lock.hold(), open(self._path, "ab", buffering=0) as file:
                file.write(json.dumps(logs[0]).encode()[:20])
                bomb.action()
        original(self, logs)

    storage._JournalFile.append_logs = append  # type: ignore[method-assign]


def _on_a_full_disk(n: int) -> None:
    import resource  # not on Windows

    original = storage._JournalFile.append_logs
    bomb = _Bomb(n, lambda: None)

    def append(self: Any, logs: list[dict[str, Any]]) -> None:
        if bomb.is_due():  # a part of the line still fits; all further ones fail too
            size = Path(self._path).stat().st_size
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))
        original(self, logs)

    storage._JournalFile.append_logs = append  # type: ignore[method-assign]
