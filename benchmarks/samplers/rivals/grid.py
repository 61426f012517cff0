"""Grid search with a grid of the budget's size."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import math

from optuna.distributions import BaseDistribution
from optuna.samplers import GridSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from benchmarks.samplers.rivals.axis import cardinality
from benchmarks.samplers.rivals.axis import Value
from benchmarks.samplers.rivals.axis import value_at
from benchmarks.samplers.setting import Setting


class _Grid(GridSampler):
    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Do not stop the study where the grid ends: it is told so by its number of trials."""


def grid_sampler(setting: Setting) -> GridSampler:
    """Build a sampler whose grid has no fewer points than there are trials.

    Optuna visits the points in random order, so no trial is wasted on a grid that is too small,
    and the few points too many are left out at random.
    """
    return _Grid(dict(grid(setting.space, setting.trials)), seed=setting.seed)


def grid(space: Mapping[str, BaseDistribution], size: int) -> dict[str, list[Value]]:
    """Divide a space evenly.

    Each parameter in turn is given one more level until there are enough points. Levels are the
    middles of equal parts of the range, on its own scale; categories are taken one by one.

    Args:
        space: Parameters and their ranges.
        size: Number of points wanted.

    Returns:
        Levels by parameter: the first grid in that sequence with at least so many points, or the
        whole space if it has fewer.
    """
    counts = dict.fromkeys(space, 1)
    limits = {name: cardinality(distribution) or size for name, distribution in space.items()}
    while True:
        levels = {name: _levels(space[name], n) for name, n in counts.items()}
        growing = [name for name in space if counts[name] < limits[name]]
        if math.prod(map(len, levels.values())) >= size or not growing:
            return levels
        counts[min(growing, key=counts.__getitem__)] += 1


def _levels(distribution: BaseDistribution, n: int) -> list[Value]:
    """Take the middles of n equal parts, without those that are rounded to the same value."""
    return list(dict.fromkeys(value_at(distribution, (i + 0.5) / n) for i in range(n)))
