"""What a run did and came to, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any

from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_gamma.cli.options import TrainOptions
from optuna_gamma.cli.progress import counted
from optuna_gamma.cli.progress import percent
from optuna_gamma.cli.time_left import duration
from optuna_gamma.cli.time_left import SECONDS_KEY
from optuna_gamma.fits import THETA_KEY
from optuna_gamma.staged import RunStatus
from optuna_gamma.staged import StageStatus
from optuna_gamma.staged.claim import FAILURE_KEY
from optuna_gamma.staged.trial import epochs_of


_MOST_PARAMS = 8
"""How many parameters the table has columns for."""

_MOST_REASONS = 5

_EDGE = 0.01
"""How near to an end of its range, as a share of it, a parameter is at the end."""


@dataclass(frozen=True)
class Facts:
    """All that is told of a run.

    Attributes:
        status: How far it is.
        direction: ``"maximize"`` or ``"minimize"``.
        options: The options of the command line, if it is one of its runs.
        metrics: The content of ``metrics.json``, if it is about the run as it is.
        test: Metrics on the test images of each finished stage, where they are known.
        value_name: What people call the objective value.
    """

    status: RunStatus
    direction: str
    options: TrainOptions | None
    metrics: Mapping[str, Any] | None
    test: tuple[Mapping[str, float] | None, ...]
    value_name: str

    @property
    def finished(self) -> list[tuple[StageStatus, FrozenTrial]]:
        """The finished stages, with their promoted trials."""
        return [(s, s.best) for s in self.status.stages if s.is_finished and s.best is not None]

    @property
    def trials(self) -> list[FrozenTrial]:
        """All finished trials."""
        return [t for s in self.status.stages for t in s.trials if t.state.is_finished()]

    def is_better(self, value: float, other: float) -> bool:
        """Tell whether a value is better than another."""
        return value > other if self.direction == "maximize" else value < other


def headline(facts: Facts) -> str:
    """Say how far the run is."""
    status = facts.status
    n_stages = max(status.n_stages, facts.options.stages if facts.options is not None else 0)
    if not status.stages:
        return "No trial was begun yet."
    text = f"{status.n_finished} of {counted(n_stages, 'stage')} finished"
    if status.n_finished == n_stages:
        return f"{text}."
    if status.n_running:
        return f"{text}; {counted(status.n_running, 'trial')} running as this was written."
    return f"{text}; nobody is working on it."


def summary(facts: Facts) -> list[str]:
    """Say what was done, what it cost and what came of it, a paragraph each."""
    if not facts.status.stages:
        return []
    return [p for p in (_what_was_done(facts), _cost(facts), _result(facts)) if p]


def _what_was_done(facts: Facts) -> str:
    options = facts.options
    best = "largest" if facts.direction == "maximize" else "smallest"
    words = ""
    if options is not None:
        images = f" on {options.n_train:,} images" if options.n_train else ""
        chosen = f", with {options.n_valid:,} more to choose by" if options.n_valid else ""
        words = f"{options.model} was trained{images} of {options.dataset}{chosen}. "
    if any(stage.n_trials > 1 for stage in facts.status.stages):
        sampler = f", proposed by the sampler {options.sampler}," if options is not None else ""
        words += (
            f"In each stage several candidates{sampler} went on from the same weights; "
            f"that with the {best} {facts.value_name} was promoted, and its weights are where the "
            "next stage began."
        )
        if any(stage.n_trials == 1 for stage in facts.status.stages[1:]):
            words += " A stage of one trial trains on with what was promoted before it."
    return words


def _cost(facts: Facts) -> str:
    words = f"{counted(len(facts.trials), 'trial')} finished"
    spent, kept = _epochs(facts)
    if spent > kept > 0:
        words += (
            f", {spent:,.6g} epochs in all, of which {kept:,.6g} made the network: the others "
            "were the price of the search"
        )
    elif spent:
        words += f", {spent:,.6g} epochs in all"
        words += ", which all made the network" if kept else ", none of them promoted yet"
    seconds = sum(trial.system_attrs.get(SECONDS_KEY, 0.0) for trial in facts.trials)
    if seconds:
        words += f". Training took {duration(seconds)}, added up over all workers"
    return f"{words}."


def _epochs(facts: Facts) -> tuple[float, float]:
    """Return the epochs of all trials and of the promoted ones, as far as trials tell theirs."""
    spent = kept = 0.0
    for stage in facts.status.stages:
        finished = [t for t in stage.trials if t.state.is_finished()]
        known = [n for t in finished if (n := epochs_of(t))]
        # A trial that failed did not say how far it came.
        spent += sum(epochs_of(t) or max(known, default=0.0) for t in finished)
        if stage.is_finished and stage.best is not None:
            kept += epochs_of(stage.best)
    return spent, kept


def _result(facts: Facts) -> str:
    if not facts.finished:
        return "No stage is finished yet, so nothing is promoted."
    stage, trial = facts.finished[-1]
    test, valid = facts.test[-1], trial.user_attrs.get("accuracy")
    if test is None or not isinstance(valid, float):
        return (
            f"The network promoted last, trial {trial.number} of stage {stage.number + 1}, has "
            f"the {facts.value_name} {number(trial.value)}. It was chosen by this value, which "
            "therefore flatters it: measure it on data that nothing was chosen by."
        )
    gap = 100.0 * (valid - test["accuracy"])
    words = (
        f"The network promoted last is right on {test['accuracy']:.2%} of the test images, which "
        f"nothing was chosen by, and on {valid:.2%} of the validation images, by which every "
        "stage was chosen"
    )
    if gap > 0.005:
        words += f": {gap:.1f} points more, which that choice, or chance, has made"
    return f"{words}. The figure to report is the test's."


def remarks(facts: Facts) -> list[str]:
    """Say what went wrong and what was not better, a sentence or two each."""
    return [*_setbacks(facts), *_search_remarks(facts), *_failures(facts)]


def _setbacks(facts: Facts) -> list[str]:
    said = []
    worse = [
        f"stage {stage.number + 1} ({number(trial.value)} after {number(before.value)})"
        for (_, before), (stage, trial) in zip(facts.finished, facts.finished[1:], strict=False)
        if facts.is_better(float(before.value or 0.0), float(trial.value or 0.0))
    ]
    if worse:
        said.append(f"The {facts.value_name} got worse in {_and(worse)}.")
    tested = [(k, test["accuracy"]) for k, test in enumerate(facts.test) if test is not None]
    if len(tested) > 1:
        best, accuracy = max(tested, key=lambda pair: pair[1])
        if accuracy > tested[-1][1]:
            said.append(
                f"On the test images the network after stage {best + 1} was better than the last "
                f"one: {accuracy:.2%}. That is known only in hindsight; it is no reason to report "
                "it instead."
            )
    missing = [k + 1 for k, test in enumerate(facts.test) if test is None]
    if missing and len(missing) < len(facts.test):
        said.append(f"No test accuracy is known of {_stages(missing)}.")
    return said


def _search_remarks(facts: Facts) -> list[str]:
    said = []
    unlearned = [
        stage.number + 1
        for stage, best in facts.finished
        if any(THETA_KEY in trial.system_attrs for trial in stage.trials)
        and THETA_KEY not in best.system_attrs
    ]
    if unlearned:
        said.append(
            "What the model proposed was not better than the start-up trials before it in "
            f"{_stages(unlearned)}."
        )
    for name in dict.fromkeys(name for _, best in facts.finished for name in best.params):
        for end in ("lower", "upper"):
            at = [s.number + 1 for s, best in facts.finished if _is_at(best, name, end)]
            if at:
                said.append(
                    f"{name} was promoted at the {end} end of its range in {_stages(at)}: "
                    "if it can be wider, better values may lie beyond."
                )
    close = [
        stage.number + 1
        for stage, best in facts.finished
        if (other := runner_up(facts, stage)) is not None and other.value == best.value
    ]
    if close:
        said.append(
            f"In {_stages(close)} another candidate was exactly as good: the one tried first "
            "was promoted."
        )
    return said


def _failures(facts: Facts) -> list[str]:
    said = []
    failed = [trial for trial in facts.trials if trial.state == TrialState.FAIL]
    if failed:
        reasons = Counter(str(t.user_attrs.get(FAILURE_KEY, "no reason given")) for t in failed)
        told = [
            f"{reason[:160]} ({n} times)" if n > 1 else reason[:160]
            for reason, n in reasons.most_common(_MOST_REASONS)
        ]
        if len(reasons) > _MOST_REASONS:
            told.append("and others")
        said.append(
            f"{len(failed)} of {counted(len(facts.trials), 'trial')} failed: {'; '.join(told)}."
        )
    n_pruned = sum(trial.state == TrialState.PRUNED for trial in facts.trials)
    if n_pruned:
        were = "was" if n_pruned == 1 else "were"
        said.append(f"{n_pruned} of {counted(len(facts.trials), 'trial')} {were} pruned.")
    abandoned = sum(stage.n_abandoned for stage in facts.status.stages)
    if abandoned:
        said.append(f"{counted(abandoned, 'trial')} interrupted: whoever goes on runs them again.")
    return said


def runner_up(facts: Facts, stage: StageStatus) -> FrozenTrial | None:
    """Return the best trial of a stage beside the best one."""
    others = [
        trial
        for trial in stage.trials
        if trial.state == TrialState.COMPLETE
        and trial.value is not None
        and (stage.best is None or trial.number != stage.best.number)
    ]
    sign = 1.0 if facts.direction == "maximize" else -1.0
    return max(others, key=lambda trial: sign * float(trial.value or 0.0), default=None)


def table(facts: Facts) -> tuple[list[str], list[list[str]]]:
    """Return headings and a row for each stage."""
    bests = [stage.best for stage in facts.status.stages if stage.best is not None]
    params = list(dict.fromkeys(name for best in bests for name in best.params))[:_MOST_PARAMS]
    has_accuracy = any(isinstance(best.user_attrs.get("accuracy"), float) for best in bests)
    has_test = any(test is not None for test in facts.test)
    has_epochs = any(epochs_of(best) for best in bests)
    headings = [
        *("Stage", "Trials", "Promoted", facts.value_name, "Next best", *params),
        *(["Valid. acc."] if has_accuracy else []),
        *(["Test acc."] if has_test else []),
        *(["Epochs kept"] if has_epochs else []),
    ]
    rows, kept = [], 0.0
    for stage in facts.status.stages:
        best, other = stage.best, runner_up(facts, stage)
        is_promoted = stage.is_finished and best is not None
        test = facts.test[stage.number] if stage.number < len(facts.test) else None
        accuracy = best.user_attrs.get("accuracy") if best is not None else None
        kept += epochs_of(best) if best is not None and is_promoted else 0.0
        rows.append(
            [
                str(stage.number + 1),
                _trials(stage),
                "not yet" if best is None or not is_promoted else f"trial {best.number}",
                "–" if best is None else number(best.value),
                "–" if other is None else number(other.value),
                *("–" if best is None else number(best.params.get(name, "–")) for name in params),
                *([percent(accuracy)] if has_accuracy else []),
                *([percent(test and test["accuracy"])] if has_test else []),
                *([f"{kept:g}" if is_promoted else "–"] if has_epochs else []),
            ]
        )
    return headings, rows


def _trials(stage: StageStatus) -> str:
    finished = stage.n_finished
    parts = [f"{finished}" if finished == stage.n_trials else f"{finished} of {stage.n_trials}"]
    for state, name in ((TrialState.FAIL, "failed"), (TrialState.PRUNED, "pruned")):
        if n := stage.count(state):
            parts.append(f"{n} {name}")
    return ", ".join(parts)


def number(value: object) -> str:
    """Return a value in a few digits."""
    text = f"{value:.5g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _is_at(trial: FrozenTrial, name: str, end: str) -> bool:
    kind = trial.distributions.get(name)
    if not isinstance(kind, FloatDistribution | IntDistribution) or kind.single():
        return False
    scale = math.log if kind.log else float
    low, high, x = scale(kind.low), scale(kind.high), scale(trial.params[name])
    share = (x - low) / (high - low)
    return share <= _EDGE if end == "lower" else share >= 1.0 - _EDGE


def _stages(numbers: Sequence[int]) -> str:
    return f"stage{'' if len(numbers) == 1 else 's'} {_and([str(n) for n in numbers])}"


def _and(parts: Sequence[str]) -> str:
    if len(parts) > 12:
        parts = [*parts[:11], f"{len(parts) - 11} more"]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
