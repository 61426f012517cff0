"""What a terminal shows while a run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
import logging
import sys

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
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    if options.quiet or not console.is_terminal:
        yield console
        return
    table = _Table(options, console)
    with (
        Live(get_renderable=table.render, console=console, refresh_per_second=1, transient=True),
        _log_above_it(),
    ):
        yield console


class _Table:
    def __init__(self, options: TrainOptions, console: Console) -> None:
        self._options = options
        self._console = console
        # Its own: what a worker has read of the storage is the worker's.
        self._staged: StagedStudy | None = None
        self._last: RenderableType = ""

    def render(self) -> RenderableType:
        """Draw how far the run is, or was when that could be read last."""
        with suppress(Exception):  # a database out of reach: the worker will say so if it lasts
            self._last = self._render()
        return self._last

    def _render(self) -> RenderableType:
        options = self._options
        if self._staged is None:
            self._staged = open_run(str(options.out), options.storage)
        status = self._staged.status()
        n_stages = max(status.n_stages, options.stages)
        if not status.stages:
            return ""
        return Group(
            stages_table(status, n_stages, options, self._console.height - _LINES_BESIDE),
            headline(status, n_stages, seconds_left(status, options)),
        )


@contextmanager
def _log_above_it() -> Iterator[None]:
    """Let Optuna's log go through what the live display has put in the place of ``sys.stderr``."""
    handlers = [
        handler
        for handler in logging.getLogger("optuna").handlers
        if isinstance(handler, logging.StreamHandler)
    ]
    before = [handler.setStream(sys.stderr) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            if stream is not None:
                handler.setStream(stream)
