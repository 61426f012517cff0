"""Ctrl-C: once to finish the trial in flight, twice to stop at once."""

from __future__ import annotations

from contextlib import suppress
import signal
import threading
from types import FrameType
from types import TracebackType
from typing import Any

import optuna


_logger = optuna.logging.get_logger(f"optuna.{__name__}")


class Interrupt:
    """Takes the first SIGINT of a block as a request, and hands on all later ones.

    Only in the main thread, the one that Python delivers signals to, and only if SIGINT would do
    something there; elsewhere it changes nothing. The handler before is put back at the end.

    Attributes:
        requested: Whether there was a SIGINT.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            previous = signal.getsignal(signal.SIGINT)
            if callable(previous):
                self._previous = previous
                signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            self._previous(number, frame)
            return
        self.requested = True
        with suppress(RuntimeError):  # it may have come while this very stream was being written
            _logger.warning(
                "Stopping after the trial in flight; press Ctrl-C again to stop at once. Either "
                "way the same command resumes the run."
            )
