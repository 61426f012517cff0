"""Forms of the staged study: how long its stages are, and which of them search."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
import functools
import itertools
import math
import tempfile
from typing import Literal

import numpy as np
import optuna
from optuna.pruners import NopPruner
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage

from benchmarks.staged.lab import Candidate
from benchmarks.staged.lab import Lab
from benchmarks.staged.lab import MAX_RATE
from benchmarks.staged.lab import MIN_RATE
from benchmarks.staged.lab import State
from benchmarks.staged.methods import equal_parts
from benchmarks.staged.methods import make_sampler
from benchmarks.staged.methods import Sampler
from benchmarks.staged.methods import schedule
from optuna_gamma import create_staged_study
from optuna_gamma import GammaBOSampler
from optuna_gamma.staged import Stage


class StagedMethod(ABC):
    """A staged study: a stage's best trial's weights go on to the next stage.

    Averaged are the weights of the second half of a stage.

    Attributes:
        averaging: Whether averaged weights are scored. Raw ones go on in any case.
        sampler: What searches a stage's rate.
        score: A trial's value, which the sampler is told and the best of is promoted: of
            validation images the loss or κ.
    """

    averaging: bool
    sampler: Sampler
    score: Literal["loss", "kappa"]

    anytime = False

    @abstractmethod
    def stages(self, lab: Lab, budget: int) -> tuple[list[int], tuple[int, ...]]:
        """Return the steps of each stage, and the trials that stages take in turns."""

    def candidates(self, lab: Lab, budget: int, seed: int) -> Iterator[Candidate]:
        """See :class:`Method`."""
        lengths, n_trials = self.stages(lab, budget)
        starts = [0, *itertools.accumulate(lengths)]
        kind = "averaged" if self.averaging else "raw"
        last: list[Candidate] = []

        def objective(trial: optuna.Trial, stage: Stage) -> float:
            rate = trial.suggest_float("lr", MIN_RATE, MAX_RATE, log=True)
            first, n_steps = starts[stage.number], lengths[stage.number]
            saved = stage.load()
            before = None if saved is None else State(first, saved["model"], {})
            state = lab.train(
                before,
                schedule("constant", rate, n_steps),
                n_steps,
                stage.seed,
                (first + n_steps // 2,),
            )
            if stage.number < len(lengths) - 1:
                (mean,) = state.means.values()
                score = lab.validate(mean.weights if self.averaging else state.model)
            else:
                rates = tuple(record.params["lr"] for record in staged.schedule)
                last.append(lab.candidate(state, (*rates, rate)))
                score = last[-1].valid[kind]
            stage.save(trial, {"model": state.model})
            if math.isnan(score.loss):
                return math.nan
            return score.loss if self.score == "loss" else score.kappa

        sampler: BaseSampler | Callable[[int], BaseSampler] = GammaBOSampler(seed=seed)
        if self.sampler != "gamma":  # those that are not stateless are made anew for each trial
            sampler = functools.partial(make_sampler, self.sampler)
        with tempfile.TemporaryDirectory() as directory:
            staged = create_staged_study(
                study_name="staged",
                storage=InMemoryStorage(),
                directory=directory,
                sampler=sampler,
                pruner=NopPruner(),
                direction="minimize" if self.score == "loss" else "maximize",
                seed=seed,
            )
            try:
                staged.optimize(objective, len(lengths), n_trials)
            except RuntimeError:  # a stage came to nothing; if it was the last one, that counts
                if not last:
                    raise
        yield from last

    def _scored(self) -> str:
        return f"{'averaged' if self.averaging else 'raw'} {self.score}, {self.sampler}"


@dataclass(frozen=True)
class Staged(StagedMethod):
    """Stages of one length, which make up a training, with as many trials as the budget has.

    Args:
        stage_steps: Least number of steps of a stage, the last ones have one more where it does
            not come out even; 0: a stage is an epoch.
        averaging: See :class:`StagedMethod`.
        sampler: See :class:`StagedMethod`.
        score: See :class:`StagedMethod`.
    """

    stage_steps: int
    averaging: bool = True
    sampler: Sampler = "gamma"
    score: Literal["loss", "kappa"] = "kappa"

    @property
    def name(self) -> str:
        """Name in tables."""
        length = f"{self.stage_steps} steps" if self.stage_steps else "an epoch"
        return f"staged, {length}, {self._scored()}"

    def stages(self, lab: Lab, budget: int) -> tuple[list[int], tuple[int, ...]]:
        """See :class:`StagedMethod`."""
        total = lab.training_steps
        n_stages = max(total // (self.stage_steps or lab.epoch_steps), 1)
        return np.diff([0, *equal_parts(total, n_stages)]).tolist(), (budget,)


@dataclass(frozen=True)
class Probed(StagedMethod):
    """Short stages that search, and after each a long one that trains on with what they found.

    A search takes at most a third of the budget. Where not two probes have room in that, nothing
    is searched: the rate is the sampler's first.

    Args:
        n_probes: Most trials of a search.
        share: A probe takes this part of the whole budget, and at least ``min_steps``.
        rounds: Number of searches.
        averaging: See :class:`StagedMethod`.
        sampler: See :class:`StagedMethod`.
        score: See :class:`StagedMethod`.
        min_steps: Least number of steps of a probe.
    """

    n_probes: int = 6
    share: int = 24
    rounds: int = 1
    averaging: bool = True
    sampler: Sampler = "gamma"
    score: Literal["loss", "kappa"] = "kappa"
    min_steps: int = 100

    @property
    def name(self) -> str:
        """Name in tables."""
        rounds = "" if self.rounds == 1 else f"{self.rounds} times "
        return (
            f"staged, {rounds}{self.n_probes} probes of a {self.share}th "
            f"({self.min_steps}+ steps), {self._scored()}"
        )

    def stages(self, lab: Lab, budget: int) -> tuple[list[int], tuple[int, ...]]:
        """See :class:`StagedMethod`."""
        total = budget * lab.training_steps
        probe = max(self.min_steps, total // self.share)
        n_probes = min(self.n_probes, total // (3 * self.rounds * probe))
        if n_probes < 2:
            return [total], (1,)
        ends = equal_parts(total - self.rounds * n_probes * probe, self.rounds)
        long = np.diff([0, *ends]).tolist()
        return [steps for held in long for steps in (probe, held)], (n_probes, 1)
