"""Several processes, one study: three workers share the trials through a file.

A worker needs nothing but the study's name and its storage, so that it may as well be this script
in another terminal: run it again, or twice at once, and 24 more trials join the same study. The
sampler sees what other workers are trying at the moment and proposes something else: of a finite
space, as here, no point is tried twice. Workers on several machines share a database instead of a
file: ``storage="postgresql+psycopg://me@host/runs"``.

Run it with ``python examples/parallel_workers.py [DIRECTORY]``. It needs scikit-learn:
``pip install scikit-learn``.
"""

from __future__ import annotations

from collections import Counter
from multiprocessing import get_context
import os
from pathlib import Path
import sys

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal import JournalFileOpenLock
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from optuna_gamma import GammaBOSampler


images, labels = load_digits(return_X_y=True)


def objective(trial: optuna.Trial) -> float:
    trial.set_user_attr("process", os.getpid())
    model = make_pipeline(
        PCA(trial.suggest_int("n_components", 2, 40), random_state=0),
        KNeighborsClassifier(
            n_neighbors=trial.suggest_int("n_neighbors", 1, 10),
            weights=trial.suggest_categorical("weights", ["uniform", "distance"]),
        ),
    )
    return float(cross_val_score(model, images, labels, cv=3).mean())


def open_study(directory: Path) -> optuna.Study:
    file = str(directory.absolute() / "journal.log")
    return optuna.create_study(
        study_name="digits",
        storage=JournalStorage(JournalFileBackend(file, JournalFileOpenLock(file))),
        direction="maximize",
        sampler=GammaBOSampler(),  # its seed is drawn once, and kept in the storage
        load_if_exists=True,
    )


def work(directory: Path) -> None:
    open_study(directory).optimize(objective, n_trials=8)


if __name__ == "__main__":
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/parallel-workers")
    directory.mkdir(parents=True, exist_ok=True)
    workers = [get_context("spawn").Process(target=work, args=(directory,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    study = open_study(directory)
    for process, n in Counter(t.user_attrs["process"] for t in study.trials).items():
        print(f"process {process}: {n} trials")
    points = {tuple(trial.params.items()) for trial in study.trials}
    print(f"{len(study.trials)} trials, {len(points)} different ones")
    print(f"best accuracy {study.best_value:.3f} with {study.best_params}")
