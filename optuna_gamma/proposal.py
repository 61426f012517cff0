"""From what a study has seen to the next point: models, acquisition function, its maximum."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import logging
import math
from typing import Any

import numpy as np

from optuna_gamma.bo.acquisition import Acquisition
from optuna_gamma.bo.acquisition import GaussianLimit
from optuna_gamma.bo.acquisition import make_acquisition
from optuna_gamma.bo.acquisition import Marginals
from optuna_gamma.bo.activity import fill_in
from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.feasibility import LogFeasibility
from optuna_gamma.bo.hypervolume import expected_improvement
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.kernel import BoolArray
from optuna_gamma.bo.maximize import Acquisition as Maximand
from optuna_gamma.bo.maximize import Effort
from optuna_gamma.bo.maximize import maximize
from optuna_gamma.bo.maximize import USUAL
from optuna_gamma.bo.pareto import is_non_dominated
from optuna_gamma.bo.pareto import usual_worst
from optuna_gamma.bo.process import GammaPrior
from optuna_gamma.bo.process import Process
from optuna_gamma.bo.product import LogProduct
from optuna_gamma.bo.transfer import Target
from optuna_gamma.bo.transform import resolution
from optuna_gamma.conditional import conditional_cube
from optuna_gamma.history import Column
from optuna_gamma.history import Observations
from optuna_gamma.space import Space
from optuna_gamma.surrogate import Fitted
from optuna_gamma.surrogate import Role
from optuna_gamma.surrogate import surrogate


_logger = logging.getLogger(__name__)

_DETERMINISTIC_NOISE = 1e-6

_ANCHORS = 3
"""Number of the best points that the search for the next one is dense around."""

_FEW = 20
"""With fewer trials the peaks of the acquisition function are broad, and found in fewer rounds."""

_QUICK = Effort(rounds=7)

_SAME = 1e-9
"""A coordinate encoded with others or by itself may differ in its last digit."""

_THOROUGH = Effort(n_global=1024, n_local=256, n_searches=20, rounds=50)
"""Where constraints meet, what is feasible and better can be a narrow corner."""


@dataclass(frozen=True)
class Proposer:
    """How the next point is found; see :class:`~optuna_gamma.sampler.GammaBOSampler`.

    Args:
        acquisition: Kind of expected improvement.
        prior: Prior of the precision.
        n_startup_trials: Number of trials to finish before the first fit, one of them completed.
        deterministic_objective: Whether there is noise, and whether points may be repeated.
    """

    acquisition: Acquisition
    prior: GammaPrior
    n_startup_trials: int
    deterministic_objective: bool | None

    def can_fit(self, seen: Observations, source: Column | None) -> bool:
        """Tell whether there is enough to propose from."""
        n = len(seen.is_complete) + (0 if source is None else len(source.is_complete))
        return n >= self.n_startup_trials and (source is not None or bool(seen.is_complete.any()))

    def fit(
        self,
        cube: Cube,
        seen: Observations,
        source: Column | None,
        last: Mapping[str, Fitted],
    ) -> Models:
        """Return what a proposal rests on.

        Args:
            cube: The whole space, whatever is given: the priors depend on it.
            seen: The study's trials.
            source: Source trials, if there are any.
            last: What the last fits found, by the name of the column.
        """
        return Models.fit(self, cube, seen, source, last)

    def choose(
        self, cube: Cube, seen: Observations, models: Models, rng: np.random.Generator
    ) -> Array:
        """Return the next point, (d,).

        Args:
            cube: What is left of the space.
            seen: The study's trials.
            models: What was fitted to them.
            rng: Source of randomness.
        """
        anchors, acquisition = models.acquisition(self, cube, seen, rng)
        effort = _QUICK if len(seen.values) < _FEW else USUAL
        if models.slacks:
            effort = _THOROUGH
        for taken in (self.taken(seen), seen.pending, np.empty((0, cube.dim))):
            x = maximize(acquisition, cube, anchors, taken, rng, effort)
            if x is not None:
                break
        assert x is not None
        return x

    def taken(self, seen: Observations) -> Array:
        """Return the points that are not to be proposed, (t, d)."""
        if self.deterministic_objective is False:
            return seen.pending
        return np.concatenate([seen.X, seen.pending])


def learn_cube(
    space: Space,
    seen: Observations,
    source: Column | None,
    allowed: Mapping[str, Sequence[Any]],
    present: Collection[str],
) -> Cube:
    """Build the cube of a space as trials teach it; see :func:`.conditional_cube`.

    Args:
        space: The space.
        seen: The study's trials.
        source: Source trials, if there are any.
        allowed: Values that parameters may have, where these are not all of their range.
        present: Names of parameters that there are in any case.
    """
    X, is_complete = seen.X, seen.is_complete
    if source is not None:
        X = np.concatenate([source.X, X])
        is_complete = np.append(source.is_complete, is_complete)
    return conditional_cube(space, X, is_complete, allowed, present)


@dataclass(frozen=True)
class Models:
    """A process for each objective, and for the slack of each constraint.

    Args:
        objectives: Those of the objectives.
        slacks: Those of the slacks, by the constraint's key.
        fits: What the fits found, by the name of the column.
    """

    objectives: Sequence[Process | Target]
    slacks: Mapping[str, Process | Target]
    fits: dict[str, Fitted]

    @staticmethod
    def fit(
        proposer: Proposer,
        cube: Cube,
        seen: Observations,
        source: Column | None,
        last: Mapping[str, Fitted],
    ) -> Models:
        """Fit them, each if it is time to."""
        noise = _DETERMINISTIC_NOISE if proposer.deterministic_objective else None
        prior, fits = proposer.prior, {}
        objectives, slacks = [], {}
        m = seen.values.shape[1]
        role: Role = "objective" if m == 1 else "one of several"
        spared = _usual_worst(seen) if m > 1 else np.array([math.inf])
        for j in range(m):
            name, column = str(j) if j else "", seen.objective(j)
            process, fits[name] = surrogate(
                cube, column, source, last.get(name), prior, noise, role, spared[j]
            )
            objectives.append(process)
        for key in seen.constraints:
            name, column = f"constraint:{key}", seen.constraint(key)
            if len(column.values):
                slacks[key], fits[name] = surrogate(
                    cube, column, None, last.get(name), prior, noise, "constraint"
                )
        return Models(objectives, slacks, fits)

    def acquisition(
        self, proposer: Proposer, cube: Cube, seen: Observations, rng: np.random.Generator
    ) -> tuple[Array, Maximand]:
        """Return points worth searching around, (a, d), and what is to be maximised."""
        if len(self.objectives) == 1 and not self.slacks:
            process = self.objectives[0]
            known = process.X[np.argsort(-process.location, kind="stable")]
            to_beat = _best_beside(cube, process, known)
            return fill_in(known[:_ANCHORS], known), self._improvement(proposer, seen, to_beat)

        visited = np.concatenate([seen.X[seen.is_complete], seen.pending])
        points = _beside(cube, visited)
        stays = np.isclose(points, visited, rtol=0.0, atol=_SAME, equal_nan=True).all(axis=1)
        is_feasible = self._is_feasible(seen, points, stays)
        feasibility = LogFeasibility(self._marginals(self.slacks.values(), proposer, seen))
        if not is_feasible.any():
            order = np.argsort(-feasibility(points), kind="stable")
            return fill_in(points[order[:_ANCHORS]], points[order]), feasibility
        points = points[is_feasible]
        Y = np.stack([o.posterior(points).location for o in self.objectives], axis=1)
        improvement: Maximand
        if len(self.objectives) == 1:
            anchors = points[np.argsort(-Y[:, 0], kind="stable")[:_ANCHORS]]
            improvement = self._improvement(proposer, seen, float(Y.max()))
        else:
            best = is_non_dominated(Y)
            anchors = points[best]
            objectives = self._marginals(self.objectives, proposer, seen)
            improvement = expected_improvement(objectives, Y[best], rng)
        anchors = fill_in(anchors, np.concatenate([anchors, points]))
        return anchors, LogProduct([improvement, feasibility]) if self.slacks else improvement

    def _improvement(
        self, proposer: Proposer, seen: Observations, best: float | None = None
    ) -> Maximand:
        process = self.objectives[0]
        xi = resolution(process.y)
        return make_acquisition(
            proposer.acquisition, _pend(process, seen), proposer.prior, xi, best
        )

    def _marginals(
        self, processes: Iterable[Process | Target], proposer: Proposer, seen: Observations
    ) -> list[Marginals]:
        """Return processes that know of pending trials, as the kind of acquisition takes them."""
        pended = [_pend(process, seen) for process in processes]
        if proposer.acquisition == "gaussian":
            return [GaussianLimit(process) for process in pended]
        return list(pended)

    def _is_feasible(self, seen: Observations, points: Array, stays: BoolArray) -> BoolArray:
        """Tell which points are feasible, those of unknown constraints by their predictions.

        Args:
            seen: The study's trials.
            points: Points of completed and running trials, (n, d).
            stays: Which of them are where they were evaluated, (n,).
        """
        is_feasible = np.ones(len(points), dtype=np.bool_)
        for key, slack in self.slacks.items():
            known = seen.constraints[key][seen.is_complete]
            values = np.append(known, np.full(len(seen.pending), np.nan))
            predicted = slack.posterior(points).location >= 0.0
            is_feasible &= np.where(np.isnan(values) | ~stays, predicted, values <= 0.0)
        return is_feasible


def _usual_worst(seen: Observations) -> Array:
    """Return the usual worst value of each objective on the front of feasible trials, (m,)."""
    counts = seen.is_complete & ~seen.is_violated
    return usual_worst(seen.values[counts if counts.any() else seen.is_complete])


def _given(cube: Cube) -> dict[int, float]:
    """Return the coordinates that are given."""
    grids = enumerate(cube.grids)
    return {j: grid[0] for j, grid in grids if grid is not None and len(grid) == 1}


def _beside(cube: Cube, points: Array) -> Array:
    """Move points, (m, d), to coordinates that are given: what is elsewhere is out of reach."""
    given = _given(cube)
    if not given:
        return points
    moved = points.copy()
    moved[:, list(given)] = list(given.values())
    return cube.activate(fill_in(moved, points))


def _best_beside(cube: Cube, process: Process | Target, known: Array) -> float | None:
    """Return the largest value expected beside coordinates that are given, if any are."""
    if not _given(cube):
        return None
    return float(process.posterior(_beside(cube, known)).location.max())


def _pend(process: Process | Target, seen: Observations) -> Process | Target:
    return process.pend(seen.pending) if len(seen.pending) else process
