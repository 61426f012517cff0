"""One call of ``optimize``: runs trials and promotes, until its stages are done.

A trial is committed in this order, and a kill between any two steps loses at most that trial:
weights in a file of the worker's own → synced → renamed to their hash (on an object store one PUT)
→ attribute with value and hash → told → (budget spent) promotion known → ``schedule.json`` →
losers deleted.
"""

from __future__ import annotations

from collections.abc import Callable
import copy
from dataclasses import dataclass
import math
import random
import time

import optuna
from optuna.exceptions import StorageInternalError
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_gamma.staged.claim import Claims
from optuna_gamma.staged.claim import FAILURE_KEY
from optuna_gamma.staged.claim import Plan
from optuna_gamma.staged.claim import searches
from optuna_gamma.staged.identity import fingerprint_differences
from optuna_gamma.staged.interrupt import Interrupt
from optuna_gamma.staged.lease import GRACE_SECONDS
from optuna_gamma.staged.lease import Lease
from optuna_gamma.staged.ledger import Ledger
from optuna_gamma.staged.ledger import result_attr
from optuna_gamma.staged.ledger import TrialRecord
from optuna_gamma.staged.per_stage import PerStage
from optuna_gamma.staged.run import Run
from optuna_gamma.staged.seeds import derive_seed
from optuna_gamma.staged.stage import Stage
from optuna_gamma.staged.stage import TrialWeights
from optuna_gamma.staged.trial import StageTrial


_logger = optuna.logging.get_logger(f"optuna.{__name__}")

Objective = Callable[[optuna.Trial, Stage], float]
Callback = Callable[[optuna.Study, FrozenTrial], None]

_MAX_WAIT_SECONDS = 2.0


@dataclass(frozen=True)
class Task:
    """What ``optimize`` was asked to do.

    Attributes:
        objective: Trains one stage.
        plan: How many stages and trials there are to be.
        deadline: When to begin no further trial, in seconds of :func:`time.monotonic`.
        callbacks: Called after each trial.
        catch: Exceptions that fail a trial and let the run go on.
        make_sampler: Returns a trial's sampler from the stage's number and the seed derived for
            that trial.
        pruner: Pruner of the studies.
        on_progress: Called with the stage's number and ledger whenever it may have changed.
    """

    objective: Objective
    plan: Plan
    deadline: float
    callbacks: tuple[Callback, ...]
    catch: tuple[type[Exception], ...]
    make_sampler: Callable[[int, int], BaseSampler]
    pruner: BasePruner | None
    on_progress: Callable[[int, Ledger], None]


class _NoValueError(Exception):
    """The objective returned NaN; the message says why, if the objective did."""


class StageStudy(optuna.Study):
    """A stage's study while one of its trials runs: :meth:`stop` ends the staged study's loop."""

    stop_requested = False

    def stop(self) -> None:
        """Exit from :meth:`StagedStudy.optimize` after the running trial, in this worker."""
        self.stop_requested = True


