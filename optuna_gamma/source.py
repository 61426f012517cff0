"""Source trials: what is known of a related study."""

from __future__ import annotations

from collections.abc import Iterable

from optuna.distributions import BaseDistribution
from optuna.search_space import intersection_search_space
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_gamma.bo.fit import informative
from optuna_gamma.conditional import Union
from optuna_gamma.history import Column
from optuna_gamma.history import observe
from optuna_gamma.space import Space
from optuna_gamma.space import without_single


_MAX_TRIALS = 100
"""Of more trials the model sees the better half of so many, and others evenly chosen."""

_Key = tuple[StudyDirection, tuple[tuple[str, BaseDistribution], ...], frozenset[str]]


class SourceTrials:
    """The finished ones of some trials, as a study that has other trials sees them.

    What was encoded for the last search space is kept. It saves time and never changes a result;
    threads that ask for different spaces at once encode once more.

    Args:
        trials: Trials with one value each, if any.

    Raises:
        TypeError: If they are no trials.
        ValueError: If one has several values.
    """

    def __init__(self, trials: Iterable[FrozenTrial]) -> None:
        self._trials = [trial for trial in _checked(trials) if trial.state.is_finished()]
        self._last: tuple[_Key, Column | None] | None = None

    def __len__(self) -> int:
        return len(self._trials)

    def space(self) -> Space:
        """Return the parameters that they have, but for single-valued ones."""
        union = Union()
        for trial in self._trials:
            union.add(trial)
        common = intersection_search_space(self._trials)
        search_space = without_single(union.search_space(common))
        return Space(search_space, union.optional(search_space))

    def has_completed_in(self, space: Space) -> bool:
        """Tell whether any completed one lies in a space."""
        return any(
            trial.state == TrialState.COMPLETE and space.contains(trial.params)
            for trial in self._trials
        )

    def observe(self, space: Space, direction: StudyDirection) -> Column | None:
        """Return those that lie in a space.

        Args:
            space: The space.
            direction: Direction of the study, and so of theirs.

        Returns:
            Those that tell most; :obj:`None` if none was completed, without which the others
            tell nothing.
        """
        key = direction, tuple(space.distributions.items()), frozenset(space.optional)
        last = self._last
        if last is None or last[0] != key:
            last = self._last = key, self._encode(space, direction)
        return last[1]

    def _encode(self, space: Space, direction: StudyDirection) -> Column | None:
        inside = [trial for trial in self._trials if space.contains(trial.params)]
        seen = observe(inside, space, [direction]).objective(0)
        if not seen.is_complete.any():
            return None
        return seen[informative(seen.values, _MAX_TRIALS)]


def _checked(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    if not isinstance(trials, Iterable):
        raise TypeError(
            "`source_trials` must be a list of trials, such as `study.trials`, but got "
            f"{trials!r}."
        )
    trials = list(trials)
    for trial in trials:
        if not isinstance(trial, FrozenTrial):
            raise TypeError(
                "`source_trials` must be a list of trials, such as `study.trials`, but one is "
                f"{trial!r}."
            )
        if trial.values is not None and len(trial.values) != 1:
            raise ValueError(
                "`source_trials` must have one value each, but trial "
                f"{trial.number} has {len(trial.values)}."
            )
    return trials
