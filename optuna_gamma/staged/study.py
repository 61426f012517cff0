"""The staged study: one Optuna study per training stage, the best trial's weights carried on."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
import os
import time
from typing import Any
from typing import Literal

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import create_trial
from optuna.trial import FrozenTrial

from optuna_gamma.staged.checkpoint import CheckpointError
from optuna_gamma.staged.checkpoint import FOLDER
from optuna_gamma.staged.checkpoint import load_checkpoint
from optuna_gamma.staged.checkpoint import parse_checkpoint_name
from optuna_gamma.staged.claim import Plan
from optuna_gamma.staged.claim import searches
from optuna_gamma.staged.database import explaining
from optuna_gamma.staged.database import open_storage
from optuna_gamma.staged.directory import RunDirectory
from optuna_gamma.staged.identity import as_json
from optuna_gamma.staged.identity import RunIdentity
from optuna_gamma.staged.interrupt import Interrupt
from optuna_gamma.staged.per_stage import PerStage
from optuna_gamma.staged.progress import Progress
from optuna_gamma.staged.run import Run
from optuna_gamma.staged.schedule import StagedSchedule
from optuna_gamma.staged.seeds import derive_seed
from optuna_gamma.staged.stage import Stage
from optuna_gamma.staged.status import read_status
from optuna_gamma.staged.status import RunStatus
from optuna_gamma.staged.storage import open_journal
from optuna_gamma.staged.tree import State
from optuna_gamma.staged.worker import Callback
from optuna_gamma.staged.worker import Objective
from optuna_gamma.staged.worker import Task
from optuna_gamma.staged.worker import Worker


__all__ = ["Stage", "StagedStudy", "create_staged_study", "load_staged_study"]

JOURNAL_FILE = "journal.log"

_SHOWN = 5
"""How many staged studies of a storage are named where the one that was asked for is not there."""

Sampler = BaseSampler | Callable[[int], BaseSampler]


class StagedStudy:
    """A chain of Optuna studies, one per training stage.

    Make one with :func:`create_staged_study` or :func:`load_staged_study`.

    Attributes:
        study_name: Prefix of the studies' names.
        direction: ``"maximize"`` or ``"minimize"``.
        seed: Seed of the run.
    """

    def __init__(
        self, run: Run, sampler: Sampler | None, pruner: BasePruner | None, warm_start: bool
    ) -> None:
        self._run = run
        self._sampler = sampler
        self._warm_start = warm_start
        self._pruner = pruner
        self.study_name = run.identity.study_name
        self.direction = run.identity.direction
        self.seed = run.identity.seed

    @property
    def schedule(self) -> StagedSchedule:
        """The promoted trials of the finished stages, in order: a tuple of ``StageRecord``.

        It is read from the storage, so it can be looked at while the run goes on.
        """
        return self._run.schedule()

    @property
    def studies(self) -> tuple[optuna.Study, ...]:
        """The Optuna studies of the stages that were begun, in order."""
        found: list[optuna.Study] = []
        while self._run.study_id(len(found)) is not None:
            name = self._run.study_name(len(found))
            found.append(optuna.load_study(study_name=name, storage=self._run.storage))
        return tuple(found)

    def status(self) -> RunStatus:
        """Return how far the run is, which other processes may be working on."""
        return read_status(self._run)

    def load_best(self) -> State:
        """Return the state that the trial promoted last has saved; see :meth:`Stage.load`.

        Raises:
            ValueError: If no stage is finished yet.
            ~optuna_gamma.staged.checkpoint.CheckpointError: If the file is missing or damaged.
        """
        while True:
            schedule = self.schedule
            if not schedule:
                raise ValueError("No stages are finished yet.")
            file = parse_checkpoint_name(schedule[-1].checkpoint)
            assert file is not None
            assert file.sha256 is not None
            try:
                return load_checkpoint(self._run.directory, file.stage, file.trial, file.sha256)
            except CheckpointError:
                # A worker may have promoted the next stage and deleted this file meanwhile.
                if len(self.schedule) == len(schedule):
                    raise

    def optimize(
        self,
        objective: Objective,
        n_stages: int = 2,
        n_trials: int | Sequence[int] = (6, 1),
        timeout: float | None = None,
        callbacks: Iterable[Callback] = (),
        catch: Iterable[type[Exception]] | type[Exception] = (),
        show_progress_bar: bool = False,
        enqueue: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Train stage by stage, each with ``n_trials`` trials, and promote the best one's weights.

        By default six candidates are tried, and the best one is trained on. It should be for
        longer than they were tried: the objective knows the stage by ``stage.number``.

        The same call in several processes, on several machines, shares the work. The same call
        after an interruption resumes: finished trials are never run again, and a trial whose
        worker died is taken over in place, with its number and its parameters. A worker that died
        on this machine is recognised at once, elsewhere after 60 seconds without a sign of life.

        A trial that raises one of ``catch``, or returns NaN, fails; it counts, as a pruned trial
        does, and is never promoted. Its user attribute ``"failure"`` says why: the exception, or
        what an objective that returns NaN has set there. Any other exception ends this call and
        leaves the trial to be run again. Ctrl-C, if this is the main thread, ends it after the
        trial in flight, without an exception; a second Ctrl-C at once, with
        :exc:`KeyboardInterrupt`, and that trial will be run again. ``trial.study.stop()`` ends it
        after the trial too.

        Args:
            objective: Called with a :class:`optuna.trial.Trial` and a :class:`Stage`. It goes on
                from ``stage.load()``, trains, calls ``stage.save(trial, state)`` and returns the
                value to optimize.
            n_stages: Stages of the run. A later call may give more, not fewer.
            n_trials: Trials of each stage, of all workers together; or several numbers, which the
                stages alternate between. A stage of one trial, after the first, searches nothing:
                it goes on with the parameters promoted before it. So with ``(6, 1)`` every second
                stage trains on with what the six trials before it have found. A later call may
                give more, not fewer; a stage whose trials are all finished keeps its number,
                unless none of them could be promoted.
            timeout: Begin no further trial after this many seconds.
            callbacks: Called after each trial with its study and the finished
                :class:`~optuna.trial.FrozenTrial`.
            catch: Exceptions that fail a trial and let the run go on.
            show_progress_bar: Whether to show a bar over all trials, with the best value.
            enqueue: Parameters that the trials of *every* stage that searches take, in this order,
                before the sampler proposes. A grid is an ``enqueue`` of all its points with
                ``n_trials`` their number.

        Raises:
            TypeError: If an argument has the wrong type, the objective returns no number, or it
                saves what a checkpoint cannot hold.
            ValueError: If an argument has an impossible value, ``n_stages`` or ``n_trials`` is
                smaller than in earlier calls, ``enqueue`` leaves the search space, the objective
                has another ``direction`` or other epochs than go with ``n_trials``, as
                :class:`~optuna_gamma.vision.VisionTask` may, or the objective is not the one that
                the run was begun with: its ``fingerprint`` is another, or it suggests a parameter
                from another distribution.
            RuntimeError: If the objective does not save, or no trial of a stage can be promoted.
            ~optuna_gamma.staged.checkpoint.CheckpointError: If a checkpoint is missing or damaged,
                or cannot be written.
            OSError: If the journal or ``schedule.json`` cannot be written.
            optuna.exceptions.StorageInternalError: If the database fails or is out of reach.
        """
        started = time.monotonic()
        if not callable(objective):
            raise TypeError(f"`objective` must be callable, but got {objective!r}.")
        wanted = getattr(objective, "direction", self.direction)
        if wanted in ("maximize", "minimize") and wanted != self.direction:
            raise ValueError(
                f'`direction` of the run is "{self.direction}", but the objective is one to '
                f"{wanted}: its worst trials would be promoted. Give `create_staged_study` "
                f'direction="{wanted}", and a new `directory` and `study_name`.'
            )
        if self._warm_start:  # what a sampler cannot start from is refused now, not in stage 1
            self._make_sampler(0, [create_trial(value=0.0)])
        said = getattr(objective, "fingerprint", None)
        fingerprint = as_json(said) if isinstance(said, Mapping) else None
        plan = Plan(n_stages, PerStage.of("n_trials", n_trials), tuple(enqueue or ()), fingerprint)
        check_plan = getattr(objective, "check_plan", None)
        if callable(check_plan):
            check_plan(n_stages, plan.n_trials)
        with (
            explaining(),
            Interrupt() as interrupt,
            Progress(self._run, n_stages, plan.n_trials, show_progress_bar) as bar,
        ):
            task = Task(
                objective=objective,
                plan=plan,
                deadline=float("inf") if timeout is None else started + timeout,
                callbacks=tuple(callbacks),
                catch=(catch,) if isinstance(catch, type) else tuple(catch),
                make_sampler=self._stage_sampler,
                pruner=self._pruner,
                on_progress=bar.update,
            )
            Worker(self._run, task, interrupt).work()

    def clean(self, *, dry_run: bool = False) -> tuple[str, ...]:
        """Delete the checkpoints that killed workers left and nobody needs.

        Workers do so too as they go; this is for a run that nobody goes on with. It may be called
        at any time: what a running trial may need, what is promoted and asked for, and files that
        are not checkpoints stay.

        Args:
            dry_run: Delete nothing.

        Returns:
            The full names of the files that were, or would be, deleted.
        """
        n_promoted = len(self.schedule)
        return self._run.collect(n_promoted, self._run.ledger(n_promoted), dry_run=dry_run)

    def _stage_sampler(self, stage: int, seed: int) -> BaseSampler:
        for before in reversed(range(stage if self._warm_start else 0)):
            ledger = self._run.ledger(before)
            if ledger is not None and searches(before, ledger.budget):
                return self._make_sampler(seed, ledger.trials)
        return self._make_sampler(seed)

    def _make_sampler(self, seed: int, before: Sequence[FrozenTrial] = ()) -> BaseSampler:
        from optuna_gamma.sampler import GammaBOSampler

        if self._sampler is None:
            # Its proposals follow from seed, study, trial number and history: one seed will do.
            sampler: object = GammaBOSampler(seed=derive_seed(self.seed, "sampler"))
        elif isinstance(self._sampler, BaseSampler):
            sampler = self._sampler
        else:
            sampler = self._sampler(seed)
        if not isinstance(sampler, BaseSampler):
            raise TypeError(f"`sampler` must return an Optuna sampler, but returned {sampler!r}.")
        if before and isinstance(sampler, GammaBOSampler):
            return sampler.with_source_trials(before)
        return sampler


