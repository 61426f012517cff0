from optuna_gamma import GammaBOSampler
from optuna_gamma import GammaPrior


__all__ = ["GammaBOSampler", "GammaPrior"]
