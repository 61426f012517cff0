"""What ``optuna-gamma train`` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import sys
import time

import numpy as np
import optuna
from optuna.artifacts import FileSystemArtifactStore
from rich.console import Console

from optuna_gamma.cli.errors import DONE
from optuna_gamma.cli.errors import exit_code
from optuna_gamma.cli.errors import INTERRUPTED
from optuna_gamma.cli.files import artifacts_folder
from optuna_gamma.cli.files import TEST_KEY
from optuna_gamma.cli.live import live_table
from optuna_gamma.cli.opening import load
from optuna_gamma.cli.opening import opening_storage
from optuna_gamma.cli.opening import recorded_storage
from optuna_gamma.cli.options import TrainOptions
from optuna_gamma.cli.progress import counted
from optuna_gamma.cli.results import absolute
from optuna_gamma.cli.results import print_table
from optuna_gamma.cli.results import write_files
from optuna_gamma.cli.results import write_options
from optuna_gamma.cli.task import create_task
from optuna_gamma.cli.task import search_trials
from optuna_gamma.cli.task import trials_per_stage
from optuna_gamma.cli.time_left import duration
from optuna_gamma.cli.time_left import remaining
from optuna_gamma.cli.time_left import SECONDS_KEY
from optuna_gamma.sampler import GammaBOSampler
from optuna_gamma.staged import create_staged_study
from optuna_gamma.staged import Stage
from optuna_gamma.staged import StagedStudy
from optuna_gamma.staged.trial import epochs_of
from optuna_gamma.vision import VisionTask
from optuna_gamma.vision.artifacts import drop_pictures


_SHOWN = 6
"""How many stages are listed, trials × epochs, where they differ."""

# GPSampler and TPESampler start with 10 by default: all of a stage, or nearly so.
_STARTUP_TRIALS = 4


def run(options: TrainOptions, joins: bool = False, keeps_trials: bool = False) -> int:
    """Train, or go on, or show what there is.

    Args:
        options: The options.
        joins: Whether they were read from the run's folder, and some replaced by what is this
            machine's: then they are not written there, and a run that is not is not begun.
        keeps_trials: Whether a run that is there goes on with its own number of trials.

    Returns:
        The exit code.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR if options.quiet else optuna.logging.WARNING)
    try:
        return exit_code(lambda: _run(options, joins, keeps_trials))
    except KeyboardInterrupt:
        print("Stopped at once. The same command resumes the run.", file=sys.stderr)
        return INTERRUPTED


def _run(options: TrainOptions, joins: bool, keeps_trials: bool) -> int:
    begun = TrainOptions.read_if_there(options.out) if keeps_trials else None
    if begun is not None:
        options = replace(options, trials=begun.trials)
    options = replace(options, storage=recorded_storage(options))
    artifacts = artifacts_folder(str(options.out))
    task = create_task(options, FileSystemArtifactStore(artifacts))
    if joins:
        load(options.name, options.storage, str(options.out))
    _check_numbers(options, task)
    staged = _open_study(options, task)
    resolved = replace(options, epochs_per_stage=task.epochs_per_stage.plain)
    with live_table(resolved) as console:
        follower = _Follower(staged, task, options, console, writes_options=not joins)
        follower.begin()
        staged.optimize(
            follower.objective,
            n_stages=options.stages,
            n_trials=options.trials,
            callbacks=[follower],
            enqueue=_grid(options) if options.sampler == "grid" else None,
        )
        follower.end()
    if len(staged.schedule) < options.stages:
        n_trials = sum(stage.n_finished for stage in staged.status().stages)
        print(
            f"Stopped with {len(staged.schedule)} of {counted(options.stages, 'stage')} and "
            f"{counted(n_trials, 'trial')} finished. The same command resumes the run.",
            file=sys.stderr,
        )
        return INTERRUPTED
    print_table(staged, Console(highlight=False, markup=False, emoji=False))
    if not joins:
        there = TrainOptions.read_if_there(options.out)
        if there is None or there.stages <= options.stages:  # else somebody has extended it
            write_options(task, options)
    files = write_files(staged, task, options)
    if not options.quiet:
        _say_if_one_was_better(staged, options)
        width = max(len(str(path)) for path in files)
        for path, content in files.items():
            print(f"{path!s:{width}}  {content}")
        print(
            f"\nA larger --stages, such as {len(staged.schedule) + 2}, goes on from here; "
            "the same command shows this again."
        )
    return DONE


