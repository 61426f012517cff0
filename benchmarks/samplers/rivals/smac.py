"""SMAC3 (Lindauer et al. 2022): its Gaussian process on continuous spaces, else its forest.

The documentation of SMAC advises the black-box facade for few continuous parameters and the facade
for hyper-parameter optimisation for the others. Both refit at every trial here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ConfigSpace import Categorical
from ConfigSpace import ConfigurationSpace
from ConfigSpace import Float
from ConfigSpace import Integer
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from smac import BlackBoxFacade
from smac import HyperparameterOptimizationFacade
from smac import Scenario
from smac.runhistory import TrialValue

from benchmarks.samplers.rivals.ask_tell import AskTellSampler
from benchmarks.samplers.setting import Setting


def smac_sampler(setting: Setting) -> AskTellSampler:
    """Build a sampler."""
    return AskTellSampler(setting.space, _Smac(setting))


class _Smac:
    def __init__(self, setting: Setting) -> None:
        self._space = setting.space
        self._folder = TemporaryDirectory()
        space = ConfigurationSpace(seed=setting.seed)
        space.add([_parameter(name, kind) for name, kind in setting.space.items()])
        scenario = Scenario(
            space,
            deterministic=True,
            n_trials=setting.trials,
            output_directory=Path(self._folder.name),
            seed=setting.seed,
        )
        is_continuous = all(isinstance(d, FloatDistribution) for d in setting.space.values())
        facade = BlackBoxFacade if is_continuous else HyperparameterOptimizationFacade
        self._smac = facade(
            scenario,
            lambda config, seed: 0.0,
            config_selector=facade.get_config_selector(scenario, retrain_after=1),
            logging_level=False,
            overwrite=True,
        )

    def ask(self) -> dict[str, Any]:
        """Propose parameters."""
        self._asked = self._smac.ask()
        proposed = dict(self._asked.config)
        return {
            name: kind.choices[proposed[name]]
            if isinstance(kind, CategoricalDistribution)
            else proposed[name]
            for name, kind in self._space.items()
        }

    def tell(self, params: Mapping[str, Any], value: float) -> None:
        """Learn the value of what was proposed last."""
        del params
        self._smac.tell(self._asked, TrialValue(cost=value), save=False)


def _parameter(name: str, kind: BaseDistribution) -> Any:
    """Translate a range; categories go by their indices."""
    if isinstance(kind, CategoricalDistribution):
        return Categorical(name, list(range(len(kind.choices))))
    assert isinstance(kind, FloatDistribution | IntDistribution)
    make: Any = Integer if isinstance(kind, IntDistribution) else Float
    return make(name, (kind.low, kind.high), log=kind.log)
