"""Bayesian optimisation with a Gamma prior on the precision, and staged training, for Optuna.

The names below are loaded when they are first used, so that importing the package costs little
more than importing Optuna and needs neither torch nor plotly.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from optuna_gamma.bo.process import GammaPrior
    from optuna_gamma.objective import kappa
    from optuna_gamma.sampler import GammaBOSampler
    from optuna_gamma.staged.study import create_staged_study
    from optuna_gamma.staged.study import load_staged_study

_HOME = {
    "GammaBOSampler": "optuna_gamma.sampler",
    "GammaPrior": "optuna_gamma.bo.process",
    "create_staged_study": "optuna_gamma.staged.study",
    "kappa": "optuna_gamma.objective",
    "load_staged_study": "optuna_gamma.staged.study",
}

__all__ = [
    "GammaBOSampler",
    "GammaPrior",
    "create_staged_study",
    "kappa",
    "load_staged_study",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
