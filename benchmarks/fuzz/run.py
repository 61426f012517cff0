"""Many random studies, and the record of them."""

from __future__ import annotations

from collections import Counter
import logging
from pathlib import Path
from typing import Any
from typing import get_args

from hypothesis import given
from hypothesis import HealthCheck
from hypothesis import seed
from hypothesis import settings

from benchmarks.fuzz.check import check
from benchmarks.fuzz.studies import random_studies
from benchmarks.fuzz.studies import RandomStudy
from benchmarks.record import Record
from optuna_gamma.bo.acquisition import Acquisition
from optuna_gamma.fits import THETA_KEY


FALLBACKS = {
    "more jitter": "jitter is raised",
    "other start": "starts elsewhere",
    "the prior's": "the prior's are used",
    "start-up point": "start-up point is proposed",
}
"""Column and what the log says at debug level, in the order of the steps."""


def main(n: int, first: int, out: Path) -> None:
    """Check random studies.

    Args:
        n: How many.
        first: Seed of the random studies.
        out: Folder for the record.

    Raises:
        Exception: What the first study that fails raises, after hypothesis has simplified it.
    """
    counts = {name: Counter[str]() for name in get_args(Acquisition)}
    handler = _Fallbacks()
    logger = logging.getLogger("optuna_gamma")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False

    @seed(first)
    @settings(
        max_examples=n,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(random_studies())
    def run(case: RandomStudy) -> None:
        handler.counts = count = counts[case.sampler["acquisition"]]
        proposed = check(case).trials[-case.n_asked :]
        count["studies"] += 1
        count["trials in histories"] += case.n_trials + case.n_source
        count["proposals"] += len(proposed)
        count["by the model"] += sum(THETA_KEY in trial.system_attrs for trial in proposed)

    run()
    columns = ("studies", "trials in histories", "proposals", "by the model", *FALLBACKS)
    rows: list[dict[str, Any]] = [
        {"acquisition": name, **{column: count[column] for column in columns}}
        for name, count in counts.items()
    ]
    Record(
        name="fuzz",
        title="Random studies: no exception, no warning, no value that is not legal",
        rows=rows,
        seeds=[first],
        packages=["hypothesis"],
        notes=(
            "A study that fails ends the command, which then writes nothing. The last columns "
            "count what numerics fell back on: how often the jitter was raised, a search for "
            "hyper-parameters started elsewhere, the prior's were used, and a start-up point was "
            "proposed because there was no model."
        ),
    ).save(out)


class _Fallbacks(logging.Handler):
    """Counts what is said at debug level."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = Counter[str]()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        self.counts.update(name for name, words in FALLBACKS.items() if words in message)
