"""A staged study around Lightning's ``Trainer``.

The next stage goes on from the best copy's weights and momentum. Its learning rate is the trial's:
set *after* the optimizer's state was loaded, which would bring back the rate of the stage before.
Checkpoints are the staged study's business; Lightning writes none. Interrupt it and run it again:
it resumes.

Run it with ``python examples/staged_lightning.py [DIRECTORY]``. It needs Lightning and
scikit-learn: ``pip install lightning scikit-learn``.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import lightning as L
import optuna
from sklearn.datasets import load_digits
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torch.utils.data import random_split
from torch.utils.data import TensorDataset

from optuna_gamma import create_staged_study
from optuna_gamma import kappa
from optuna_gamma.staged import Stage


images, labels = load_digits(return_X_y=True)
train, valid, test = random_split(
    TensorDataset(torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)),
    [1000, 400, 397],
    torch.Generator().manual_seed(0),
)

TRIALS = (6, 1)
EPOCHS = (5, 25)
"""Of a stage that searches and of one that trains on; an epoch is 20 batches of 50."""


class Classifier(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = torch.nn.Sequential(
            torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
        )
        self.lr = 0.0
        self.optimizer_state: dict[str, Any] | None = None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)
        if self.optimizer_state is not None:
            optimizer.load_state_dict(self.optimizer_state)
            for group in optimizer.param_groups:  # after loading, which brings back the old rate
                group["lr"] = self.lr
        return optimizer

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        x, y = batch
        return F.cross_entropy(self.network(x), y)

    def validation_step(self, batch: list[torch.Tensor]) -> None:
        x, y = batch
        logits = self.network(x)
        self.log("loss", F.cross_entropy(logits, y))
        self.log("accuracy", (logits.argmax(1) == y).float().mean())


def create_trainer(epochs: int = 0) -> L.Trainer:
    return L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def objective(trial: optuna.Trial, stage: Stage) -> float:
    L.seed_everything(stage.seed, verbose=False)  # the same batches for all candidates of a stage
    model = Classifier()
    state = stage.load()  # what the best trial of the stage before has saved
    if state is not None:
        model.load_state_dict(state["model"])
        model.optimizer_state = state["optimizer"]
    model.lr = trial.suggest_float("lr", 1e-3, 1.0, log=True)
    trainer = create_trainer(EPOCHS[stage.number % 2])
    trainer.fit(model, DataLoader(train, 50, shuffle=True), DataLoader(valid, 400))
    optimizer = trainer.optimizers[0].state_dict()
    stage.save(trial, {"model": model.state_dict(), "optimizer": optimizer})
    metrics = trainer.callback_metrics  # of the last epoch
    return kappa(metrics["accuracy"].item(), metrics["loss"].item())


if __name__ == "__main__":
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # it greets in each trial
    directory = sys.argv[1] if len(sys.argv) > 1 else "runs/staged-lightning"
    staged = create_staged_study(study_name="digits", directory=directory)
    staged.optimize(objective, n_stages=2, n_trials=TRIALS)
    for record in staged.schedule:
        print(f"stage {record.number}: lr {record.params['lr']:.4f}, kappa {record.value:.0f}")
    best = Classifier()
    best.load_state_dict(staged.load_best()["model"])
    [metrics] = create_trainer().validate(best, DataLoader(test, 400), verbose=False)
    print(f"test accuracy {metrics['accuracy']:.3f}")
