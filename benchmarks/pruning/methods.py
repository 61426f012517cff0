"""Samplers and pruners that are combined, and what shows what pruned trials teach."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner
from optuna.pruners import HyperbandPruner
from optuna.pruners import MedianPruner
from optuna.pruners import NopPruner
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from benchmarks.pruning.task import EPOCHS
from benchmarks.samplers.contenders import Contender
from benchmarks.samplers.contenders import CONTENDERS
from benchmarks.samplers.contenders import own_version
from benchmarks.sources import version_of_sources
from optuna_gamma import GammaBOSampler
from optuna_gamma import history
from optuna_gamma.bo.kernel import Array
from optuna_gamma.history import History
from optuna_gamma.history import Observations


OURS = "gamma"

PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "MedianPruner": lambda: MedianPruner(n_warmup_steps=2),
    "HyperbandPruner": lambda: HyperbandPruner(max_resource=EPOCHS),
    "NopPruner": NopPruner,
}


class _Changed(GammaBOSampler):
    """The sampler, with a name replaced while it proposes from trials."""

    def __init__(self, seed: int, target: Any, name: str, substitute: Any) -> None:
        super().__init__(seed=seed)
        self._change = target, name, substitute

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        with patch.object(*self._change):
            return super().sample_relative(study, trial, search_space)


def _as_failed(finals: Array, reports: Array) -> tuple[Array, Array]:
    return np.where(np.isnan(finals), -np.inf, finals), np.zeros(len(finals))


_observe = History.observe


def _without_pruned(
    kept: History, study: Study, trials: Sequence[FrozenTrial], *args: Any
) -> Observations:
    seen = _observe(kept, study, trials, *args)
    states = [trials[number].state for number in seen.numbers]
    chosen = np.array([state != TrialState.PRUNED for state in states], dtype=np.bool_)
    return replace(
        seen,
        X=seen.X[chosen],
        values=seen.values[chosen],
        numbers=seen.numbers[chosen],
        is_complete=seen.is_complete[chosen],
        noise=seen.noise[chosen],
    )


def _version() -> str:
    return f"{own_version()}-{version_of_sources([Path(__file__)], digits=6)}"


ABLATIONS = {
    "gamma, as failed": Contender(
        lambda setting: _Changed(setting.seed, history, "impute", _as_failed),
        _version,
        is_ours=True,
    ),
    "gamma, ignored": Contender(
        lambda setting: _Changed(setting.seed, History, "observe", _without_pruned),
        _version,
        is_ours=True,
    ),
}
"""Pruned trials count as failed ones; or are not seen at all, as by GPSampler."""

RIVALS = ("gp", "gp-3", "tpe", "random")

SAMPLERS: dict[str, Contender] = {
    OURS: CONTENDERS[OURS],
    **ABLATIONS,
    **{label: CONTENDERS[label] for label in RIVALS},
}
"""Contenders by the label that tables and files bear."""
