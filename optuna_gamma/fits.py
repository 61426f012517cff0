"""Fitted hyper-parameters as they are kept with a trial: the next fit starts there.

A fit belongs to a column: a quantity that has a process of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import json

from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_gamma.pending import MAX_ATTR_LENGTH
from optuna_gamma.pending import numbered
from optuna_gamma.space import Space
from optuna_gamma.surrogate import Fitted


THETA_KEY = "gamma:theta"
"""Trial system attribute: the fit of the only column, or pairs of name and fit of as many as it
can hold; others follow in ``gamma:theta:1`` and so on."""

SUGGESTED_KEY = "gamma:suggested"
"""Trial system attribute: what source trials suggest before the study's own space is known."""


def read_fits(trials: Sequence[FrozenTrial], number: int, space: Space) -> dict[str, Fitted]:
    """Return what was kept with the newest trial before one that has anything kept.

    Trials that still run count, so that of those that are asked for at once one is fitted to.

    Args:
        trials: All trials of the study.
        number: Number of the trial that is being sampled.
        space: The space; trials that were suggested in another are passed over.

    Returns:
        Fits by the name of the column, which is empty for the only one.
    """
    names = space.distributions.keys()
    for trial in reversed(trials[:number]):
        if trial.state != TrialState.WAITING and trial.system_attrs.get(THETA_KEY):
            suggested = trial.system_attrs.get(SUGGESTED_KEY)
            if suggested is not None and suggested.keys() != names:
                continue  # of the source's space
            if fits := _unpack(trial.system_attrs, trial.number):
                return fits
    return {}


def write_fits(study: Study, trial: FrozenTrial, fits: Mapping[str, Fitted]) -> None:
    """Keep fits with a trial, in as few attributes as databases allow.

    Args:
        study: The study.
        trial: The trial.
        fits: Fits by the name of the column; one that is too long by itself is not kept.
    """
    for key, encoded in zip(numbered(THETA_KEY), _pack(fits, trial.number), strict=False):
        study._storage.set_trial_system_attr(trial._trial_id, key, encoded)


def _pack(fits: Mapping[str, Fitted], number: int) -> list[str]:
    if fits.keys() == {""}:
        encoded = fits[""].to_json(number)
        return [encoded] if len(encoded) <= MAX_ATTR_LENGTH else []
    packed: list[str] = []
    for name, fit in fits.items():
        pair = f"[{json.dumps(name)},{fit.to_json(number)}]"
        if packed and len(packed[-1]) + len(pair) + 1 <= MAX_ATTR_LENGTH:
            packed[-1] = f"{packed[-1][:-1]},{pair}]"
        elif len(pair) + 2 <= MAX_ATTR_LENGTH:
            packed.append(f"[{pair}]")
    return packed


def _unpack(attrs: Mapping[str, str], number: int) -> dict[str, Fitted]:
    """Return a trial's own fits: copies and retried trials have those of another, too."""
    fits = {}
    for key in numbered(THETA_KEY):
        if key not in attrs:
            break
        content = json.loads(attrs[key])
        pairs = content if isinstance(content, list) else [("", content)]
        fits.update(
            {name: Fitted.from_content(f) for name, f in pairs if f.get("trial") == number}
        )
    return fits
