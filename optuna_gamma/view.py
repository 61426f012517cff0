"""What a trial is proposed from, for people to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.study import Study

from optuna_gamma.bo.fit import informative
from optuna_gamma.bo.maximize import Acquisition
from optuna_gamma.bo.process import Process
from optuna_gamma.bo.transfer import Target
from optuna_gamma.fits import read_fits
from optuna_gamma.history import as_of
from optuna_gamma.history import Column
from optuna_gamma.history import history
from optuna_gamma.history import observe
from optuna_gamma.proposal import learn_cube
from optuna_gamma.proposal import Proposer
from optuna_gamma.source import SourceTrials
from optuna_gamma.space import Space
from optuna_gamma.space import without_single
from optuna_gamma.streams import Streams
from optuna_gamma.surrogate import known


@dataclass(frozen=True)
class View:
    """Space, model and acquisition function behind a proposal.

    Attributes:
        space: The search space.
        seen: The trials that the process knows, without those left out.
        process: The process.
        acquisition: What is maximised, as a function of points of the cube.
        next_params: What is proposed, where it is the next trial that is asked for.
    """

    space: Space
    seen: Column
    process: Process | Target
    acquisition: Acquisition
    next_params: dict[str, Any] | None

    @property
    def full_process(self) -> Process:
        """The process over all it knows, source trials included."""
        return self.process.process if isinstance(self.process, Target) else self.process


def look(
    study: Study,
    number: int | None,
    most: int | None,
    proposer: Proposer,
    source_trials: SourceTrials,
    streams: Streams,
) -> View | None:
    """Look at what a trial was proposed from; see :meth:`.GammaBOSampler.view`."""
    all_trials = study._get_trials(deepcopy=False, use_cache=False)
    n = len(all_trials) if number is None else number
    if not 0 <= n <= len(all_trials):
        raise ValueError(
            f"`number` must be that of one of the study's {len(all_trials)} trials, but got {n}."
        )
    kept = history(study, all_trials)
    search_space = without_single(kept.search_space(study, all_trials))
    space = kept.space(all_trials, search_space)
    source = source_trials.observe(space, study.direction)
    seen = observe(as_of(all_trials, n), space, study.directions)
    if not search_space or not proposer.can_fit(seen, source):
        return None
    if most is not None:
        seen = seen[informative(seen.values[:, 0], most)]
    with np.errstate(all="ignore"):
        last = read_fits(all_trials, n + 1, space)
        cube = learn_cube(space, seen, source, {}, ())
        models = proposer.fit(cube, seen, source, last)
        rng = streams(study, n, "relative")
        params, column = None, seen.objective(0)
        if number is None:
            params = space.decode(proposer.choose(cube, seen, models, rng))
        _, acquisition = models.acquisition(proposer, cube, seen, rng)
    column = column[known(column, models.fits[""])]
    return View(space, column, models.objectives[0], acquisition, params)
