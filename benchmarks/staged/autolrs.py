"""AutoLRS: a rate a stage by Bayesian optimisation over short probes and forecast losses."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
import math
import warnings

import numpy as np
from scipy.interpolate import UnivariateSpline
from scipy.optimize import minimize_scalar
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern
from sklearn.gaussian_process.kernels import WhiteKernel

from benchmarks.staged.lab import Candidate
from benchmarks.staged.lab import Lab
from benchmarks.staged.lab import MAX_RATE
from benchmarks.staged.lab import MIN_RATE
from benchmarks.staged.lab import State
from benchmarks.staged.lab import windows
from benchmarks.staged.methods import schedule
from optuna_gamma.staged.seeds import derive_seed


PROBES = 10
"""Rates tried in a stage, each for a tenth of its steps."""

FIRST_STAGE = 100
"""Steps τ of the first stage. Published are 1,000, of trainings of 10⁴ to 10⁶ steps; ours have a
few hundred, and a loss cannot be forecast from fewer than the 10 of a probe."""

DOUBLINGS = 3
"""Times that τ doubles, from stage to stage: published from 1,000 to 8,000."""

KAPPA = 1e6
"""Of the lower confidence bound μ − κσ, as in the published code."""

VALIDATIONS = 5
"""Validation losses of a probe, published 16 of longer ones."""

_CANDIDATES = np.linspace(math.log(MIN_RATE), math.log(MAX_RATE), 1001)


@dataclass(frozen=True)
class AutoLRS:
    """AutoLRS as published, from other weights again and again until the budget is spent.

    One run takes twice the epochs of a training. The loss at the end of a stage is forecast from
    validation losses, as the paper has it. (The published code takes training losses until τ has
    reached its maximum. Those of ten batches are noise: rates at which networks die were chosen.)

    Reference:
        Y. Jin et al., "AutoLRS: Automatic Learning-Rate Schedule by Bayesian Optimization on the
        Fly", ICLR 2021, and github.com/YuchenJin/autolrs.
    """

    anytime = True

    @property
    def name(self) -> str:
        """Name in tables."""
        return "AutoLRS"

    def candidates(self, lab: Lab, budget: int, seed: int) -> Iterator[Candidate]:
        """See :class:`~benchmarks.staged.methods.Method`."""
        for repetition in range(budget // 2):
            yield self._run(lab, derive_seed(seed, "autolrs", repetition))

    def _run(self, lab: Lab, seed: int) -> Candidate:
        total = lab.training_steps
        rng = np.random.default_rng(seed)
        state: State | None = None
        rates: tuple[float, ...] = ()
        for k, (first, end) in enumerate(stages(total)):
            n_probe = max((end - first) // PROBES, 1)
            stage_seed = derive_seed(seed, "stage", k)
            tried: list[float] = []
            losses: list[float] = []
            for _ in range(PROBES):
                rate = _propose(tried, losses, rng)
                series, every = _probe(lab, state, rate, n_probe, stage_seed)
                tried.append(rate)
                losses.append(forecast(series, (end - first) / every))
            best = tried[int(np.argmin(losses))]
            state = lab.train(
                state, schedule("constant", best, total), end - first, stage_seed, windows(total)
            )
            rates = (*rates, best)
        assert state is not None
        return lab.candidate(state, rates)


def stages(total: int) -> list[tuple[int, int]]:
    """Return first and last step of each stage; the last one takes what is left."""
    found, first, length = [], 0, FIRST_STAGE
    while first < total:
        found.append((first, min(first + length, total)))
        first += length
        length = min(2 * length, 2**DOUBLINGS * FIRST_STAGE)
    return found


def _probe(
    lab: Lab, state: State | None, rate: float, n_steps: int, seed: int
) -> tuple[list[float], int]:
    """Return a probe's validation losses, and how many steps lie between them."""
    every = max(n_steps // VALIDATIONS, 1)
    losses = []
    for k, begin in enumerate(range(0, n_steps, every)):
        n = min(every, n_steps - begin)
        segment_seed = derive_seed(seed, "part", k)
        state = lab.train(state, schedule("constant", rate, n), n, segment_seed, ())
        losses.append(lab.validate(state.model).loss)
    return losses, every


def forecast(series: Sequence[float], end: float) -> float:
    """Continue losses as a·exp(b t) + c, b < 0, fitted after a smoothing spline.

    Args:
        series: Losses at times 1, 2, …
        end: The time to forecast for.

    Returns:
        The loss, 1e6 if one of the losses is not a number, the last loss if there are too few.
    """
    y = np.array(series)
    if not np.isfinite(y).all():
        return 1e6
    if len(y) < 4:
        return float(y[-1])
    t = np.arange(1.0, len(y) + 1)
    kept_t, kept_y = t, y
    n_outliers = round(0.03 * len(y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(10 if n_outliers else 0):
            distance = np.abs(kept_y - UnivariateSpline(kept_t, kept_y, k=2)(kept_t))
            worst = np.argsort(distance)[-n_outliers:]
            worst = worst[kept_t[worst] <= len(y) / 2]  # only early losses are left out
            if len(kept_t) - len(worst) < 4:
                break
            kept_t, kept_y = np.delete(kept_t, worst), np.delete(kept_y, worst)
        smooth = UnivariateSpline(kept_t, kept_y, k=2)(t)

    def fit(log_speed: float) -> tuple[float, np.ndarray]:
        basis = np.stack([np.exp(-math.exp(log_speed) * t), np.ones_like(t)], axis=1)
        weights = np.linalg.lstsq(basis, smooth, rcond=None)[0]
        return float(((basis @ weights - smooth) ** 2).sum()), weights

    found = minimize_scalar(lambda x: fit(x)[0], bounds=(-10.0, 3.0), method="bounded")
    a, c = fit(found.x)[1]
    return float(a * math.exp(-math.exp(found.x) * end) + c)


def _propose(tried: Sequence[float], losses: Sequence[float], rng: np.random.Generator) -> float:
    """Return the rate of the least lower confidence bound, which was not tried; first, any."""
    if not tried:
        return float(np.exp(rng.choice(_CANDIDATES)))
    kernel = Matern(nu=2.5, length_scale_bounds=(0.1, 10.0)) + WhiteKernel(1e-2, (1e-6, 1.0))
    process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
    seen = np.log(tried)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a length-scale at its bound
        process.fit(seen[:, None], losses)
    mean, std = process.predict(_CANDIDATES[:, None], return_std=True)
    bound = mean - KAPPA * std
    bound[np.isclose(_CANDIDATES[:, None], seen).any(axis=1)] = math.inf
    return float(np.exp(_CANDIDATES[int(np.argmin(bound))]))
