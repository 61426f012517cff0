"""What the code of docs/schedules.md takes for granted: data, a space and a staged study."""

from optuna_gamma import create_staged_study
from optuna_gamma.vision import load_dataset
from optuna_gamma.vision import VisionTask  # noqa: F401


data = load_dataset("digits", n_train=20, n_valid=20)


def space(trial):
    return {"lr": trial.suggest_float("lr", 1e-2, 0.1, log=True)}


staged = create_staged_study(study_name="digits", directory="runs/digits")
