"""What running trials are about to evaluate, shared with other workers before they do.

A running trial gets its parameters one by one, as its objective asks for them. Between the
proposal and the last of them others would see nothing of it, and propose the same. So the whole
proposal is written with the trial at once.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_gamma.space import Space


PROPOSAL_KEY = "gamma:proposal"
"""Trial system attribute: the parameters proposed, in Optuna's internal representation."""

MAX_ATTR_LENGTH = 2045
"""What storages take of an attribute."""


def share(study: Study, trial: FrozenTrial, space: Space, params: Mapping[str, Any]) -> None:
    """Write a proposal with its trial; one that is too long for that is not shared."""
    kinds = space.distributions
    proposal = {name: kinds[name].to_internal_repr(value) for name, value in params.items()}
    if len(json.dumps(proposal)) <= MAX_ATTR_LENGTH:
        study._storage.set_trial_system_attr(trial._trial_id, PROPOSAL_KEY, proposal)


def params_in(trial: FrozenTrial, space: Space) -> Mapping[str, Any] | None:
    """Return a trial's parameters, those that are only proposed if it is running.

    Returns:
        Parameters of which those of the space are in their ranges; :obj:`None` if not all but
        optional ones are known, or one is out of its range.
    """
    params: Mapping[str, Any] = trial.params
    kinds = space.distributions.items()
    if trial.state == TrialState.RUNNING and not space.distributions.keys() <= params.keys():
        proposal = trial.system_attrs.get(PROPOSAL_KEY, {})
        proposed = {
            name: kind.to_external_repr(proposal[name])
            for name, kind in kinds
            if name in proposal and kind._contains(proposal[name])
        }
        params = {**proposed, **params}
    has_any = not space.distributions.keys().isdisjoint(params)
    return params if has_any and space.contains(params) else None
