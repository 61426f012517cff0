"""The sampler with one part changed: what each part is worth."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
import math
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from scipy import special
from scipy import stats

from benchmarks.samplers.contenders import Contender
from benchmarks.samplers.contenders import own_version
from benchmarks.samplers.setting import Setting
from benchmarks.sources import version_of_sources
from optuna_gamma import GammaBOSampler
from optuna_gamma import GammaPrior
from optuna_gamma import proposal
from optuna_gamma import surrogate
from optuna_gamma.bo import maximize
from optuna_gamma.bo import outliers
from optuna_gamma.bo import transform
from optuna_gamma.bo.acquisition import LogEI
from optuna_gamma.bo.acquisition import make_acquisition
from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.fit import default_model
from optuna_gamma.bo.fit import LogDensity
from optuna_gamma.bo.fit import LogNormal
from optuna_gamma.bo.fit import Model
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.process import condition
from optuna_gamma.bo.process import Process


Change = tuple[Any, str, Any]
"""Module, name in it, what stands there instead."""


class _Changed(GammaBOSampler):
    """The sampler, with changes while it proposes from trials."""

    def __init__(self, changes: Sequence[Change], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._changes = changes

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        with ExitStack() as stack:
            for module, name, substitute in self._changes:
                stack.enter_context(patch.object(module, name, substitute))
            return super().sample_relative(study, trial, search_space)


def _version() -> str:
    return f"{own_version()}-{version_of_sources([Path(__file__)], digits=6)}"


def _with(*changes: Change, **arguments: Any) -> Contender:
    return Contender(
        lambda setting: _Changed(changes, seed=setting.seed, **arguments), _version, is_ours=True
    )


def _random_start(setting: Setting) -> GammaBOSampler:
    first = RandomSampler(seed=setting.seed)
    return GammaBOSampler(seed=setting.seed, independent_sampler=first)


def _model(change: Callable[[Model], Model]) -> Change:
    def changed(cube: Cube, prior: GammaPrior, noise: float | None = None) -> Model:
        return change(default_model(cube, prior, noise))

    return surrogate, "default_model", changed


def _length_scale(factor: float, spread: float) -> Change:
    def change(model: Model) -> Model:
        prior = model.length_scale
        assert prior is not None
        scaled = LogNormal(prior.mu + math.log(factor), spread * prior.sigma)
        return replace(model, length_scale=scaled)

    return _model(change)


def _noise(median: float) -> Change:
    return _model(lambda model: replace(model, noise=LogNormal(math.log(median), 2.0)))


def _transform(function: Callable[[Array], Array]) -> Sequence[Change]:
    """Transform standardised values further, and standardise the outcome."""

    def standardize(values: Array, spared: float = math.inf) -> Array:
        y = transform.standardize(values, spared)
        if not y.any():
            return y
        y = function(y)
        y = y - y.mean()
        deviation = float(y.std())
        unit: Array = y / deviation if deviation else y
        return unit

    return ((surrogate, "standardize", standardize),)


def _copula(y: Array) -> Array:
    scores: Array = special.ndtri((stats.rankdata(y) - 0.5) / len(y))
    return scores


def _power(y: Array) -> Array:
    powers: Array = stats.yeojohnson(y)[0]
    return powers


class _Average:
    """Log of the mean expected improvement of several processes."""

    def __init__(self, parts: Sequence[LogEI]) -> None:
        self._parts = parts

    def __call__(self, x: Array) -> Array:
        mean: Array = special.logsumexp([part(x) for part in self._parts], axis=0)
        return mean

    def with_gradient(self, x: Array) -> tuple[Array, Array]:
        values, gradients = zip(*(part.with_gradient(x) for part in self._parts), strict=True)
        weights = special.softmax(values, axis=0)
        return special.logsumexp(values, axis=0), np.einsum("km,kmd->md", weights, gradients)


def _averaged(
    name: Any, process: Process, prior: GammaPrior, xi: float = 0.0, best: float | None = None
) -> Any:
    """Average over eight of 24 draws of the hyper-parameters around the fitted ones.

    The draws are normal with deviation 0.4; the eight are drawn among them by importance.
    """
    y, d = process.y, process.X.shape[1]
    if len(process.X) != len(y) or best is not None:
        raise NotImplementedError("Pending trials, or constraints.")
    model = default_model(Cube((None,) * d, process.is_categorical), prior)
    density = LogDensity(process.X, y, process.is_categorical, model, process.extra)
    rng = np.random.default_rng(len(y))
    steps = 0.4 * rng.standard_normal((24, d + 2))
    steps[:, d] = 0.0
    drawn = np.clip(process.theta + steps, *density.bounds)
    logs = np.array([density(theta)[0] for theta in drawn])
    logs += 0.5 * (steps**2).sum(axis=1) / 0.4**2
    chosen = rng.choice(len(drawn), size=8, p=special.softmax(logs))
    processes = [
        condition(process.X, y, process.is_categorical, theta, prior, True, process.extra)
        for theta in drawn[chosen]
    ]
    return _Average([make_acquisition(name, part, prior, xi) for part in processes])


def _best_value(
    name: Any, process: Process, prior: GammaPrior, xi: float = 0.0, best: float | None = None
) -> LogEI:
    """Improve on the best value, not on the best location."""
    return make_acquisition(name, replace(process, location=process.y), prior, xi, best)


class _InBox:
    """An acquisition function on a box, as a function on the unit cube."""

    def __init__(self, acquisition: LogEI, low: Array, width: Array) -> None:
        self._acquisition = acquisition
        self._low = low
        self._width = width

    def __call__(self, x: Array) -> Array:
        return self._acquisition(self._low + self._width * x)

    def with_gradient(self, x: Array) -> tuple[Array, Array]:
        values, gradients = self._acquisition.with_gradient(self._low + self._width * x)
        return values, gradients * self._width


def _trust_region(
    acquisition: LogEI,
    cube: Cube,
    anchors: Array,
    taken: Array,
    rng: np.random.Generator,
    effort: maximize.Effort,
) -> Array | None:
    """Search a box of width 0.4 around the best point. Continuous coordinates only."""
    low = np.clip(anchors[0] - 0.2, 0.0, 1.0)
    width = np.clip(anchors[0] + 0.2, 0.0, 1.0) - low
    inside = (np.clip(anchors, low, low + width) - low) / width
    nothing = np.empty((0, cube.dim))
    x = maximize.maximize(_InBox(acquisition, low, width), cube, inside, nothing, rng, effort)
    return None if x is None else low + width * x


def _effort(**changes: int) -> Sequence[Change]:
    return (
        (proposal, "USUAL", replace(maximize.USUAL, **changes)),
        (proposal, "_QUICK", replace(proposal._QUICK, **changes)),
    )


VARIANTS: dict[str, Contender] = {
    "acquisition gaussian": _with(acquisition="gaussian"),
    "acquisition conjugate": _with(acquisition="conjugate"),
    "prior shape 1.2": _with(prior=GammaPrior(1.2)),
    "prior shape 5": _with(prior=GammaPrior(5)),
    "prior rate 0.3": _with(prior=GammaPrior(2, 0.3)),
    "prior rate 3": _with(prior=GammaPrior(2, 3)),
    "first trial random": Contender(_random_start, _version, is_ours=True),
    "start-up 2": _with(n_startup_trials=2),
    "start-up 8": _with(n_startup_trials=8),
    "no winsorising": _with((transform, "WINSOR", math.inf)),
    "winsorising at 1": _with((transform, "WINSOR", 1.0)),
    "power transform": _with(*_transform(_power)),
    "copula": _with(*_transform(_copula)),
    "outliers kept": _with((outliers, "MOST", 0.0)),
    "length-scale halved": _with(_length_scale(0.5, 1.0)),
    "length-scale doubled": _with(_length_scale(2.0, 1.0)),
    "length-scale spread doubled": _with(_length_scale(1.0, 2.0)),
    "mean zero": _with(_model(lambda model: replace(model, mean="zero"))),
    "noise median 1e-6": _with(_noise(1e-6)),
    "noise median 1e-2": _with(_noise(1e-2)),
    "noise fixed near zero": _with(deterministic_objective=True),
    "hyper-parameters averaged": _with((proposal, "make_acquisition", _averaged)),
    "few rounds": _with((proposal, "USUAL", proposal._QUICK)),
    "fitted at doublings": _with((surrogate, "_REFIT_GROWTH", 2.0)),
    "incumbent best value": _with((proposal, "make_acquisition", _best_value)),
    "trust region": _with((proposal, "maximize", _trust_region)),
    "no candidates near the best": _with(*_effort(n_local=0)),
    "one search": _with(*_effort(n_searches=1)),
    "search effort x 4": _with(*_effort(n_global=512, n_local=256, n_searches=8, rounds=20)),
}
"""What is changed, by the label that tables and files bear."""
