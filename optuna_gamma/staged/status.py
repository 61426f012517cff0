"""How far a run is: what its trials and their leases say at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_gamma.staged.lease import seems_held
from optuna_gamma.staged.ledger import Ledger
from optuna_gamma.staged.run import Run


@dataclass(frozen=True)
class StageStatus:
    """One stage that was begun.

    Attributes:
        number: Number of the stage, from 0.
        n_trials: How many trials the stage is to have.
        trials: Those that were begun, by number.
        best: The best one so far that can be promoted, if there is one.
        is_finished: Whether the best one is promoted.
    """

    number: int
    n_trials: int
    trials: tuple[FrozenTrial, ...]
    best: FrozenTrial | None
    is_finished: bool

    def count(self, state: TrialState) -> int:
        """Return how many trials have a state."""
        return sum(trial.state == state for trial in self.trials)

    @property
    def n_finished(self) -> int:
        """How many trials are finished, in whatever way."""
        return sum(trial.state.is_finished() for trial in self.trials)

    @property
    def running(self) -> tuple[FrozenTrial, ...]:
        """The trials that somebody runs, as far as this machine can tell.

        Of those that are run elsewhere, the ones with a sign of life in the last five minutes.
        """
        return tuple(
            trial
            for trial in self.trials
            if trial.state == TrialState.RUNNING and seems_held(trial)
        )

    @property
    def n_running(self) -> int:
        """How many they are."""
        return len(self.running)

    @property
    def n_abandoned(self) -> int:
        """How many RUNNING trials nobody runs, as far as this machine can tell.

        They were given back, their workers died here, or have shown no sign of life elsewhere.
        Whoever goes on takes them over.
        """
        return self.count(TrialState.RUNNING) - self.n_running


@dataclass(frozen=True)
class RunStatus:
    """All stages of a run.

    Attributes:
        study_name: Name of the run.
        n_stages: How many stages the run is to have; 0 before its first trial.
        stages: Those that were begun.
    """

    study_name: str
    n_stages: int
    stages: tuple[StageStatus, ...]

    @property
    def n_finished(self) -> int:
        """How many stages are finished."""
        return sum(stage.is_finished for stage in self.stages)

    @property
    def is_finished(self) -> bool:
        """Whether all stages are."""
        return 0 < self.n_stages == self.n_finished

    @property
    def n_running(self) -> int:
        """How many trials are being run."""
        return sum(stage.n_running for stage in self.stages)


def read_status(run: Run) -> RunStatus:
    """Read how far a run is."""
    ledgers: list[Ledger] = []
    for number in range(len(run.promoted()) + 1):
        ledger = run.ledger(number)
        if ledger is not None and ledger.trials:
            ledgers.append(ledger)
    return RunStatus(
        run.identity.study_name,
        max((ledger.n_stages for ledger in ledgers), default=0),
        tuple(
            StageStatus(
                number,
                ledger.budget,
                ledger.trials,
                ledger.best,
                ledger.promoted is not None,
            )
            for number, ledger in enumerate(ledgers)
        ),
    )
