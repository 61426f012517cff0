"""From what a study has seen to the next point: models, acquisition function, its maximum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import logging

import numpy as np

from optuna_gamma.bo.acquisition import Acquisition
from optuna_gamma.bo.acquisition import LogEI
from optuna_gamma.bo.acquisition import make_acquisition
from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.maximize import maximize
from optuna_gamma.bo.maximize import ROUNDS
from optuna_gamma.bo.process import GammaPrior
from optuna_gamma.bo.process import Process
from optuna_gamma.bo.transfer import Target
from optuna_gamma.bo.transform import resolution
from optuna_gamma.history import Column
from optuna_gamma.history import Observations
from optuna_gamma.surrogate import Fitted
from optuna_gamma.surrogate import surrogate


_logger = logging.getLogger(__name__)

_DETERMINISTIC_NOISE = 1e-6

_FEW, _FEW_ROUNDS = 20, 7
"""With fewer trials the peaks of the acquisition function are broad, and found in fewer rounds."""


@dataclass(frozen=True)
class Proposer:
    """How the next point is found; see :class:`~optuna_gamma.sampler.GammaBOSampler`.

    Args:
        acquisition: Kind of expected improvement.
        prior: Prior of the precision.
        deterministic_objective: Whether there is noise, and whether points may be repeated.
    """

    acquisition: Acquisition
    prior: GammaPrior
    deterministic_objective: bool | None

    def __call__(
        self,
        cube: Cube,
        seen: Observations,
        source: Column | None,
        last: Mapping[str, Fitted],
        rng: np.random.Generator,
    ) -> tuple[Array, dict[str, Fitted]]:
        """Propose a point.

        Args:
            cube: The space.
            seen: The study's trials.
            source: Source trials, if there are any.
            last: What the last fits found, by the name of the column.
            rng: Source of randomness.

        Returns:
            The next point, (d,), and what the fits that it rests on found.
        """
        process, acquisition, fitted = self.look(cube, seen, source, last)
        return self.choose(cube, seen, process, acquisition, rng), {"": fitted}

    def choose(
        self,
        cube: Cube,
        seen: Observations,
        process: Process | Target,
        acquisition: LogEI,
        rng: np.random.Generator,
    ) -> Array:
        """Return the next point, (d,), given what :meth:`look` returns."""
        anchors = process.X[np.argsort(-process.location, kind="stable")[:3]]
        taken = seen.pending
        if self.deterministic_objective is not False:
            taken = np.concatenate([seen.X, seen.pending])
        rounds = _FEW_ROUNDS if len(seen.values) < _FEW else ROUNDS
        x = maximize(acquisition, cube, anchors, taken, rng, rounds)
        if x is None:
            _logger.debug("All points of the search space were tried; one is repeated.")
            x = maximize(acquisition, cube, anchors, np.empty((0, cube.dim)), rng)
            assert x is not None
        return x

    def look(
        self,
        cube: Cube,
        seen: Observations,
        source: Column | None,
        last: Mapping[str, Fitted],
    ) -> tuple[Process | Target, LogEI, Fitted]:
        """Return what a proposal rests on: the process, what is maximised, and the fit.

        The arguments are those of a call. The process knows observed points only; what is
        maximised knows of pending ones.
        """
        noise = _DETERMINISTIC_NOISE if self.deterministic_objective else None
        process, fitted = surrogate(
            cube, seen.objective(0), source, last.get(""), self.prior, noise
        )
        pended = process.pend(seen.pending) if len(seen.pending) else process
        return (
            process,
            make_acquisition(self.acquisition, pended, self.prior, resolution(process.y)),
            fitted,
        )
