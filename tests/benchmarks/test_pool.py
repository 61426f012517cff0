from __future__ import annotations

import math
import multiprocessing
from multiprocessing.connection import wait
import time

from benchmarks.pool import Attempt
from benchmarks.pool import attempt_all
from benchmarks.pool import run_all


def test_jobs_in_flight_are_not_waited_for_when_it_is_stopped() -> None:
    before = set(multiprocessing.active_children())
    results = run_all(time.sleep, [600, 0], processes=2)
    assert next(results) is None
    started = set(multiprocessing.active_children()) - before
    assert len(started) == 2
    results.close()  # as Ctrl-C does
    for process in started:
        # Not `join`: the pool's own thread may be the one that learns how the process ended.
        assert wait([process.sentinel], timeout=60)


def test_a_job_that_fails_does_not_end_the_others() -> None:
    attempts = sorted(attempt_all(math.sqrt, [4.0, -1.0, 9.0], processes=1), key=lambda a: a.job)
    failed, *others = attempts
    assert failed.job == -1.0
    assert failed.result is None
    assert str(failed.error).startswith("ValueError: ")
    assert others == [Attempt(4.0, 2.0), Attempt(9.0, 3.0)]
