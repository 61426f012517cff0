"""Speed of the trainer: an epoch, and a stage, against what they would take at least.

An epoch is timed beside two others, in turn in one process, with the same network in the same
memory layout, the same optimiser, batch size and threads: the bare loop of as many steps on one
batch that is there already, and the usual loops over a torchvision data set with a ``DataLoader``
and transforms, with 0, 1 and 2 worker processes that are kept from epoch to epoch. A stage is
timed as a whole, and what of it is training.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from contextlib import ExitStack
from dataclasses import dataclass
import math
import multiprocessing
import os
from pathlib import Path
import statistics
import tempfile
import time
from typing import Any
from unittest import mock

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
import optuna
from PIL import Image
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torch.utils.data import Dataset
from torchvision.transforms import v2

from benchmarks.record import Preset
from benchmarks.record import Record
from optuna_gamma import create_staged_study
from optuna_gamma.vision import create_model
from optuna_gamma.vision import load_dataset
from optuna_gamma.vision import task as task_module
from optuna_gamma.vision import VisionTask
from optuna_gamma.vision.augmentation import Augmentation
from optuna_gamma.vision.augmentation import crop_reach
from optuna_gamma.vision.sources import data_root
from optuna_gamma.vision.sources import SOURCES
from optuna_gamma.vision.trainer import resolve_device
from optuna_gamma.vision.trainer import to_device
from optuna_gamma.vision.trainer import train_epoch


@dataclass(frozen=True)
class Size:
    """How much is run.

    Args:
        cases: Data set, network and random views of the epochs.
        n_train: Number of images in an epoch.
        repeats: How often each epoch is timed.
        staged: Data set of the stages.
        n_valid: Numbers of validation images, one run each.
        trials: Trials of a stage.
    """

    cases: tuple[tuple[str, str, tuple[Augmentation, ...]], ...]
    n_train: int
    repeats: int
    staged: str
    n_valid: tuple[int, ...]
    trials: int


_CASES: tuple[tuple[str, str, tuple[Augmentation, ...]], ...] = (
    ("mnist", "deep-conv", ()),
    ("cifar10", "keras-cifar", ()),
    ("cifar10", "keras-cifar", ("flip", "crop")),
)

SIZES = {
    Preset.smoke: Size((("digits", "deep-conv", ("crop",)),), 500, 9, "digits", (200,), 2),
    Preset.cpu: Size(_CASES, 2000, 9, "mnist", (5000, 10_000), 2),
    Preset.paper: Size(_CASES, 40_000, 5, "mnist", (5000, 10_000), 12),
}

BATCH_SIZE = 50
LR = 0.01
WORKERS = (0, 1, 2)
STAGES = 2
MANY_TRIALS = 20
"""Trials after which the memory is looked at."""


class Files(Dataset[tuple[Any, int]]):
    """Images as torchvision's MNIST and CIFAR10 keep and give them.

    They are an array in memory; an item is made a Pillow image and transformed.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        transform: Callable[[Image.Image], Tensor],
    ) -> None:
        self._images = images
        self._labels = labels
        self._transform = transform

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def __getitem__(self, k: int) -> tuple[Tensor, int]:
        """Return an image and its label."""
        return self._transform(Image.fromarray(self._images[k])), int(self._labels[k])


def run(preset: Preset, out: Path) -> None:
    """Measure epochs, stages and memory."""
    size = SIZES[preset]
    rows = [epochs(size, *case) for case in size.cases]
    packages = ("torch", "torchvision", "scikit-learn")
    busy = f"Load of the machine when it began: {os.getloadavg()[0]:.1f}."
    Record(
        name=f"training-{preset.value}",
        title="Seconds per epoch of the trainer, of a bare step loop and of DataLoaders, median",
        rows=rows,
        seeds=[0],
        packages=packages,
        notes=f"Batches of {BATCH_SIZE}; {torch.get_num_threads()} threads. Ratios are medians of "
        f"{size.repeats} ratios of epochs timed one after the other. bare: as many steps on one "
        "batch, without random views. 0, 1, 2 workers: processes of the DataLoader; the best is "
        "the one with the largest ratio. CPU: of the seconds that the training process itself "
        "computed, which leaves out other programs' share of the cores, and of a DataLoader also "
        f"its workers and the time spent waiting for them. {busy}",
    ).save(out, _picture(rows))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        memory = pool.submit(memory_of_trials, size.staged).result()
    Record(
        name=f"training-stages-{preset.value}",
        title="What of the time of a stage is not training",
        rows=[stages(size, n_valid) for n_valid in size.n_valid],
        seeds=[0],
        packages=packages,
        notes=f"{STAGES} stages of {size.trials} trials of one epoch, deep-conv, batches of "
        f"{BATCH_SIZE}; {torch.get_num_threads()} threads. Shares in percent of the whole run; "
        "the rest is proposing, reading and writing checkpoints, journal and building networks. "
        + memory,
    ).save(out)


