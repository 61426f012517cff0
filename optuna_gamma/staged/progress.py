"""The progress bar over a staged study's trials."""

from __future__ import annotations

from contextlib import ExitStack
import logging
from types import TracebackType

from tqdm.auto import tqdm  # type: ignore[import-untyped]
from tqdm.contrib.logging import logging_redirect_tqdm  # type: ignore[import-untyped]

from optuna_gamma.staged.ledger import Ledger
from optuna_gamma.staged.per_stage import PerStage
from optuna_gamma.staged.run import Run


class Progress:
    """A bar over all trials of all stages, those of other workers included.

    Args:
        run: The run.
        n_stages: Stages of the run.
        n_trials: Trials of the stages that are not finished.
        is_shown: Whether to show anything.
    """

    def __init__(self, run: Run, n_stages: int, n_trials: PerStage, is_shown: bool) -> None:
        self._run = run
        self._n_stages = n_stages
        self._n_trials = n_trials
        self._is_shown = is_shown
        self._resources = ExitStack()

    def __enter__(self) -> Progress:
        if self._is_shown:
            # Else each log line would leave a torn bar behind.
            loggers = [logging.getLogger("optuna")]
            self._resources.enter_context(logging_redirect_tqdm(loggers=loggers))
            self._done = 0
            self._stage = len(self._run.promoted())
            for stage in range(self._stage):
                ledger = self._run.ledger(stage)
                self._done += ledger.budget if ledger is not None else 0
            present = self._run.ledger(self._stage)
            there = self._done + (0 if present is None else present.n_finished)
            total = self._done + self._n_trials.total(self._stage, self._n_stages)
            self._bar = self._resources.enter_context(
                tqdm(total=total, initial=there, unit="trial")
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._resources.close()

    def update(self, stage: int, ledger: Ledger) -> None:
        """Show how far a stage has come."""
        if not self._is_shown:
            return
        text = f"Stage {stage + 1}/{self._n_stages}"
        if ledger.best is not None:
            text += f", best trial: {ledger.best.number}, best value: {ledger.best.value:.6g}"
        self._bar.set_description(text, refresh=False)
        before = self._done + self._n_trials.total(self._stage, stage)
        self._bar.update(before + ledger.n_finished - self._bar.n)