def _check_numbers(options: TrainOptions, task: VisionTask) -> None:
    """Refuse other numbers of images: of them a run's identity has no more than a hash."""
    begun = TrainOptions.read_if_there(options.out)
    if begun is None or begun.dataset != absolute(options.dataset):
        return
    differences = [
        f"`{name}` is {there} there, but {len(labels)} was given"
        for name, there, (_, labels) in (
            ("n_train", begun.n_train, task.data.train),
            ("n_valid", begun.n_valid, task.data.valid),
        )
        if len(labels) != there
    ]
    if differences:
        raise ValueError(
            f"{options.out} belongs to another run: {'; '.join(differences)}. Give what it was "
            "begun with to resume it, or another `out` to begin another."
        )


def _say_if_one_was_better(staged: StagedStudy, options: TrainOptions) -> None:
    choose = min if options.objective == "loss" else max
    best = choose(staged.schedule, key=lambda record: record.value)
    if best.value != staged.schedule[-1].value:
        print(
            f"Stage {best.number + 1} had the better {options.objective}; the weights are those "
            "of the last stage.\n"
        )


def _open_study(options: TrainOptions, task: VisionTask) -> StagedStudy:
    with opening_storage():
        return create_staged_study(
            study_name=options.name,
            storage=options.storage,
            directory=options.out,
            sampler=_sampler(options),
            # Optuna's default would end the trials that a large rate makes slow to begin well.
            pruner=optuna.pruners.NopPruner(),
            direction=task.direction,
            seed=options.seed,
            fingerprint={
                **task.fingerprint,
                "sampler": options.sampler,
                "lr_min": options.lr_min,
                "lr_max": options.lr_max,
                **{name: f"{low}:{high}" for name, (low, high) in options.searched.items()},
            },
        )


def _sampler(
    options: TrainOptions,
) -> GammaBOSampler | Callable[[int], optuna.samplers.BaseSampler]:
    samplers = optuna.samplers
    if options.sampler == "gp":
        return lambda seed: samplers.GPSampler(seed=seed, n_startup_trials=_STARTUP_TRIALS)
    if options.sampler == "tpe":
        return lambda seed: samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP_TRIALS)
    if options.sampler == "random" or options.sampler == "grid":  # a grid is enqueued
        return lambda seed: samplers.RandomSampler(seed=seed)
    return GammaBOSampler(seed=options.seed, acquisition=options.sampler)


def _grid(options: TrainOptions) -> list[dict[str, float]]:
    rates = np.geomspace(options.lr_min, options.lr_max, search_trials(options)[0])
    return [{"lr": rate} for rate in rates.tolist()]


