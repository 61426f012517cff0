"""The samplers compared, each at its best known settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import CmaEsSampler
from optuna.samplers import GPSampler
from optuna.samplers import NSGAIISampler
from optuna.samplers import QMCSampler
from optuna.samplers import RandomSampler
from optuna.samplers import TPESampler

from benchmarks.samplers.rivals.grid import grid_sampler
from benchmarks.samplers.rivals.hebo import hebo_sampler
from benchmarks.samplers.rivals.hebo import hebo_version
from benchmarks.samplers.setting import Setting
from benchmarks.sources import version_of_sources
import optuna_gamma
from optuna_gamma import GammaBOSampler


@dataclass(frozen=True)
class Contender:
    """A sampler and how it takes part.

    Args:
        make: What builds it.
        versions: What tells the versions that its results depend on.
        is_ours: Whether it is this package's.
        is_anytime: Whether its first n proposals are the same whatever the number of trials; if
            not, it runs once for each budget.
        is_slow: Whether it takes seconds a proposal, and so runs on a subset for fewer trials.
    """

    make: Callable[[Setting], BaseSampler]
    versions: Callable[[], str]
    is_ours: bool = False
    is_anytime: bool = True
    is_slow: bool = False


def packages(*names: str) -> Callable[[], str]:
    """Make what tells the versions of some packages."""
    return lambda: "+".join(f"{name}-{version(name)}" for name in names)


@lru_cache
def own_version() -> str:
    """Return the version of what our proposals depend on, as it is when first asked for."""
    package = Path(optuna_gamma.__file__).parent
    sources = sorted((package / "bo").glob("*.py"))
    names = (
        *("sampler", "streams", "proposal", "fits", "surrogate", "source", "rivals", "history"),
        *("pending", "conditional", "learning_curves", "space", "unmodelled"),
    )
    sources += [package / f"{name}.py" for name in names]
    return version_of_sources(sources, digits=10)


def _gamma(setting: Setting) -> BaseSampler:
    return GammaBOSampler(seed=setting.seed)


def _gaussian(setting: Setting) -> BaseSampler:
    return GammaBOSampler(seed=setting.seed, acquisition="gaussian")


def _conjugate(setting: Setting) -> BaseSampler:
    return GammaBOSampler(seed=setting.seed, acquisition="conjugate")


def _cmaes(setting: Setting) -> BaseSampler:
    # Margin correction is for parameters that are not continuous (Hamano et al. 2022). CMA-ES
    # leaves categorical ones to the independent sampler, which draws them uniformly.
    kinds = [d for d in setting.space.values() if not isinstance(d, CategoricalDistribution)]
    has_steps = any(not isinstance(d, FloatDistribution) or d.step is not None for d in kinds)
    return CmaEsSampler(seed=setting.seed, with_margin=has_steps, warn_independent_sampling=False)


def _tpe_group(setting: Setting) -> BaseSampler:
    # Parameters that depend on each other are sampled together where they are found together.
    return TPESampler(seed=setting.seed, group=True)


def _nsga2(setting: Setting) -> BaseSampler:
    # A population of 50, the default, would be drawn at random for half of the trials.
    return NSGAIISampler(seed=setting.seed, population_size=20)


def _qmc(setting: Setting) -> BaseSampler:
    return QMCSampler(seed=setting.seed, scramble=True, warn_independent_sampling=False)


def _botorch(setting: Setting) -> BaseSampler:
    # Here and below: imported where it is used, because that takes seconds.
    from benchmarks.samplers.rivals.botorch import botorch_sampler

    return botorch_sampler(setting)


def _smac(setting: Setting) -> BaseSampler:
    from benchmarks.samplers.rivals.smac import smac_sampler

    return smac_sampler(setting)


CONTENDERS: dict[str, Contender] = {
    "gamma": Contender(_gamma, own_version, is_ours=True),
    "gaussian": Contender(_gaussian, own_version, is_ours=True),
    "conjugate": Contender(_conjugate, own_version, is_ours=True),
    "gp": Contender(lambda setting: GPSampler(seed=setting.seed), packages("optuna", "torch")),
    "gp-3": Contender(
        lambda setting: GPSampler(seed=setting.seed, n_startup_trials=3),
        packages("optuna", "torch"),
    ),
    "tpe": Contender(lambda setting: TPESampler(seed=setting.seed), packages("optuna")),
    "tpe-group": Contender(_tpe_group, packages("optuna")),
    "nsga2": Contender(_nsga2, packages("optuna")),
    "cmaes": Contender(_cmaes, packages("optuna", "cmaes")),
    "qmc": Contender(_qmc, packages("optuna")),
    "random": Contender(lambda setting: RandomSampler(seed=setting.seed), packages("optuna")),
    "grid": Contender(grid_sampler, packages("optuna"), is_anytime=False),
    "botorch": Contender(_botorch, packages("botorch", "gpytorch", "torch"), is_slow=True),
    "smac": Contender(_smac, packages("smac"), is_slow=True),
    "hebo": Contender(hebo_sampler, hebo_version, is_slow=True),
}
"""Contenders by the label that tables and files bear."""