def create_staged_study(
    *,
    study_name: str,
    storage: str | BaseStorage | None = None,
    directory: str | os.PathLike[str],
    sampler: Sampler | None = None,
    pruner: BasePruner | None = None,
    warm_start: bool = False,
    direction: Literal["maximize", "minimize"] = "maximize",
    seed: int = 0,
    keep: Literal["last", "all"] = "last",
    fingerprint: Mapping[str, Any] | None = None,
    load_if_exists: bool = True,
) -> StagedStudy:
    """Create a staged study, or go on with it if it exists.

    Args:
        study_name: Name of the run. Stage ``k`` is the study ``"<study_name>/stage-<k>"``, with
            three digits.
        storage: What :func:`optuna.create_study` takes; :obj:`None` is a journal file
            ``journal.log`` in ``directory``. Several machines need a database server.
        directory: Where checkpoints and the schedule go: a path, or an fsspec URL such as
            ``s3://bucket/run``. It belongs to one run.
        sampler: A function from a seed to an Optuna sampler, called for each trial with a seed
            that follows from ``seed``, stage and trial number: so any sampler, such as
            ``lambda seed: optuna.samplers.TPESampler(seed=seed)``, proposes the same after an
            interruption. Or a sampler object, used for all trials: a stateless one, such as
            :class:`~optuna_gamma.GammaBOSampler`, is as good, but Optuna's samplers keep random
            numbers in memory, and a resumed run then goes on with others. :obj:`None` is a
            :class:`~optuna_gamma.GammaBOSampler`.
        pruner: See :func:`optuna.create_study`.
        warm_start: Whether a stage's sampler starts from the trials of the last stage before it
            that searched, as its ``source_trials``. Needs a
            :class:`~optuna_gamma.GammaBOSampler`; other samplers start afresh.
        direction: ``"maximize"`` or ``"minimize"``.
        seed: Non-negative seed of the run. With one worker, a deterministic objective and any
            ``sampler`` but a stateful object, equal seeds give equal runs, interrupted or not.
        keep: Which promoted checkpoints stay on disk: the ``"last"`` or ``"all"``. All others are
            deleted once nobody needs them: besides the promoted ones there are at most one, the
            best of the stage in progress, one for each worker, of the trial it finished last, and
            two for each trial that is being run, by a worker dead or alive. (Where a trial that is
            run again comes to other bits, as on a GPU, one for each of its up to five dead
            workers.) If ``directory`` is remote, the user's cache folder holds as many copies as
            with ``"last"``.
        fingerprint: What else defines the run, as a JSON serializable dict: model, data set, batch
            size … A run is resumed with an equal one only. The search space needs no mention: a
            parameter that the first trial of stage 0 had keeps its distribution. Neither does what
            an objective has as its own attribute ``fingerprint``, as
            :class:`~optuna_gamma.vision.VisionTask` does: a run goes on with an equal one only.
        load_if_exists: If :obj:`False`, a run that exists is an error.

    Returns:
        The staged study.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument has an impossible value, or ``directory`` or ``study_name``
            belongs to another run: one with another name, direction, seed, retention or
            fingerprint. Nothing has been changed then.
        optuna.exceptions.DuplicatedStudyError: If the run exists and ``load_if_exists`` is
            :obj:`False`.

    Example:
        .. code-block:: python

            def objective(trial, stage):
                model, optimizer = build()
                state = stage.load()
                if state is not None:
                    model.load_state_dict(state["model"])
                lr = trial.suggest_float("lr", 1e-3, 0.5, log=True)
                n_epochs = (5, 90)[stage.number % 2]  # of a candidate, of the one chosen
                accuracy, loss = train(model, lr, n_epochs, seed=stage.seed)
                stage.save(trial, {"model": model.state_dict()})
                return kappa(accuracy, loss)


            staged = create_staged_study(study_name="mnist", directory="runs/mnist")
            staged.optimize(objective, n_stages=2, n_trials=(6, 1))
    """
    given = RunIdentity.new(study_name, direction, seed, keep, storage is None, fingerprint)
    place = _check_common(storage, directory, sampler)
    found = RunIdentity.read(place)
    _refuse_different(found, given, place)
    if found is not None and not load_if_exists:
        raise DuplicatedStudyError(f"{place} holds the staged study {study_name!r} already.")

    # Looked at before the storage: whoever has written one had opened a study.
    files = [parse_checkpoint_name(name) for name in place.list(FOLDER)] if found else []
    existing = _existing_storage(storage, place)
    if existing is not None and Run(given, existing, place).study_id(0) is not None:
        if not load_if_exists:
            raise DuplicatedStudyError(f"The storage holds {study_name!r} already.")
        if found is None:  # perhaps this very call elsewhere was faster, since we looked
            found = RunIdentity.read(place)
            _refuse_different(found, given, place)
        Run(found or given, existing, place).owner(0)
    elif any(file is not None and file.sha256 is not None for file in files):
        raise ValueError(
            f"{place} holds checkpoints of the run {study_name!r}, but the storage has no study "
            "of it. Give the `storage` that the run was begun with, or another `directory`."
        )

    if found is None and not given.create(place):
        # Somebody else began a run here this very moment: perhaps the same.
        found = RunIdentity.read(place)
        _refuse_different(found, given, place)
    if existing is None:
        existing = open_journal(place.path(JOURNAL_FILE))
    run = Run(found or given, existing, place)
    run.open_stage(0)
    return StagedStudy(run, sampler, pruner, warm_start)


