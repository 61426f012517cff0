"""Staged training of image classifiers: data, networks, trainer and metrics.

Needs PyTorch: ``pip install 'optuna-gamma[train]'``.
"""

try:
    from optuna_gamma.vision.data import create_dataset
    from optuna_gamma.vision.data import Dataset
    from optuna_gamma.vision.data import load_dataset
    from optuna_gamma.vision.metrics import ClassificationMetrics
    from optuna_gamma.vision.models import create_model
    from optuna_gamma.vision.task import VisionTask
except ModuleNotFoundError as error:
    if error.name is None or error.name.startswith("optuna_gamma"):
        raise
    raise ModuleNotFoundError(
        f"optuna_gamma.vision needs {error.name}, which is not installed: "
        "pip install 'optuna-gamma[train]'.",
        name=error.name,
    ) from error


__all__ = [
    "ClassificationMetrics",
    "Dataset",
    "VisionTask",
    "create_dataset",
    "create_model",
    "load_dataset",
]
