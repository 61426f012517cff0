"""What can be done with source trials."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import CmaEsSampler
from optuna.trial import FrozenTrial

from benchmarks.samplers.contenders import own_version
from benchmarks.samplers.setting import Setting
from optuna_gamma import GammaBOSampler


BEST = 3
"""How many of the best source trials are enqueued."""

Trials = Sequence[FrozenTrial]


@dataclass(frozen=True)
class Method:
    """A way to use source trials.

    Args:
        make: What builds the sampler.
        versions: What tells the versions that its results depend on; source studies are ours too.
        n_enqueued: How many of the best source trials are enqueued.
        needs_order: Whether it has no use for categorical parameters.
    """

    make: Callable[[Setting, Trials], BaseSampler]
    versions: Callable[[], str] = own_version
    n_enqueued: int = 0
    needs_order: bool = False

    def fits(self, setting: Setting) -> bool:
        """Tell whether it can be used in a space."""
        kinds = setting.space.values()
        return not (
            self.needs_order and any(isinstance(d, CategoricalDistribution) for d in kinds)
        )

    def study(self, name: str, setting: Setting, trials: Trials) -> optuna.Study:
        """Create a study that uses source trials."""
        study = optuna.create_study(study_name=name, sampler=self.make(setting, trials))
        for trial in sorted(trials, key=lambda trial: trial.value or 0.0)[: self.n_enqueued]:
            study.enqueue_trial(trial.params)
        return study


def _cmaes(setting: Setting, trials: Trials) -> BaseSampler:
    has_steps = any(
        not isinstance(d, FloatDistribution) or d.step is not None for d in setting.space.values()
    )
    return CmaEsSampler(
        seed=setting.seed,
        with_margin=has_steps,
        source_trials=list(trials),
        warn_independent_sampling=False,
    )


WITHOUT, WITH = "none", "source"

METHODS = {
    WITHOUT: Method(lambda setting, trials: GammaBOSampler(seed=setting.seed)),
    WITH: Method(lambda setting, trials: GammaBOSampler(seed=setting.seed, source_trials=trials)),
    "enqueued": Method(lambda setting, trials: GammaBOSampler(seed=setting.seed), n_enqueued=BEST),
    "cmaes": Method(
        _cmaes,
        lambda: f"{own_version()}+optuna-{version('optuna')}+cmaes-{version('cmaes')}",
        needs_order=True,
    ),
}
"""Methods by the label that tables and files bear."""
