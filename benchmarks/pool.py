"""Jobs over processes of one thread each."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterable
from concurrent.futures import as_completed
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
import functools
import multiprocessing
from multiprocessing.synchronize import Event
import os
import threading
from typing import Generic
from typing import TypeVar
import warnings

import optuna


Job = TypeVar("Job")
Result = TypeVar("Result")


def run_all(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    processes: int,
    set_up: Callable[[], object] | None = None,
) -> Generator[Result, None, None]:
    """Run jobs over processes of one thread each.

    Args:
        function: What does a job, importable by name.
        jobs: What to run, the first ones first.
        processes: How many at a time.
        set_up: Called when a process starts.

    Yields:
        Results as they come, in no particular order.

    Raises:
        concurrent.futures.process.BrokenProcessPool: If a process dies.
    """
    # Read by the libraries of linear algebra when a worker first imports them.
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    stopped = context.Event()
    pool = ProcessPoolExecutor(
        processes, mp_context=context, initializer=_begin, initargs=(set_up, stopped)
    )
    try:
        futures = [pool.submit(function, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()
    except BaseException:
        # The jobs in flight would be waited for at exit, however long they take.
        stopped.set()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class Attempt(Generic[Job, Result]):
    """A job and what it came to.

    Args:
        job: The job.
        result: Its result, unless it failed.
        error: What was raised if it failed.
    """

    job: Job
    result: Result | None
    error: str | None = None


def attempt_all(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    processes: int,
    set_up: Callable[[], object] | None = None,
) -> Generator[Attempt[Job, Result], None, None]:
    """Run jobs as :func:`run_all` does; one that fails does not end the others."""
    yield from run_all(functools.partial(_attempt, function), jobs, processes, set_up)


def _attempt(function: Callable[[Job], Result], job: Job) -> Attempt[Job, Result]:
    try:
        return Attempt(job, function(job))
    except Exception as error:
        return Attempt(job, None, f"{type(error).__name__}: {error}")


def _begin(set_up: Callable[[], object] | None, stopped: Event) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    if set_up is not None:
        set_up()
    threading.Thread(target=_die_with_parent, daemon=True).start()
    threading.Thread(target=_die_when, args=(stopped,), daemon=True).start()


def _die_with_parent() -> None:
    """End this process when the one that started it is gone, even if that was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _die_when(stopped: Event) -> None:
    stopped.wait()
    os._exit(1)
