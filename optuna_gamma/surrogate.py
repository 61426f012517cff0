"""The surrogate model of a column: which observations it is fitted to, and when.

n: Number of the study's observations that it is fitted to.
m: Number of source trials; 0 without any.
d: Number of parameters; points have one more coordinate, the task, if there are source trials.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
import json
import logging
import math
from typing import Any
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.fit import default_model
from optuna_gamma.bo.fit import informative
from optuna_gamma.bo.fit import Model
from optuna_gamma.bo.fit import smoother
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray
from optuna_gamma.bo.leave_one_out import log_density
from optuna_gamma.bo.outliers import fit_trusted
from optuna_gamma.bo.process import GammaPrior
from optuna_gamma.bo.process import Process
from optuna_gamma.bo.transfer import SOURCE
from optuna_gamma.bo.transfer import TARGET
from optuna_gamma.bo.transfer import Target
from optuna_gamma.bo.transfer import with_task
from optuna_gamma.bo.transfer import with_tasks
from optuna_gamma.bo.transform import slack
from optuna_gamma.bo.transform import spoilt
from optuna_gamma.bo.transform import standardize
from optuna_gamma.bo.transform import standardize_beside
from optuna_gamma.history import Column


_logger = logging.getLogger(__name__)

Role = Literal["objective", "one of several", "constraint"]
"""What a column is: the only objective, one of several, or a constraint."""


@dataclass(frozen=True)
class _Belief:
    """What is expected of a column.

    Args:
        smoother: How many times as long as usual its length-scales are.
        main_effects: Prior variance of its main effects.
    """

    smoother: float
    main_effects: float


_BELIEFS: Mapping[Role, _Belief] = {
    "objective": _Belief(smoother=1.0, main_effects=0.0),
    "one of several": _Belief(smoother=2.0, main_effects=0.3),
    "constraint": _Belief(smoother=5.0, main_effects=0.0),
}
"""What counts of several objectives is their model all along the front, not near one point. What
is good in most coordinates is so in all of it, in pieces, too, that are far from known ones.
Constraints are often linear."""

_REFIT_GROWTH = 1.05
"""Hyper-parameters are fitted again when there are so many times more trials than at the last fit,
but not before there are two more: every second time up to 40 trials, every fifth time at 100."""

_EAGER = 8
"""With source trials they are fitted again at each of so many trials: the source may mislead."""

_LEFT_OUT = 1.0
"""Source trials are left out if without them the study's own values are so much more probable, in
logarithms, each given the others."""

_MAX_TRIALS = 1000
"""Of more trials the model sees the better half of so many, and others evenly chosen."""

_SPOILT_NOISE = 4.0
"""Noise ratio of completed trials whose values are absurd: such a value may be an accident. That a
trial failed or was pruned says something of where it was."""


@dataclass(frozen=True)
class Fitted:
    """What a fit found.

    Args:
        n: Number of finished trials that there were.
        theta: Hyper-parameters; see :mod:`optuna_gamma.bo.process`.
        distrusted: Numbers of the trials that it left out.
        has_source: Whether it is of a process that knows source trials.
    """

    n: int
    theta: Array
    distrusted: NDArray[np.intp]
    has_source: bool = False

    def to_json(self, number: int) -> str:
        """Encode, the hyper-parameters with four decimals.

        Args:
            number: Number of the trial that it is kept with.
        """
        theta = [round(float(t), 4) for t in self.theta]
        content = {"n": self.n, "theta": theta, "distrusted": self.distrusted.tolist()}
        content["trial"] = number
        if self.has_source:
            content["source"] = True
        return json.dumps(content, separators=(",", ":"))

    @staticmethod
    def from_content(content: Mapping[str, Any]) -> Fitted:
        """Rebuild from what :meth:`to_json` encoded."""
        return Fitted(
            content["n"],
            np.array(content["theta"], dtype=np.float64),
            np.array(content["distrusted"], dtype=np.intp),
            content.get("source", False),
        )

    def is_of(self, cube: Cube, n: int) -> bool:
        """Tell whether it is of a space, and of no more trials than there are."""
        return len(self.theta) == cube.dim + 2 + self.has_source and self.n <= n


def surrogate(
    cube: Cube,
    seen: Column,
    source: Column | None,
    last: Fitted | None,
    prior: GammaPrior,
    noise: float | None,
    role: Role = "objective",
    spared: float = math.inf,
) -> tuple[Process | Target, Fitted]:
    """Condition a process on what was seen; fit its hyper-parameters first if it is time to.

    Source trials share their hyper-parameters with the study, so even where the fit finds that
    the tasks have nothing in common they distort the model. Hence the second fit without them.

    Args:
        cube: The space.
        seen: What the study's trials tell.
        source: What source trials tell, at least one of which was completed, if there are any.
        last: What the last fit found; of another space it is not used.
        prior: Prior of the precision.
        noise: Fixed noise ratio, or :obj:`None` to fit it.
        role: What the column is. Of a constraint the slack is modelled: which values are far from
            the others says nothing of the trial.
        spared: Of one of several objectives, see :func:`~optuna_gamma.bo.transform.standardize`.

    Returns:
        The process as a function on the cube, and what the fit that it rests on found. Where
        source trials mislead, it does not know them.

    Raises:
        numpy.linalg.LinAlgError: If none can be fitted.
    """
    n, is_constraint, belief = len(seen.values), role == "constraint", _BELIEFS[role]
    if last is not None and (not last.is_of(cube, n) or (last.has_source and source is None)):
        last = None
    model = replace(
        smoother(default_model(cube, prior, noise), belief.smoother),
        main_effects=belief.main_effects,
    )

    def model_with(has_source: bool) -> Model:
        return with_tasks(model, cube.dim) if has_source else model

    kept = informative(-np.abs(seen.values) if is_constraint else seen.values, _MAX_TRIALS)
    if last is not None and not _is_due(n, last.n, source):
        known_source = source if last.has_source else None
        is_trusted = ~np.isin(seen.numbers[kept], last.distrusted)
        data = _Data.of(cube, seen[kept[is_trusted]], known_source, is_constraint, spared)
        y = data.standardized(np.ones(len(data.X), dtype=np.bool_))
        try:
            process = model_with(last.has_source).condition(
                data.X, y, data.is_categorical, last.theta, data.extra
            )
            return Target(process) if last.has_source else process, last
        except np.linalg.LinAlgError as error:
            _logger.debug("The last fit is of no use, it is fitted again: %s", error)

    def fit_with(source: Column | None) -> tuple[Process, BoolArray, Fitted]:
        data = _Data.of(cube, seen[kept], source, is_constraint, spared)
        has_source = source is not None
        process, trusted = fit_trusted(
            data.X,
            data.standardized,
            data.is_categorical,
            model_with(has_source),
            start=last.theta if last and last.has_source == has_source else None,
            extra=data.extra,
            is_suspect=data.is_suspect,
        )
        own = trusted[: len(kept)]
        return process, own, Fitted(n, process.theta, seen.numbers[kept[~own]], has_source)

    process, trusted, fitted = fit_with(source)
    if source is None:
        return process, fitted
    if len(kept) < 2:
        return Target(process), fitted
    try:
        alone, trusted_alone, fitted_alone = fit_with(None)
    except np.linalg.LinAlgError as error:
        _logger.debug("There is no model without source trials: %s", error)
    else:
        gain = _log_predictive(alone, trusted_alone, trusted)
        if gain - _log_predictive(process, trusted, trusted_alone) > _LEFT_OUT:
            return alone, fitted_alone
    return Target(process), fitted


def _is_due(n: int, n_last: int, source: Column | None) -> bool:
    """Tell whether hyper-parameters are to be fitted again."""
    if source is not None and n_last < n <= _EAGER:
        return True
    return n >= max(n_last + 2, _REFIT_GROWTH * n_last)


def _log_predictive(process: Process, trusted: BoolArray, common: BoolArray) -> float:
    """Compute how probable values of the study are, each given all others that a process knows.

    Args:
        process: The process.
        trusted: Which of the study's observations it knows; they come first.
        common: Which of them count if it knows them.

    Returns:
        The log density, up to a constant, in units of the deviation of the values that count;
        zero if these are all equal.
    """
    n, counted = int(trusted.sum()), common[trusted]
    if not counted.any():
        return 0.0
    deviation = float(process.y[:n][counted].std())
    if not deviation > 0.0:
        return 0.0
    return float((log_density(process)[:n] + math.log(deviation))[counted].sum())


def known(seen: Column, fitted: Fitted) -> NDArray[np.intp]:
    """Return which observations of an objective a process with this fit knows, in its order."""
    kept = informative(seen.values, _MAX_TRIALS)
    return kept[~np.isin(seen.numbers[kept], fitted.distrusted)]


@dataclass(frozen=True)
class _Data:
    """What a process is fitted to: the trials of the study, then the source trials.

    Args:
        X: Points, (n + m, d), with the task as one more coordinate if there are source trials.
        is_categorical: Which coordinates are categorical.
        values: Values of the study's trials, (n,).
        source_values: Values of the source trials, (m,).
        extra: Noise of single observations beyond that of all, (n + m,).
        is_suspect: Which of them may be outliers, (n + m,).
        is_constraint: Whether the values are those of a constraint.
        spared: Down to which value of the study's trials none is drawn in.
    """

    X: Array
    is_categorical: BoolArray
    values: Array
    source_values: Array
    extra: Array
    is_suspect: BoolArray
    is_constraint: bool
    spared: float

    @staticmethod
    def of(
        cube: Cube, seen: Column, source: Column | None, is_constraint: bool, spared: float
    ) -> _Data:
        X, values, is_complete = seen.X, seen.values, seen.is_complete & (not is_constraint)
        noise = seen.noise
        is_categorical, source_values = cube.is_categorical, np.empty(0)
        # An infinite constraint says on which side of its boundary a point is, but not how far.
        is_spoilt = np.isinf(values) if is_constraint else spoilt(values) & is_complete
        # What fails where others do not was cut short from outside, by Ctrl-C or preemption.
        is_failed = np.isneginf(values) & ~seen.is_complete & (not is_constraint)
        is_suspect = is_complete & ~is_spoilt | is_failed
        if source is not None:
            X = np.concatenate([with_task(X, TARGET), with_task(source.X, SOURCE)])
            is_categorical, source_values = np.append(is_categorical, True), source.values
            is_spoilt = np.append(is_spoilt, spoilt(source_values) & source.is_complete)
            is_suspect = np.append(is_suspect, np.zeros(len(source_values), dtype=np.bool_))
            noise = np.append(noise, source.noise)
        extra = np.where(is_spoilt, _SPOILT_NOISE, 0.0) + noise
        return _Data(
            X, is_categorical, values, source_values, extra, is_suspect, is_constraint, spared
        )

    def standardized(self, chosen: BoolArray) -> Array:
        """Return the standardised values of chosen observations.

        The source's scale is that of all its trials, chosen or not. Which of the study's values
        are spoilt is asked again: it depends on the others that are chosen.
        """
        n = len(self.values)
        values = self.values[chosen[:n]]
        if self.is_constraint:
            return slack(values)
        if len(self.source_values) == 0:
            return standardize(values, self.spared)
        y, y_source = standardize_beside(values, self.source_values)
        return np.concatenate([y, y_source[chosen[n:]]])