class _Follower:
    """Tells how a run goes, and measures what is promoted before its weights are deleted."""

    def __init__(
        self,
        staged: StagedStudy,
        task: VisionTask,
        options: TrainOptions,
        console: Console,
        writes_options: bool,
    ) -> None:
        self._staged = staged
        self._task = task
        self._options = options
        self._console = console
        self._artifacts = artifacts_folder(str(options.out))
        self._n_measured = 0
        self._n_dropped = 0
        self._must_write_options = writes_options
        self._estimated = False
        self._was_finished = False

    def begin(self) -> None:
        """Say what will be done."""
        options, task, data = self._options, self._task, self._task.data
        n_train, n_valid, n_test = (len(y) for _, y in (data.train, data.valid, data.test))
        self._tell(
            f"{data.name}: {n_train:,} images to train, {n_valid:,} to validate, {n_test:,} to "
            f"test; {data.n_classes} classes; {options.model} on {task.device}"
        )
        self._tell(f"Epochs in total: {_total(options, task)}")
        n_trials, _ = self._remaining()
        self._was_finished = n_trials == 0
        if 0 < n_trials < trials_per_stage(options).total(0, options.stages):
            self._tell(f"{options.out} holds this run: it goes on, trials left: {n_trials}")

    def end(self) -> None:
        """Measure what was promoted last, and say so if there was nothing left to do."""
        self.measure_promoted()
        if self._was_finished:  # said now: only now it is sure that the run is what was asked for
            self._tell(f"{self._options.out} holds this run, finished")

    def objective(self, trial: optuna.Trial, stage: Stage) -> float:
        """Train a candidate, and note how long it took."""
        if self._must_write_options:  # not before: only now it is sure that the run takes them
            write_options(self._task, self._options)
            self._must_write_options = False
        self.measure_promoted()  # what was promoted by one who was killed before it had measured
        self._artifacts.mkdir(exist_ok=True)
        started = time.perf_counter()
        value = self._task(trial, stage)
        seconds = round(time.perf_counter() - started, 3)
        # A user attribute would be in the schedule, and two equal runs would differ.
        trial.storage.set_trial_system_attr(trial._trial_id, SECONDS_KEY, seconds)
        return value

    def __call__(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        """Follow one trial, as a callback of the staged study."""
        n_trials, n_epochs = self._remaining()
        if not self._estimated and n_trials and (trained := epochs_of(trial)):
            seconds = trial.system_attrs[SECONDS_KEY]
            expected = seconds / trained * n_epochs
            self._tell(
                f"The first trial took {duration(seconds)}: about {duration(expected)} for the "
                f"other {n_trials}"
            )
            self._estimated = True
        self.measure_promoted()

    def measure_promoted(self) -> None:
        """Evaluate the last promoted network on the test images, once.

        The next promotion deletes its weights. What is measured here goes into the study of the
        stage that is over, where no sampler sees it.
        """
        schedule = self._staged.schedule
        if len(schedule) == self._n_measured:
            return
        self._n_measured = len(schedule)
        record = schedule[-1]
        studies = self._staged.studies
        study = studies[record.number]
        if TEST_KEY not in study.user_attrs:
            metrics = self._task.evaluate(self._staged.load_best(), "test")
            if len(self._staged.schedule) == len(schedule):  # else these were later weights
                study.set_user_attr(TEST_KEY, metrics.scalars)
        if self._artifacts.is_dir():  # nobody deleted it
            store = FileSystemArtifactStore(self._artifacts)
            for record in schedule[self._n_dropped :]:
                drop_pictures(store, studies[record.number], record.trial_number)
            self._n_dropped = len(schedule)

    def _remaining(self) -> tuple[int, int]:
        return remaining(self._staged.status(), self._options, self._task.epochs_per_stage)

    def _tell(self, line: str) -> None:
        if not self._options.quiet:
            self._console.print(line)


def _total(options: TrainOptions, task: VisionTask) -> str:
    """Say how many epochs a run takes, and how they come about."""
    trials, epochs = trials_per_stage(options), task.epochs_per_stage
    stages = range(options.stages)
    if len(trials.numbers) == len(epochs.numbers) == 1:
        parts = f"{counted(len(stages), 'stage')} × {counted(trials[0], 'trial')} × {epochs[0]:,}"
    else:
        parts = " + ".join(f"{trials[k]} × {epochs[k]}" for k in stages[:_SHOWN])
        parts += " + …" if len(stages) > _SHOWN else ""
    total = sum(trials[k] * epochs[k] for k in stages)
    return f"{parts} = {total:,}, of which {epochs.total(0, len(stages)):,} are kept"
