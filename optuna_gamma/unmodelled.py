"""What is proposed without a model: start-up points, and parameters that no finished trial has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial

from optuna_gamma.bo import startup
from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.kernel import Array
from optuna_gamma.space import Space
from optuna_gamma.streams import Streams


_DRAWS = 64
"""How often a parameter of a finite space is drawn at most, until it completes no known trial."""


def middle(
    study: Study, trial: FrozenTrial, cube: Cube, names: Iterable[str], streams: Streams
) -> Array:
    """Return the middle of a cube, with random categories, (d,).

    Args:
        study: The study.
        trial: The trial that is to have it.
        cube: What is left of the space.
        names: Names of its parameters.
        streams: Sources of randomness.
    """
    drawn = [[streams(study, trial.number, name).random() for name in names]]
    points = np.where(
        cube.is_categorical,
        cube.from_unit(np.array(drawn)),
        cube.snap(np.full((1, cube.dim), 0.5)),
    )
    point: Array = points[0]
    return point


def startup_point(
    study: Study, trial: FrozenTrial, cube: Cube, taken: Array, streams: Streams
) -> Array:
    """Return a trial's point of the start-up design, (d,); see :func:`.startup.startup_point`.

    Args:
        study: The study.
        trial: The trial that is to have it.
        cube: What is left of the space.
        taken: Points of a finite cube that are passed over, (t, d).
        streams: Sources of randomness.
    """
    # Optuna reseeds the samplers of its threads before each trial: it is one sequence for all.
    sequence = streams.first(study, "startup")
    rng = streams(study, trial.number, "startup")
    return startup.startup_point(cube, trial.number, taken, sequence, rng)


def draw(
    study: Study,
    trial: FrozenTrial,
    name: str,
    distribution: BaseDistribution,
    streams: Streams,
    *,
    may_repeat: bool,
) -> Any:
    """Draw one parameter uniformly.

    Args:
        study: The study.
        trial: The trial that is to have it, with the parameters that it has already.
        name: The parameter.
        distribution: Its range.
        streams: Sources of randomness.
        may_repeat: Whether it may complete a trial that is known; if not, another value is looked
            for, though not for ever.
    """
    space = Space({name: distribution})
    rng = streams(study, trial.number, name)
    value = space.decode(space.cube.from_unit(rng.random((1, 1)))[0])[name]
    if may_repeat:
        return value
    names = {*trial.params, name}
    known = [
        t.params
        for t in study._get_trials(deepcopy=False, use_cache=False)
        if t.number != trial.number and t.params.keys() == names
    ]
    for x in space.cube.from_unit(rng.random((_DRAWS, 1))):
        if {**trial.params, name: value} not in known:
            break
        value = space.decode(x)[name]
    return value
