"""Staged training of image classifiers: data, networks, trainer and metrics.

Needs PyTorch: ``pip install 'optuna-gamma[train]'``.
"""

from optuna_gamma.vision.data import create_dataset
from optuna_gamma.vision.data import Dataset
from optuna_gamma.vision.data import load_dataset
from optuna_gamma.vision.metrics import ClassificationMetrics
from optuna_gamma.vision.models import create_model
from optuna_gamma.vision.task import VisionTask


__all__ = [
    "ClassificationMetrics",
    "Dataset",
    "VisionTask",
    "create_dataset",
    "create_model",
    "load_dataset",
]
