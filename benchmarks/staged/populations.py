"""Searches that train many networks side by side and give up the worse ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import math

import numpy as np

from benchmarks.staged.lab import Candidate
from benchmarks.staged.lab import Lab
from benchmarks.staged.lab import MAX_RATE
from benchmarks.staged.lab import MIN_RATE
from benchmarks.staged.lab import State
from benchmarks.staged.lab import windows
from benchmarks.staged.methods import equal_parts
from benchmarks.staged.methods import schedule
from optuna_gamma.staged.seeds import derive_seed


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
        ends = equal_parts(total, n_intervals)
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


def _cost(n: int, rungs: list[int], eta: int) -> int:
    """Return the steps that n rates take."""
    cost = 0
    for first, end in zip([0, *rungs], rungs, strict=False):
        cost += n * (end - first)
        n = max(n // eta, 1)
    return cost
