"""What is compared. A method turns a budget into finished trainings, and does not choose."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
import math
from typing import Literal
from typing import Protocol

import optuna
from optuna.samplers import BaseSampler
from optuna.samplers import GPSampler
from optuna.samplers import RandomSampler
from optuna.samplers import TPESampler

from benchmarks.staged.lab import Candidate
from benchmarks.staged.lab import Lab
from benchmarks.staged.lab import MAX_RATE
from benchmarks.staged.lab import MIN_RATE
from benchmarks.staged.lab import windows
from optuna_gamma import GammaBOSampler
from optuna_gamma.staged.seeds import derive_seed


Sampler = Literal["gamma", "gp", "tpe", "random"]
Shape = Literal["constant", "cosine", "one-cycle"]


class Method(Protocol):
    """A search for a schedule, or for weights."""

    @property
    def anytime(self) -> bool:
        """Whether what a smaller budget gives is the beginning of what a larger one does."""
        ...

    @property
    def name(self) -> str:
        """Name in tables."""
        ...

    def candidates(self, lab: Lab, budget: int, seed: int) -> Iterator[Candidate]:
        """Spend a budget.

        Args:
            lab: Trains and validates.
            budget: Number of trainings that the budget is as long as.
            seed: Seed of everything.

        Yields:
            Finished trainings, each when it is.
        """
        ...


def schedule(shape: Shape, rate: float, n_steps: int) -> Callable[[int], float]:
    """Return a schedule: from step in 0 .. n_steps − 1 to learning rate.

    Args:
        shape: ``"constant"``; ``"cosine"``: from the rate down to 0 (Loshchilov & Hutter, ICLR
            2017, without restarts); ``"one-cycle"``: over 30 % of the steps up from a 25th of the
            rate to it, then down to a 250,000th, both as a cosine, the defaults of PyTorch's
            ``OneCycleLR`` (Smith & Topin 2018).
        rate: The highest rate.
        n_steps: Number of steps of the training.
    """
    if shape == "constant":
        return lambda step: rate
    if shape == "cosine":
        return lambda step: rate * (1 + math.cos(math.pi * step / n_steps)) / 2
    top = max(0.3 * n_steps - 1, 1.0)

    def one_cycle(step: int) -> float:
        if step <= top:
            low, done = rate / 25, step / top
            return low + (rate - low) * (1 - math.cos(math.pi * done)) / 2
        low, done = rate / 25e4, (step - top) / (n_steps - 1 - top)
        return low + (rate - low) * (1 + math.cos(math.pi * done)) / 2

    return one_cycle


def make_sampler(name: Sampler, seed: int) -> BaseSampler:
    """Make a sampler; TPE and GPSampler start with 4 trials, or they would hardly begin."""
    if name == "gamma":
        return GammaBOSampler(seed=seed)
    if name == "gp":
        return GPSampler(seed=seed, n_startup_trials=4)
    if name == "tpe":
        return TPESampler(seed=seed, n_startup_trials=4)
    return RandomSampler(seed=seed)


@dataclass(frozen=True)
class Tuned:
    """Whole trainings with a schedule of one shape, whose highest rate is searched.

    All begin with the same weights and see the same batches. The sampler is told κ of the averaged
    weights.

    Args:
        shape: Shape of the schedule.
        sampler: What searches. GammaBOSampler begins in the middle of the range.
        n_trainings: Number of trainings, each as long as the budget then allows; 0: as many as
            the budget has, of the problem's length.
    """

    shape: Shape
    sampler: Sampler
    n_trainings: int = 0

    @property
    def anytime(self) -> bool:
        """See :class:`Method`."""
        return not self.n_trainings

    @property
    def name(self) -> str:
        """Name in tables."""
        longer = {0: "", 1: ", one long training"}
        of_all = longer.get(self.n_trainings, f", {self.n_trainings} long trainings")
        return f"{self.shape}, {self.sampler}{of_all}"

    def candidates(self, lab: Lab, budget: int, seed: int) -> Iterator[Candidate]:
        """See :class:`Method`."""
        study = optuna.create_study(
            study_name=f"tuned-{seed}",
            sampler=make_sampler(self.sampler, derive_seed(seed, "s")),
            direction="maximize",
        )
        n_trainings = min(self.n_trainings, budget) or budget
        n = lab.training_steps * budget // n_trainings
        for _ in range(n_trainings):
            trial = study.ask()
            rate = trial.suggest_float("lr", MIN_RATE, MAX_RATE, log=True)
            state = lab.train(
                None, schedule(self.shape, rate, n), n, derive_seed(seed, "stage", 0), windows(n)
            )
            candidate = lab.candidate(state, (rate,))
            value = candidate.valid["averaged"].kappa
            if math.isinf(value):
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, value)
            yield candidate


def equal_parts(total: int, n: int) -> list[int]:
    """Return where each of n parts of as many steps ends, the last ones a step longer."""
    return [total * (k + 1) // n for k in range(n)]