class Worker:
    """Runs a :class:`Task` on a :class:`~optuna_gamma.staged.run.Run`.

    It knows nothing of other workers but what the storage says, and they nothing else of it.
    """

    def __init__(self, run: Run, task: Task, interrupt: Interrupt) -> None:
        self._run = run
        self._task = task
        self._interrupt = interrupt
        self._claims = Claims(run, task.plan)
        self._stopped = False

    def work(self) -> None:
        """Work until all stages are promoted, or until asked to stop.

        Raises:
            ValueError: If the run was begun with more stages or trials than the task has, or with
                another objective.
            RuntimeError: If all trials of a stage failed, or the objective breaks its contract.
        """
        self._check_plan()
        self._check_objective()
        promoted = self._run.publish()
        for number in range(len(promoted)):
            self._claims.park_surplus(number)
        for number in range(len(promoted), self._task.plan.n_stages):
            if self._must_stop() or not self._finish_stage(number):
                return

    def _check_plan(self) -> None:
        plan, n_promoted = self._task.plan, len(self._run.promoted())
        for number in range(n_promoted + 1):
            ledger = self._run.ledger(number)
            if ledger is None or not ledger.trials:
                continue
            n_trials = plan.n_trials[number]
            # One that had to be given others when its only trial failed is over and done with.
            is_mended = number < n_promoted and not searches(number, n_trials)
            for name, there, given in (
                ("n_stages", ledger.n_stages, plan.n_stages),
                ("n_trials", 0 if is_mended else ledger.budget, n_trials),
            ):
                if given < there:
                    several = name == "n_trials" and len(plan.n_trials.numbers) > 1
                    raise ValueError(
                        f"{f'Stage {number}' if several else 'The run'} was begun with `{name}` = "
                        f"{there}, but {given} was given. A run can be extended but not cut "
                        f"short: give at least {there}, or begin another run with another "
                        "`directory` and `study_name`."
                    )

    def _check_objective(self) -> None:
        there, given = self._run.fingerprint(), self._task.plan.fingerprint
        if there is None or given is None:
            return
        if differences := fingerprint_differences(there, given):
            raise ValueError(
                f"The run was begun with another objective: {'; '.join(differences)}. Give the "
                "one it was begun with to resume it, or begin another run with another "
                "`directory` and `study_name`."
            )

    def _must_stop(self) -> bool:
        late = time.monotonic() >= self._task.deadline
        return self._stopped or self._interrupt.requested or late

    def _finish_stage(self, number: int) -> bool:
        """Run trials until the stage is promoted; return whether it is."""
        self._run.open_stage(number)
        collected = -1
        delay = 0.0
        told = False
        while True:
            ledger = self._run.ledger(number)
            assert ledger is not None
            self._task.on_progress(number, ledger)
            if ledger.promoted is not None:
                if number == 0:  # others may have begun and finished it meanwhile
                    self._check_objective()
                self._run.publish()
                self._claims.park_surplus(number)
                _logger.info(
                    f"Stage {number} finished: trial {ledger.promoted.number} is promoted, with "
                    f"value: {ledger.promoted.value} and parameters: {ledger.promoted.params}."
                )
                return True
            if ledger.is_spent and self._task.plan.n_trials[number] <= ledger.budget:
                raise _nothing_to_promote(number, ledger, self._task.plan.n_trials)
            if ledger.n_finished != collected:  # listing a bucket takes its time
                self._run.collect(number, ledger)
                collected = ledger.n_finished
            if self._must_stop():
                return False
            claimed = self._claims.next(number, ledger)
            if claimed is not None:
                delay = 0.0
                told = False
                self._run_trial(number, *claimed)
            else:
                if len(ledger.trials) == ledger.budget and not told:
                    told = True
                    _logger.warning(
                        f"Stage {number}: waiting for {len(ledger.unfinished)} trial(s) that "
                        f"other workers run; one that shows no sign of life for {GRACE_SECONDS:g} "
                        "seconds will be taken over."
                    )
                delay = min(2.0 * delay + 0.05, _MAX_WAIT_SECONDS)
                # Workers that woke up together should not stay together.
                time.sleep(delay * random.uniform(0.5, 1.0))

    def _run_trial(self, number: int, frozen: FrozenTrial, lease: Lease) -> None:
        storage, trial_id = self._run.storage, frozen._trial_id
        seed = self._run.identity.seed
        record = TrialRecord.of(frozen)
        assert record is not None
        try:
            if number == 0:  # several may have begun the run at the same moment
                self._check_objective()
            with lease.renewed(storage, trial_id):
                # A fresh object a trial: its cache of trials is never older than the trial.
                study = StageStudy(
                    study_name=self._run.study_name(number),
                    storage=storage,
                    sampler=self._task.make_sampler(
                        number, derive_seed(seed, "trial", number, frozen.number)
                    ),
                    pruner=self._task.pruner,
                )
                trial = StageTrial(
                    study, trial_id, frozen.intermediate_values, self._run.search_space()
                )
                _replay_suggestions(study, trial, frozen)
                weights = TrialWeights(
                    self._run.directory, number, trial.number, lease.id, record.parent
                )
                stage = Stage(
                    number=number,
                    n_stages=self._task.plan.n_stages,
                    seed=derive_seed(seed, "stage", number),
                    _weights=weights,
                )
                try:
                    outcome = self._evaluate(trial, stage, weights)
                    lost = not lease.is_held_on(storage, trial_id)
                    if not lost:
                        finished = self._commit(study, trial, lease, weights, outcome)
                finally:
                    weights.discard()
        except BaseException as error:
            # Whatever went wrong is of no account if the trial is another worker's by now.
            lost = isinstance(error, Exception) and not lease.is_held_on(storage, trial_id)
            if not lost:
                lease.release(storage, trial_id)
                raise
        if lost:
            _logger.warning(
                f"Stage {number}, trial {frozen.number}: another worker took the trial over while "
                "this one gave no sign of life; this one's result is dropped."
            )
            return
        _log(number, finished, outcome)
        for callback in self._task.callbacks:
            callback(study, copy.deepcopy(finished))
        self._stopped = self._stopped or study.stop_requested

    def _evaluate(
        self, trial: StageTrial, stage: Stage, weights: TrialWeights
    ) -> float | Exception:
        """Call the objective; return its value, or why there is none."""
        expected: tuple[type[Exception], ...] = (optuna.TrialPruned, *self._task.catch)
        ended: Exception | None = None
        try:
            value = self._task.objective(trial, stage)
        except StorageInternalError:
            raise  # a database out of reach says nothing of the trial, whatever `catch` holds
        except expected as error:
            ended = error
        broken = trial.error or weights.error
        if broken is not None:
            raise broken
        if ended is not None:
            return ended
        try:
            value = float(value)
        except (TypeError, ValueError):
            raise TypeError(
                f"The objective must return one number, the trial's value, but returned {value!r}."
            ) from None
        if math.isnan(value):
            said = trial.user_attrs.get(FAILURE_KEY)
            return _NoValueError("The objective returned NaN." if said is None else str(said))
        if weights.sha256 is None:
            raise RuntimeError(
                "The objective returned a value without having called `stage.save`: the weights "
                "that the next stage starts from are missing. Add the line\n"
                '    stage.save(trial, {"model": model.state_dict()})\n'
                "before its `return`."
            )
        return value

    def _commit(
        self,
        study: StageStudy,
        trial: optuna.Trial,
        lease: Lease,
        weights: TrialWeights,
        outcome: float | Exception,
    ) -> FrozenTrial:
        storage = self._run.storage
        if isinstance(outcome, optuna.TrialPruned):
            return study.tell(trial, state=TrialState.PRUNED)
        if isinstance(outcome, Exception):
            trial.set_user_attr(FAILURE_KEY, _reason(outcome)[:500])
            return study.tell(trial, state=TrialState.FAIL)
        key, result = result_attr(lease.id, outcome, weights.commit())
        storage.set_trial_system_attr(trial._trial_id, key, result)
        return study.tell(trial, outcome)


