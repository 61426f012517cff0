"""What is run: trainings at one constant rate, searches among them, staged runs."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
import json
import math
import tempfile
import time
from typing import Any
from typing import cast

import numpy as np
import optuna
from optuna.pruners import NopPruner
from optuna.storages import InMemoryStorage
from optuna.trial import FixedTrial

from benchmarks.thesis.setting import grid
from benchmarks.thesis.setting import Images
from benchmarks.thesis.setting import LAM
from benchmarks.thesis.setting import make_sampler
from benchmarks.thesis.setting import make_task
from benchmarks.thesis.setting import MAX_RATE
from benchmarks.thesis.setting import score
from optuna_gamma import create_staged_study
from optuna_gamma import GammaPrior
from optuna_gamma.staged import Stage
from optuna_gamma.staged.seeds import derive_seed


Result = dict[str, Any]

CONSTANT_RATE = 0.1
"""The rate of the one training that is as long as a search; nobody tuned it."""


@dataclass(frozen=True)
class Trainings:
    """Trainings from the same weights with the same batches, each at one constant rate.

    Args:
        images: Images and network.
        epochs: Number of epochs.
        seed: Seed of images, weights and batches.
        rates: Learning rates.
    """

    images: Images
    epochs: int
    seed: int
    rates: tuple[float, ...]

    @property
    def cost(self) -> float:
        """How long it takes, about; the unit is of no matter."""
        test = (self.images.n_test or 10_000) / 3
        return len(self.rates) * (self.epochs * _cost_of_epoch(self.images) + test)

    def run(self) -> Result:
        """Train, and measure on the images that choose and on those that do not."""
        task = make_task(self.images, self.seed, self.epochs)
        stage = OnlyStage(derive_seed(self.seed, "stage", 0))
        trainings = []
        for rate in self.rates:
            trial = FixedTrial({"lr": rate})
            start = time.perf_counter()
            task(cast(optuna.Trial, trial), cast(Stage, stage))
            seconds = time.perf_counter() - start
            attrs = trial.user_attrs
            if "accuracy" not in attrs:
                trainings.append((math.nan, math.nan, math.nan, round(seconds, 3)))
                continue
            test = task.evaluate(stage.state)
            loss = float(f"{attrs['loss']:.5g}")
            trainings.append((attrs["accuracy"], loss, test.accuracy, round(seconds, 3)))
        return {"trainings": trainings}


@dataclass
class OnlyStage:
    """The first stage of a run that keeps its weights in memory; see :class:`Stage`."""

    seed: int
    number: int = 0
    n_stages: int = 1

    def load(self) -> None:
        """Begin with fresh weights."""
        return None

    def save(self, trial: optuna.Trial, state: Mapping[str, Any]) -> None:
        """Keep what the training ended with."""
        self.state = state


Table = Mapping[float, tuple[float, float, float, float]]
"""From rate to accuracy and loss of validation, accuracy of test (fractions), seconds."""


@dataclass(frozen=True)
class Search:
    """A single study of one rate. What it proposes is answered by the training nearest to it.

    Args:
        images: Images and network.
        epochs: Number of epochs of a training.
        seed: Seed of images, weights and batches.
        grid: Number of rates that were trained at.
        sampler: What proposes.
        objective: What is maximised.
        repetition: Seed of the sampler.
        trials: Number of trials.
        lam: λ of κ.
        prior: Shape and rate of the prior of the precision; none: the sampler's.
    """

    images: Images
    epochs: int
    seed: int
    grid: int
    sampler: str
    objective: str
    repetition: int
    trials: int
    lam: float = LAM
    prior: tuple[float, float] | None = None

    @property
    def cost(self) -> float:
        """How long it takes, among searches."""
        return self.trials

    def run(self, table: Table) -> Result:
        """Search."""
        rates = np.array(grid(self.grid))
        seed = derive_seed(self.repetition, "search", self.seed)
        prior = GammaPrior(*self.prior) if self.prior else None
        study = optuna.create_study(
            study_name=f"search {seed}",
            direction="maximize",
            sampler=make_sampler(self.sampler, seed, prior),
        )
        tried, seconds = [], 0.0
        for _ in range(self.trials):
            start = time.perf_counter()
            trial = study.ask()
            proposed = trial.suggest_float("lr", 0.0, MAX_RATE)
            seconds += time.perf_counter() - start
            rate = float(rates[np.abs(rates - proposed).argmin()])
            study.tell(trial, score(self.objective, *table[rate][:2], self.lam))
            tried.append(rate)
        return {"rates": tried, "seconds": round(seconds, 3)}


@dataclass(frozen=True)
class StagedRun:
    """One rate an epoch, found while training.

    Args:
        images: Images and network.
        sampler: What proposes; ``"grid"``: all rates of a grid; ``"constant"``: nothing is
            searched, and each stage is one training as long as the others' trials together.
        objective: What the promoted trial is best in.
        trials: Number of trials of a stage.
        reported: Numbers of stages after which the test images are looked at.
        seed: Seed of everything.
        lam: λ of κ.
    """

    images: Images
    sampler: str
    objective: str
    trials: int
    reported: tuple[int, ...]
    seed: int
    lam: float = LAM

    @property
    def cost(self) -> float:
        """How long it takes, about."""
        test = len(self.reported) * (self.images.n_test or 10_000) / 3
        return self.reported[-1] * self.trials * _cost_of_epoch(self.images) + test

    def run(self) -> Result:
        """Train stage by stage; what was promoted is looked at, and nothing follows from it."""
        is_constant, is_grid = self.sampler == "constant", self.sampler == "grid"
        task = make_task(self.images, self.seed, self.trials if is_constant else 1)
        enqueue = [{"lr": rate} for rate in grid(self.trials)] if is_grid else []
        if is_constant:
            enqueue = [{"lr": CONSTANT_RATE}]

        def objective(trial: optuna.Trial, stage: Stage) -> float:
            if math.isnan(task(trial, stage)):
                return math.nan
            attrs = trial.user_attrs
            return score(self.objective, attrs["accuracy"], attrs["loss"], self.lam)

        stages, seconds = [], 0.0
        with tempfile.TemporaryDirectory() as directory:
            staged = create_staged_study(
                study_name="thesis",
                storage=InMemoryStorage(),
                directory=directory,
                sampler=make_sampler(self.sampler, derive_seed(self.seed, "sampler")),
                pruner=NopPruner(),
                seed=self.seed,
            )
            for n in self.reported:
                start = time.perf_counter()
                staged.optimize(objective, n, 1 if is_constant else self.trials, enqueue=enqueue)
                seconds += time.perf_counter() - start
                test = task.evaluate(staged.load_best())
                promoted = staged.schedule[n - 1]
                stages.append(
                    {
                        "stage": n,
                        "seconds": round(seconds, 3),
                        "valid": _round({name: promoted.user_attrs[name] for name in METRICS}),
                        "test": _round({name: test.scalars[name] for name in METRICS}),
                    }
                )
            rates = [record.params["lr"] for record in staged.schedule]
        return {
            "rates": [round(rate, 6) for rate in rates],
            "stages": stages,
            "confusion": test.confusion.tolist(),
            "classes": list(task.data.classes),
        }


def _cost_of_epoch(images: Images) -> float:
    seen = images.n_train + images.n_valid / 3  # forwards alone is a third
    return 3 * seen if images.model == "keras-cifar" else seen


METRICS = ("accuracy", "loss", "sensitivity", "specificity", "mcc")


def _round(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 5) for name, value in values.items()}


Job = Trainings | StagedRun | Search


def key(job: Job) -> str:
    """Write down what a job is known by."""
    return json.dumps(asdict(job), sort_keys=True, ensure_ascii=False)


def read_table(runs: Sequence[tuple[Trainings, Result]]) -> Table:
    """Put trainings of one seed together; see :data:`Table`."""
    return {
        rate: tuple(measured)
        for job, result in runs
        for rate, measured in zip(job.rates, result["trainings"], strict=True)
    }