def load_staged_study(
    *,
    study_name: str,
    storage: str | BaseStorage | None = None,
    directory: str | os.PathLike[str],
    sampler: Sampler | None = None,
    pruner: BasePruner | None = None,
    warm_start: bool = False,
) -> StagedStudy:
    """Load a staged study, to look at it or to go on with it.

    Direction, seed, retention and fingerprint are those it was created with. The arguments are
    those of :func:`create_staged_study`.

    Raises:
        KeyError: If there is no such run.
        ValueError: If an argument has an impossible value, or ``directory`` or ``study_name``
            belongs to another run.
    """
    place = _check_common(storage, directory, sampler)
    found = RunIdentity.read(place)
    if found is None:
        raise KeyError(f"{place} holds no staged study.")
    given = replace(found, study_name=study_name, journal=storage is None)
    _refuse_different(found, given, place, "Give what the run was begun with.")
    existing = _existing_storage(storage, place)
    if existing is None:
        raise KeyError(
            f"There is no {place.path(JOURNAL_FILE)}, where the run keeps its trials: it has not "
            "begun yet, or the file was deleted."
        )
    run = Run(found, existing, place)
    if run.owner(0) is None:
        raise KeyError(_no_study(run))
    return StagedStudy(run, sampler, pruner, warm_start)