def _replay_suggestions(study: StageStudy, trial: optuna.Trial, frozen: FrozenTrial) -> None:
    """Bring a fresh sampler to where the dead worker's was.

    A trial that is taken over keeps the parameters it has; the sampler must draw them all the
    same, or it would use their random numbers for the ones that follow.
    """
    fixed = frozen.system_attrs.get("fixed_params", {})
    for name, distribution in frozen.distributions.items():
        if name in fixed or distribution.single() or trial._is_relative_param(name, distribution):
            continue
        filtered = optuna.pruners._filter_study(study, frozen)
        study.sampler.sample_independent(filtered, frozen, name, distribution)


def _log(number: int, trial: FrozenTrial, outcome: float | Exception) -> None:
    name = f"Stage {number}, trial {trial.number}"
    if trial.state == TrialState.COMPLETE:
        _logger.info(f"{name} finished with value: {trial.value} and parameters: {trial.params}.")
    elif trial.state == TrialState.PRUNED:
        _logger.info(f"{name} pruned. {outcome}")
    else:
        assert isinstance(outcome, Exception)
        _logger.warning(
            f"{name} failed with parameters: {trial.params}. {_reason(outcome)}",
            exc_info=outcome if outcome.__traceback__ is not None else None,
        )


def _reason(outcome: Exception) -> str:
    if isinstance(outcome, _NoValueError):
        return str(outcome)
    return f"{type(outcome).__name__}: {outcome}"


def _nothing_to_promote(number: int, ledger: Ledger, n_trials: PerStage) -> RuntimeError:
    failures = [t.user_attrs.get(FAILURE_KEY) for t in ledger.trials]
    reasons = sorted({str(failure) for failure in failures if failure is not None})
    n_failed = sum(trial.state == TrialState.FAIL for trial in ledger.trials)
    n_pruned = len(ledger.trials) - n_failed
    listed = "".join(f"\n    {reason}" for reason in reasons[:5]) or "\n    (pruned)"
    more = f"above {ledger.budget}"
    if (n := len(n_trials.numbers)) > 1:
        numbers = [ledger.budget + 2 if k == number % n else n_trials[k] for k in range(n)]
        more = f"such as {','.join(map(str, numbers))}"
    return RuntimeError(
        f"Stage {number} has no trial to promote: of its {ledger.budget} trials {n_failed} failed "
        f"and {n_pruned} were pruned. The reasons:{listed}\n"
        "The weights promoted before are untouched. Mend the cause, then give the stage further "
        f"trials with `n_trials` {more}, or with a pruner that prunes less. "
        "Other ranges, such as smaller learning rates, take another run: those of this one are "
        "fixed."
    )