def epochs(size: Size, name: str, model: str, augment: tuple[Augmentation, ...]) -> dict[str, Any]:
    """Time epochs of the same images in turn."""
    wall: dict[str, list[float]] = {}
    cpu: dict[str, list[float]] = {}
    contenders = _contenders(size, name, model, augment)
    for epoch in contenders.values():
        epoch()  # starts workers, fills caches
    for repeat in range(size.repeats):
        first = repeat % len(contenders)
        for label in [*contenders][first:] + [*contenders][:first]:
            started = time.perf_counter(), time.process_time()
            contenders[label]()
            wall.setdefault(label, []).append(time.perf_counter() - started[0])
            cpu.setdefault(label, []).append(time.process_time() - started[1])
    return {
        "data": name,
        "network": model,
        "views": " ".join(augment) or "none",
        "images": size.n_train,
        **{label: round(statistics.median(seconds), 3) for label, seconds in wall.items()},
        **_ratios(wall, ""),
        **_ratios(cpu, ", CPU"),
    }


def _ratios(times: dict[str, list[float]], suffix: str) -> dict[str, float]:
    ours = np.array(times["ours"])
    ratios = {label: float(np.median(ours / seconds)) for label, seconds in times.items()}
    return {
        f"ours / bare{suffix}": round(ratios["bare"], 3),
        f"ours / best loader{suffix}": round(max(ratios[f"{n} workers"] for n in WORKERS), 3),
    }


def _contenders(
    size: Size, name: str, model: str, augment: tuple[Augmentation, ...]
) -> dict[str, Callable[[], object]]:
    data = load_dataset(name, n_train=size.n_train, n_valid=1000 if name != "digits" else None)
    device = resolve_device("auto")
    images, labels = (part.to(device) for part in data.train)
    arrays = SOURCES[name](data_root(None))
    steps = math.ceil(size.n_train / BATCH_SIZE)

    def fresh() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        network = to_device(create_model(model, data.input_shape, data.n_classes), device)
        return network.train(), torch.optim.SGD(network.parameters(), LR)

    def step(
        network: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor
    ) -> None:
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    ours, bare = fresh(), fresh()

    def bare_loop() -> None:
        batch = images[:BATCH_SIZE].clone(), labels[:BATCH_SIZE].clone()
        for _ in range(steps):
            step(*bare, *batch)

    contenders: dict[str, Callable[[], object]] = {
        "ours": lambda: train_epoch(*ours, images, labels, BATCH_SIZE, augment),
        "bare": bare_loop,
    }
    files = Files(
        arrays.x_train[: size.n_train].astype(np.uint8),
        arrays.y_train[: size.n_train].astype(np.int64),
        usual_transform(data.mean, data.std, augment, data.input_shape),
    )
    for n_workers in WORKERS:
        loader = DataLoader(
            files,
            BATCH_SIZE,
            shuffle=True,
            num_workers=n_workers,
            persistent_workers=n_workers > 0,
        )

        def loop(
            loader: DataLoader[tuple[Any, int]] = loader,
            pair: tuple[nn.Module, torch.optim.Optimizer] = fresh(),
        ) -> None:
            for batch in loader:
                step(*pair, *(part.to(device) for part in batch))

        contenders[f"{n_workers} workers"] = loop
    return contenders