def _no_study(run: Run) -> str:
    study_name = run.identity.study_name
    stage = run.study_name(0).removeprefix(study_name)
    found = optuna.get_all_study_names(run.storage)
    names = [name.removesuffix(stage) for name in found if name.endswith(stage)]
    listed = ", ".join(map(repr, names[:_SHOWN])) + (", …" if len(names) > _SHOWN else "")
    return (
        f"The storage holds no staged study {study_name!r}, but {listed or 'none at all'}: give "
        "the `storage` that the run was begun with."
    )


def _check_common(
    storage: str | BaseStorage | None,
    directory: str | os.PathLike[str],
    sampler: Sampler | None,
) -> RunDirectory:
    if sampler is not None and not isinstance(sampler, BaseSampler) and not callable(sampler):
        raise TypeError(
            "`sampler` must be an Optuna sampler or a function from a seed to one, but got "
            f"{sampler!r}."
        )
    place = RunDirectory(directory)
    if storage is None and not place.is_local:
        raise ValueError(
            f"`storage` must be given if `directory` is remote, as {place} is: a journal file "
            "needs a local or shared file system. Give the URL of a database."
        )
    return place


def _existing_storage(
    storage: str | BaseStorage | None, place: RunDirectory
) -> BaseStorage | None:
    if storage is not None:
        return open_storage(storage)
    path = place.path(JOURNAL_FILE)
    return open_journal(path) if os.path.exists(path) else None


def _refuse_different(
    found: RunIdentity | None,
    given: RunIdentity,
    place: RunDirectory,
    advice: str = "Give what the run was begun with to resume it, or another `directory` and "
    "`study_name` to begin another.",
) -> None:
    differences = found.differences(given) if found is not None else []
    if differences:
        raise ValueError(f"{place} belongs to another run: {'; '.join(differences)}. {advice}")
