"""A staged study around a Hugging Face ``Trainer``.

The model is a tiny vision transformer with random weights, so that nothing is downloaded; put
``from_pretrained`` in its place for a model of the hub. The optimizer is made here and handed to
the ``Trainer``: Adam's moments go on from stage to stage, the learning rate is the trial's.
Checkpoints are the staged study's business; the ``Trainer`` writes none. Interrupt it and run it
again: it resumes.

Run it with ``python examples/staged_hugging_face.py [DIRECTORY]``. It needs Transformers and
scikit-learn: ``pip install "transformers[torch]" scikit-learn``.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import optuna
from sklearn.datasets import load_digits
import torch
from torch.utils.data import Subset
from transformers import EvalPrediction
from transformers import PrinterCallback
from transformers import set_seed
from transformers import Trainer
from transformers import TrainingArguments
from transformers import ViTConfig
from transformers import ViTForImageClassification

from optuna_gamma import create_staged_study
from optuna_gamma import kappa
from optuna_gamma.staged import Stage


digits = load_digits()
pixels = torch.tensor(digits.images[:, None] / 16, dtype=torch.float32)
data = [
    {"pixel_values": image, "labels": label}
    for image, label in zip(pixels, digits.target, strict=True)
]
order = np.random.default_rng(0).permutation(len(data))
train, valid, test = (Subset(data, part) for part in np.split(order, [1000, 1400]))

DIRECTORY = sys.argv[1] if len(sys.argv) > 1 else "runs/staged-hugging-face"
TRIALS = (6, 1)
EPOCHS = (2, 12)
"""Of a stage that searches and of one that trains on; an epoch is 20 batches of 50."""


def build() -> ViTForImageClassification:
    config = ViTConfig(
        image_size=8,
        patch_size=4,
        num_channels=1,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        num_labels=10,
    )
    return ViTForImageClassification(config)


def create_arguments(**options: Any) -> TrainingArguments:
    return TrainingArguments(
        output_dir=DIRECTORY,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        lr_scheduler_type="constant",
        per_device_train_batch_size=50,
        per_device_eval_batch_size=400,
        **options,
    )


def create_trainer(
    model: ViTForImageClassification, arguments: TrainingArguments, **options: Any
) -> Trainer:
    trainer = Trainer(model, arguments, compute_metrics=compute_metrics, **options)
    trainer.remove_callback(PrinterCallback)
    return trainer


def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
    right = prediction.predictions.argmax(1) == prediction.label_ids
    return {"accuracy": float(np.mean(right))}


def objective(trial: optuna.Trial, stage: Stage) -> float:
    arguments = create_arguments(num_train_epochs=EPOCHS[stage.number % 2], seed=stage.seed)
    set_seed(stage.seed)  # all candidates of the first stage begin with the same weights
    model = build().to(arguments.device)  # before the optimizer, whose state goes where they are
    optimizer = torch.optim.AdamW(model.parameters())
    state = stage.load()  # what the best trial of the stage before has saved
    if state is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    for group in optimizer.param_groups:  # after loading, which brings back the old rate
        group["lr"] = group["initial_lr"] = lr  # the second is what a scheduler starts from
    trainer = create_trainer(model, arguments, train_dataset=train, optimizers=(optimizer, None))
    trainer.train()
    stage.save(trial, {"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    metrics = trainer.evaluate(valid)
    return kappa(metrics["eval_accuracy"], metrics["eval_loss"])


if __name__ == "__main__":
    staged = create_staged_study(study_name="digits", directory=DIRECTORY)
    staged.optimize(objective, n_stages=2, n_trials=TRIALS)
    for record in staged.schedule:
        print(f"stage {record.number}: lr {record.params['lr']:.4f}, kappa {record.value:.0f}")
    best = build()
    best.load_state_dict(staged.load_best()["model"])
    metrics = create_trainer(best, create_arguments()).evaluate(test)
    print(f"test accuracy {metrics['eval_accuracy']:.3f}")
