"""What is compared. A method turns a budget into finished trainings, and does not choose."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
import functools
import itertools
import math
import tempfile
from typing import Literal
from typing import Protocol

import numpy as np
import optuna
from optuna.pruners import NopPruner
from optuna.samplers import BaseSampler
from optuna.samplers import GPSampler
from optuna.samplers import RandomSampler
from optuna.samplers import TPESampler
from optuna.storages import InMemoryStorage

from benchmarks.staged.lab import Candidate
from benchmarks.staged.lab import Lab
from benchmarks.staged.lab import MAX_RATE
from benchmarks.staged.lab import MIN_RATE
from benchmarks.staged.lab import State
from benchmarks.staged.lab import windows
from optuna_gamma import create_staged_study
from optuna_gamma import GammaBOSampler
from optuna_gamma.staged import Stage
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


class StagedMethod:
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

    def stages(self, lab: Lab, budget: int) -> tuple[list[int], tuple[int, ...]]:
        """Return the steps of each stage, and the trials that stages take in turns."""
        raise NotImplementedError

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
        return np.diff([0, *_equal_parts(total, n_stages)]).tolist(), (budget,)


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
        ends = _equal_parts(total - self.rounds * n_probes * probe, self.rounds)
        long = np.diff([0, *ends]).tolist()
        return [steps for held in long for steps in (probe, held)], (n_probes, 1)


@dataclass(frozen=True)
class PBT:
    """Population-based training, synchronous, with as many members as the budget has trainings.

    Ten times in a training, each of the worst 20 % takes the weights and the rate of a random one
    of the best 20 %, by validation κ, and the rate is multiplied by 0.8 or 1.2. The mean of the
    weights over the last part of the training is copied with them.

    Reference:
        M. Jaderberg et al., "Population Based Training of Neural Networks", 2017: truncation
        selection and perturbation.
    """

    intervals: int = 10

    anytime = False

    @property
    def name(self) -> str:
        """Name in tables."""
        return "PBT"

    def candidates(self, lab: Lab, budget: int, seed: int) -> Iterator[Candidate]:
        """See :class:`Method`."""
        rng = np.random.default_rng(derive_seed(seed, "pbt"))
        rates: list[tuple[float, ...]] = [(rate,) for rate in _random_rates(budget, rng)]
        members: list[State | None] = [None] * budget
        total = lab.training_steps
        n_intervals = min(self.intervals, total)
        ends = _equal_parts(total, n_intervals)
        for k, (first, end) in enumerate(zip([0, *ends], ends, strict=False)):
            trained: list[State] = []
            for i, member in enumerate(members):
                rate = rates[i][-1]
                segment_seed = derive_seed(seed, "member", i, "segment", k)
                trained.append(
                    lab.train(
                        member,
                        schedule("constant", rate, total),
                        end - first,
                        segment_seed,
                        windows(total),
                    )
                )
            members = list(trained)
            if end == total:
                break
            scores = [lab.validate(state.model).kappa for state in trained]
            for i, j in exploited(scores, rng):
                members[i] = trained[j]
                rates[i] = (*rates[j], rates[j][-1] * float(rng.choice([0.8, 1.2])))
        for state, used in zip(trained, rates, strict=True):
            yield lab.candidate(state, used)


def exploited(scores: list[float], rng: np.random.Generator) -> list[tuple[int, int]]:
    """Pair each of the worst 20 % with a random one of the best 20 %, at least one.

    Args:
        scores: κ of the members.
        rng: Random numbers.

    Returns:
        Who takes over, and from whom.
    """
    order = np.argsort(scores)[::-1]
    n = max(round(0.2 * len(scores)), 1)
    if len(scores) < 2:
        return []
    return [(int(i), int(rng.choice(order[:n]))) for i in order[-n:]]


@dataclass(frozen=True)
class SuccessiveHalving:
    """Random constant rates, of which the best third goes on at a ninth and a third of the way.

    They are compared by validation κ. Rates are as many as the budget allows; less is left
    over than one more would take, promotions included.

    Reference:
        K. Jamieson and A. Talwalkar, AISTATS 2016; η = 3 as in L. Li et al., "Hyperband", JMLR
        18, 2018. Trainings go on, they do not begin again.
    """

    eta: int = 3

    anytime = False

    @property
    def name(self) -> str:
        """Name in tables."""
        return "successive halving"

    def candidates(self, lab: Lab, budget: int, seed: int) -> Iterator[Candidate]:
        """See :class:`Method`."""
        rng = np.random.default_rng(derive_seed(seed, "halving"))
        total = lab.training_steps
        rungs = [max(total // self.eta**k, 1) for k in (2, 1, 0)]
        n = 1
        while _cost(n + 1, rungs, self.eta) <= budget * total:
            n += 1
        states: list[tuple[float, State | None]] = [(rate, None) for rate in _random_rates(n, rng)]
        for k, (first, end) in enumerate(zip([0, *rungs], rungs, strict=False)):
            segment_seed = derive_seed(seed, "stage", k)
            trained = [
                (
                    rate,
                    lab.train(
                        state,
                        schedule("constant", rate, total),
                        end - first,
                        segment_seed,
                        windows(total),
                    ),
                )
                for rate, state in states
            ]
            if end < total:
                scores = [lab.validate(state.model).kappa for _, state in trained]
                kept = np.argsort(scores)[::-1][: max(len(trained) // self.eta, 1)]
                states = [trained[i] for i in kept]
        for rate, state in trained:
            yield lab.candidate(state, (rate,))


def _random_rates(n: int, rng: np.random.Generator) -> list[float]:
    """Draw rates, uniform in their logarithm."""
    return [math.exp(x) for x in rng.uniform(math.log(MIN_RATE), math.log(MAX_RATE), n).tolist()]


def _equal_parts(total: int, n: int) -> list[int]:
    """Return where each of n parts of as many steps ends, the last ones a step longer."""
    return [total * (k + 1) // n for k in range(n)]


def _cost(n: int, rungs: list[int], eta: int) -> int:
    """Return the steps that n rates take."""
    cost = 0
    for first, end in zip([0, *rungs], rungs, strict=False):
        cost += n * (end - first)
        n = max(n // eta, 1)
    return cost
