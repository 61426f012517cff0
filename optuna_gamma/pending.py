"""What running trials are about to evaluate, shared with other workers before they do.

A running trial gets its parameters one by one, as its objective asks for them. Between the
proposal and the last of them others would see nothing of it, and propose the same. So the whole
proposal is written with the trial at once.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from itertools import count
from itertools import takewhile
import json
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_gamma.space import Space


PROPOSAL_KEY = "gamma:proposal"
"""Trial system attribute: the parameters proposed, in Optuna's internal representation, or as many
as it can hold; others follow in ``gamma:proposal:1`` and so on."""

MAX_ATTR_LENGTH = 2045
"""What storages take of an attribute."""

_MAX_NUMBER_LENGTH = 24
"""Length of -2.2250738585072014e-308."""


def numbered(key: str) -> Iterator[str]:
    """Return the keys of an attribute that may be too long for one."""
    return (f"{key}:{i}" if i else key for i in count())


def share(study: Study, trial: FrozenTrial, space: Space, params: Mapping[str, Any]) -> None:
    """Write a proposal with its trial; one with a name that is too long is not shared."""
    kinds = space.distributions
    proposal = {name: kinds[name].to_internal_repr(value) for name, value in params.items()}
    parts = [{n: proposal[n] for n in names if n in proposal} for names in _parts(kinds)]
    if any(len(json.dumps(part)) > MAX_ATTR_LENGTH for part in parts):
        return
    # Without the first one the others are not looked at.
    for key, part in reversed([*zip(numbered(PROPOSAL_KEY), parts, strict=False)]):
        study._storage.set_trial_system_attr(trial._trial_id, key, part)


def _parts(names: Iterable[str]) -> list[list[str]]:
    """Divide names so that each part can be written, whatever the values.

    So a trial's next proposal, which may have other parameters, leaves nothing of the last one.
    """
    parts: list[list[str]] = [[]]
    length = 0
    for name in names:
        more = len(f"{json.dumps(name)}: , ") + _MAX_NUMBER_LENGTH
        length += more
        if length > MAX_ATTR_LENGTH and parts[-1]:
            parts.append([])
            length = more
        parts[-1].append(name)
    return parts


def params_in(trial: FrozenTrial, space: Space) -> Mapping[str, Any] | None:
    """Return a trial's parameters, those that are only proposed if it is running.

    Returns:
        Parameters of which those of the space are in their ranges; :obj:`None` if not all but
        optional ones are known, or one is out of its range.
    """
    params: Mapping[str, Any] = trial.params
    kinds = space.distributions.items()
    if trial.state == TrialState.RUNNING and not space.distributions.keys() <= params.keys():
        proposal = proposed(trial)
        likely = {
            name: kind.to_external_repr(proposal[name])
            for name, kind in kinds
            if name in proposal and kind._contains(proposal[name])
        }
        params = {**likely, **params}
    has_any = not space.distributions.keys().isdisjoint(params)
    return params if has_any and space.contains(params) else None


def proposed(trial: FrozenTrial) -> Mapping[str, float]:
    """Return what was shared of a trial, in Optuna's internal representation."""
    attrs, keys = trial.system_attrs, numbered(PROPOSAL_KEY)
    return dict(ChainMap(*(attrs[key] for key in takewhile(attrs.__contains__, keys))))
