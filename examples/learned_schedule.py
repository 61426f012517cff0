"""A learned schedule in one's own training.

A staged study learns which learning rate to train with when, and writes it to ``schedule.json``.
As a scheduler of PyTorch it goes into any loop: here one that trains with the validation images
too, which have nothing left to choose, and with three seeds, because one good result may be luck.
A rate belongs to the batch size and the averaging of weights it was learned with: keep both.

Run it with ``python examples/learned_schedule.py [DIRECTORY]``. It needs PyTorch and what else
trains images: ``pip install "optuna-gamma[train]"``, or ``pip install ".[train]"`` in a clone of
the repository.
"""

from __future__ import annotations

from pathlib import Path
import sys

import optuna
import torch
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel
from torch.optim.swa_utils import get_swa_multi_avg_fn

from optuna_gamma import create_staged_study
from optuna_gamma.staged import StagedSchedule
from optuna_gamma.vision import load_dataset
from optuna_gamma.vision import VisionTask


BATCH_SIZE = 50

data = load_dataset("digits", n_valid=300)


def build(input_shape: tuple[int, int, int], n_classes: int) -> torch.nn.Module:
    n_pixels = input_shape[0] * input_shape[1] * input_shape[2]
    return torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(n_pixels, 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, n_classes),
    )


def space(trial: optuna.Trial) -> dict[str, float]:
    return {"lr": trial.suggest_float("lr", 1e-3, 1.0, log=True)}


def learn(directory: str) -> None:
    """Try six rates for 5 epochs, train on with the best for 45, and once more from there."""
    task = VisionTask(
        model=build,
        data=data,
        space=space,
        epochs_per_stage=(5, 45),
        batch_size=BATCH_SIZE,
        weight_decay=0.0,
    )
    staged = create_staged_study(study_name="digits", directory=directory)
    staged.optimize(task, n_stages=4, n_trials=(6, 1))


def train(schedule: StagedSchedule, seed: int) -> torch.nn.Module:
    """Train on all images but the test's, with a rate that is given."""
    torch.manual_seed(seed)
    x, y = (torch.cat(parts) for parts in zip(data.train, data.valid, strict=True))
    model = build(data.input_shape, data.n_classes)
    average = AveragedModel(model, multi_avg_fn=get_swa_multi_avg_fn())
    optimizer = torch.optim.SGD(model.parameters())
    scheduler = schedule.lr_scheduler(optimizer)
    epochs = [record.user_attrs["epochs"] for record in schedule]
    for epoch in range(sum(epochs)):
        for batch in torch.randperm(len(y)).split(BATCH_SIZE):
            optimizer.zero_grad()
            F.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
            if epoch >= sum(epochs) - epochs[-1] // 2:  # the second half of the last stage
                average.update_parameters(model)
        scheduler.step()
    return average.module


if __name__ == "__main__":
    torch.set_num_threads(1)
    directory = sys.argv[1] if len(sys.argv) > 1 else "runs/learned-schedule"
    learn(directory)
    schedule = StagedSchedule.from_json(Path(directory, "schedule.json").read_bytes())
    for record in schedule:
        print(f"{record.user_attrs['epochs']} epochs with lr {record.params['lr']:.4f}")
    x_test, y_test = data.test
    for seed in (1, 2, 3):
        answers = train(schedule, seed)(x_test).argmax(1)
        print(f"seed {seed}: test accuracy {(answers == y_test).float().mean():.3f}")