def usual_transform(
    mean: tuple[float, ...],
    std: tuple[float, ...],
    augment: tuple[Augmentation, ...],
    shape: tuple[int, int, int],
) -> Callable[[Image.Image], Tensor]:
    """Return the usual transforms of one image."""
    parts: list[nn.Module] = []
    if "crop" in augment:
        reach = crop_reach(*shape[1:])
        parts.append(v2.RandomCrop(shape[1:], padding=reach, padding_mode="reflect"))
    if "flip" in augment:
        parts.append(v2.RandomHorizontalFlip())
    parts += [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)]
    composed: Callable[[Image.Image], Tensor] = v2.Compose(parts)
    return composed


def stages(size: Size, n_valid: int) -> dict[str, Any]:
    """Run staged training, and see how long it trains and evaluates."""
    data = load_dataset(size.staged, n_valid=n_valid)
    task = VisionTask(
        model="deep-conv", data=data, space=_space, epochs_per_stage=1, batch_size=BATCH_SIZE
    )
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        staged = create_staged_study(
            study_name="stages",
            directory=folder,
            fingerprint=task.fingerprint,
            pruner=optuna.pruners.NopPruner(),
        )
        training = stack.enter_context(_timed("train_epoch"))
        predicting = stack.enter_context(_timed("predict"))
        started = time.perf_counter()
        staged.optimize(task, n_stages=STAGES, n_trials=size.trials)
        whole = time.perf_counter() - started
    trained, predicted = sum(training), sum(predicting)
    return {
        "data": size.staged,
        "images to train": len(data.train[0]),
        "to validate": n_valid,
        "seconds a trial": round(whole / len(training), 2),
        "validating %": round(100 * predicted / whole, 2),
        "rest %": round(100 * (whole - trained - predicted) / whole, 2),
        "together %": round(100 * (whole - trained) / whole, 2),
    }


@contextmanager
def _timed(name: str) -> Iterator[list[float]]:
    """Collect the seconds of each call of one of the task's functions."""
    function, seconds = getattr(task_module, name), []

    def timed(*args: Any, **options: Any) -> Any:
        started = time.perf_counter()
        result = function(*args, **options)
        seconds.append(time.perf_counter() - started)
        return result

    with mock.patch.object(task_module, name, timed):
        yield seconds


def _space(trial: optuna.Trial) -> dict[str, float]:
    return {"lr": trial.suggest_float("lr", 1e-3, 0.1, log=True)}


def linear(input_shape: tuple[int, int, int], n_classes: int) -> nn.Module:
    """Build a network that trains in no time, so that many trials see all images."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), n_classes))


def memory_of_trials(name: str) -> str:
    """Say what a process of its own holds after one trial and after many on a whole data set."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    before = _resident_megabytes()
    data = load_dataset(name)
    parts = (data.train, data.valid, data.test)
    megabytes = sum(images.nbytes for images, _ in parts) / 1e6
    task = VisionTask(model=linear, data=data, space=_space, epochs_per_stage=1, batch_size=250)
    held: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        staged = create_staged_study(study_name="memory", directory=folder)
        staged.optimize(
            task,
            n_stages=1,
            n_trials=MANY_TRIALS,
            callbacks=[lambda study, trial: held.append(_resident_megabytes())],
        )
    return (
        f"Memory: the images of {name} are {megabytes:.0f} MB as float32; a process that trains a "
        f"linear network on all of them holds {before:.0f} MB before it reads them, "
        f"{held[0]:.0f} MB after its first trial and {held[-1]:.0f} MB after {len(held)}."
    )


def _resident_megabytes() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS"))


def _picture(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plt.subplots(figsize=(7, 4))
    labels = ["ours", "bare", *(f"{n} workers" for n in WORKERS)]
    places = np.arange(len(rows))
    for k, label in enumerate(labels):
        heights = [row[label] / row["bare"] for row in rows]
        axes.bar(places + (k - 2) * 0.16, heights, 0.16, label=label)
    axes.axhline(1.05, color="black", linewidth=0.8, linestyle="--")
    names = [f"{row['data']}, {row['network']}\nviews: {row['views']}" for row in rows]
    axes.set_xticks(places, names)
    axes.set(ylabel="seconds per epoch / bare step loop")
    axes.legend(fontsize="small")
    return figure
