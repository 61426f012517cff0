"""A staged study around one's own PyTorch loop.

Six learning rates are tried on copies of the network, for a few epochs each; the copy with the
best κ is then trained on with its rate. Scored, and kept, is the mean of the weights over the
second half of a stage, so that no rate is punished for its noise. Interrupt it and run it again:
it resumes.

Run it with ``python examples/staged_pytorch.py [DIRECTORY]``. It needs PyTorch and scikit-learn:
``pip install torch scikit-learn``.
"""

from __future__ import annotations

import sys

import optuna
from sklearn.datasets import load_digits
import torch
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel
from torch.optim.swa_utils import get_swa_multi_avg_fn

from optuna_gamma import create_staged_study
from optuna_gamma import kappa
from optuna_gamma.staged import Stage


images, labels = load_digits(return_X_y=True)
order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
x = torch.tensor(images, dtype=torch.float32)[order] / 16
y = torch.tensor(labels)[order]
train, valid, test = slice(0, 1000), slice(1000, 1400), slice(1400, None)

TRIALS = (6, 1)
EPOCHS = (5, 45)
"""Of a stage that searches and of one that trains on; an epoch is 20 batches of 50."""


def build() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))


def score(model: torch.nn.Module, part: slice) -> tuple[float, float]:
    with torch.no_grad():
        logits = model(x[part])
    accuracy = (logits.argmax(1) == y[part]).float().mean().item()
    return accuracy, F.cross_entropy(logits, y[part]).item()


def objective(trial: optuna.Trial, stage: Stage) -> float:
    model = build()
    state = stage.load()  # what the best trial of the stage before has saved
    if state is not None:
        model.load_state_dict(state["model"])
    lr = trial.suggest_float("lr", 1e-3, 2.0, log=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    average = AveragedModel(model, multi_avg_fn=get_swa_multi_avg_fn())
    epochs = EPOCHS[stage.number % 2]
    torch.manual_seed(stage.seed)  # the same batches for all candidates of a stage
    for epoch in range(epochs):
        for batch in torch.randperm(1000).split(50):
            optimizer.zero_grad()
            F.cross_entropy(model(x[train][batch]), y[train][batch]).backward()
            optimizer.step()
            if epoch >= epochs // 2:
                average.update_parameters(model)
    averaged = average.module
    stage.save(trial, {"model": model.state_dict(), "averaged": averaged.state_dict()})
    return kappa(*score(averaged, valid))


if __name__ == "__main__":
    torch.set_num_threads(1)
    directory = sys.argv[1] if len(sys.argv) > 1 else "runs/staged-pytorch"
    staged = create_staged_study(study_name="digits", directory=directory)
    staged.optimize(objective, n_stages=2, n_trials=TRIALS)
    for record in staged.schedule:
        print(f"stage {record.number}: lr {record.params['lr']:.4f}, kappa {record.value:.0f}")
    best = build()
    best.load_state_dict(staged.load_best()["averaged"])
    print(f"test accuracy {score(best, test)[0]:.3f}")
