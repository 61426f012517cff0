"""A staged study of images of one's own: discs, rings and crosses, drawn here with noise.

Whatever gives images and labels will do in place of ``draw``: tensors, as here, or a
``torch.utils.data.Dataset`` such as torchvision's ``ImageFolder``. ``create_dataset`` checks them,
sets validation images apart and normalises; ``VisionTask`` trains a network on them. The test
images choose nothing: they are looked at once, at the end. Interrupt it and run it again: it
resumes.

Run it with ``python examples/own_dataset.py [DIRECTORY]``. It needs PyTorch and what else trains
images: ``pip install "optuna-gamma[train]"``, or ``pip install ".[train]"`` in a clone of the
repository.
"""

from __future__ import annotations

import sys

import numpy as np
import optuna
import torch

from optuna_gamma import create_staged_study
from optuna_gamma.vision import create_dataset
from optuna_gamma.vision import VisionTask


CLASSES = ["disc", "ring", "cross"]


def draw(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw ``n`` images of 16×16 pixels, in [0, 1], and return them with their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(len(CLASSES), size=n)
    row, column = rng.uniform(5, 11, (2, n, 1, 1))
    radius = rng.uniform(3, 5, (n, 1, 1))
    y, x = np.abs(np.arange(16)[:, None] - row), np.abs(np.arange(16) - column)
    distance = np.hypot(y, x)
    disc = distance < radius
    ring = disc & (distance > radius - 1.5)
    cross = disc & (np.minimum(y, x) < 1)
    images = np.choose(labels[:, None, None], [disc, ring, cross])
    images = images + rng.normal(0, 0.5, images.shape)
    return torch.tensor(images.clip(0, 1), dtype=torch.float32), torch.tensor(labels)


def space(trial: optuna.Trial) -> dict[str, float]:
    return {"lr": trial.suggest_float("lr", 1e-3, 0.5, log=True)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    data = create_dataset(
        train=draw(700, seed=0),
        test=draw(400, seed=1),
        n_valid=200,
        classes=CLASSES,
        name="shapes",
    )
    task = VisionTask(model="deep-conv", data=data, space=space, epochs_per_stage=(10, 60))
    directory = sys.argv[1] if len(sys.argv) > 1 else "runs/own-dataset"
    staged = create_staged_study(study_name="shapes", directory=directory)
    staged.optimize(task, n_stages=2, n_trials=(6, 1))
    for record in staged.schedule:
        print(f"stage {record.number}: lr {record.params['lr']:.4f}, kappa {record.value:.0f}")
    metrics = task.evaluate(staged.load_best(), "test")
    for name, row in zip(data.classes, metrics.confusion.tolist(), strict=True):
        print(f"{name:>5} was taken for {dict(zip(data.classes, row, strict=True))}")
    print(f"test accuracy {metrics.accuracy:.3f}")
