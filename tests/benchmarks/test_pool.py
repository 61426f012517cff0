from __future__ import annotations

import multiprocessing
import time

from benchmarks.pool import run_all


def test_jobs_in_flight_are_not_waited_for_when_it_is_stopped() -> None:
    before = set(multiprocessing.active_children())
    results = run_all(time.sleep, [600, 0], processes=2)
    assert next(results) is None
    started = set(multiprocessing.active_children()) - before
    assert len(started) == 2
    results.close()  # as Ctrl-C does
    for process in started:
        process.join(timeout=60)
        assert process.exitcode is not None
