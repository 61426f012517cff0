"""What a terminal shows while a run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
import logging
import sys
import threading

from rich.console import Console
from rich.console import Group
from rich.console import RenderableType
from rich.live import Live

from optuna_gamma.cli.opening import open_run
from optuna_gamma.cli.options import TrainOptions
from optuna_gamma.cli.progress import headline
from optuna_gamma.cli.progress import seconds_left
from optuna_gamma.cli.progress import stages_table
from optuna_gamma.staged import StagedStudy


_SECONDS = 1.0
"""How often the table is read and drawn again."""

_LINES_BESIDE = 8
"""Lines of a terminal that are not a stage's."""


@contextmanager
def live_table(options: TrainOptions) -> Iterator[Console]:
    """Show the stages of a run, others' trials too, until it ends here.

    Args:
        options: The options, with what they were resolved to.

    Yields:
        A console on the standard error output: what is printed there comes above the table. Where
        it is no terminal, or ``options.quiet``, there is no table.
    """
    console = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
    if options.quiet or not console.is_terminal:
        yield console
        return
    table = _Table(options, console)
    reader = threading.Thread(target=table.keep_reading, daemon=True)
    reader.start()
    try:
        with (
            Live(
                get_renderable=lambda: table.last,
                console=console,
                refresh_per_second=1 / _SECONDS,
                transient=True,
            ),
            _log_above_it(reader),
        ):
            yield console
    finally:
        table.done.set()


class _Table:
    """Read by a thread of its own: what is drawn must not wait for a storage.

    Attributes:
        last: The table as it was read last.
        done: To be set when it is needed no more.
    """

    def __init__(self, options: TrainOptions, console: Console) -> None:
        self.last: RenderableType = ""
        self.done = threading.Event()
        self._options = options
        self._console = console
        # Its own: what a worker has read of the storage is the worker's.
        self._staged: StagedStudy | None = None

    def keep_reading(self) -> None:
        """Read how far the run is, now and then."""
        while not self.done.wait(_SECONDS):
            # Where a database is out of reach, the worker will say so if it lasts.
            with suppress(Exception):
                self.last = self.read()

    def read(self) -> RenderableType:
        """Read how far the run is, and draw it."""
        options = self._options
        if self._staged is None:
            self._staged = open_run(str(options.out), options.storage)
        status = self._staged.status()
        n_stages = max(status.n_stages, options.stages)
        if not status.stages:
            return ""
        n_shown = max(self._console.height - _LINES_BESIDE, 1)
        return Group(
            stages_table(status, n_stages, options, n_shown),
            headline(status, n_stages, seconds_left(status, options)),
        )


@contextmanager
def _log_above_it(reader: threading.Thread) -> Iterator[None]:
    """Let Optuna's log go through what the live display has put in the place of ``sys.stderr``.

    What the table's reader has to say is left out: the worker will say it too.
    """
    handlers = [
        handler
        for handler in logging.getLogger("optuna").handlers
        if isinstance(handler, logging.StreamHandler)
    ]

    def is_of_others(record: logging.LogRecord) -> bool:
        return record.thread != reader.ident

    before = [handler.setStream(sys.stderr) for handler in handlers]
    for handler in handlers:
        handler.addFilter(is_of_others)
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            handler.removeFilter(is_of_others)
            if stream is not None:
                handler.setStream(stream)
