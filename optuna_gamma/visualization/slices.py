"""A study's process along one or two parameters, the others held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_gamma.bo.kernel import Array
from optuna_gamma.view import View
from optuna_gamma.visualization.scale import find_scale
from optuna_gamma.visualization.scale import Scale
from optuna_gamma.visualization.style import about
from optuna_gamma.visualization.style import MAX_POINTS
from optuna_gamma.visualization.style import place
from optuna_gamma.visualization.style import text
from optuna_gamma.visualization.style import thinned


DEPTH = 10.0
"""How far below its maximum log expected improvement is shown: a factor of 22,000."""


@dataclass(frozen=True)
class Slice:
    """What a view of a study says along some parameters.

    Attributes:
        view: The view.
        held: Values of the other parameters, by name.
        centre: The point of the cube that the parameters are varied at, (d,).
        trials: Finished trials, an even choice of very many.
        scale: From standardised values to the study's.
    """

    view: View
    held: dict[str, Any]
    centre: Array
    trials: tuple[FrozenTrial, ...]
    scale: Scale

    @staticmethod
    def of(study: optuna.Study, view: View, names: Sequence[str]) -> Slice:
        """Cut through the best feasible trial, or the next one where none is complete."""
        trials = study.get_trials(deepcopy=False)
        sign = 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0
        has = [trial for trial in trials if trial.params.keys() >= set(names)]
        complete = [trial for trial in has if trial.state == TrialState.COMPLETE]
        feasible = [t for t in complete if all(c <= 0.0 for c in t.constraints.values())]
        best = max(
            feasible or complete, key=lambda trial: sign * (trial.value or 0.0), default=None
        )
        params = best.params if best is not None else view.next_params or {}
        kinds = view.space.distributions
        finished = [t for t in has if t.state.is_finished() and view.space.contains(t.params)]
        return Slice(
            view,
            {name: params[name] for name in kinds if name in params and name not in names},
            view.space.encode([params])[0],
            tuple(finished[i] for i in thinned(len(finished), MAX_POINTS // 2)),
            find_scale(view.seen.values, view.process.y, sign),
        )

    @property
    def worst(self) -> float:
        """The worst value that the process knows, as it knows it: drawn in, perhaps."""
        return float(self.scale.back(np.array([self.view.process.y.min(initial=0.0)]))[0])

    def marks(self) -> tuple[list[float], list[str], list[str]]:
        """Return the heights of the trials as the process knows them, symbols and texts.

        A triangle is a value that was drawn in, a cross a trial that failed or was pruned, and an
        open circle one that the process does not know.
        """
        known = set(self.view.seen.numbers.tolist())
        worst, upwards = self.worst, np.sign(self.scale.unit)
        heights, symbols, texts = [], [], []
        for trial in self.trials:
            value = trial.value if trial.state == TrialState.COMPLETE else None
            said = about(trial)
            if value is None:
                heights.append(worst)
                symbols.append("x-thin-open")
            elif upwards * (worst - value) > 1e-9 * abs(self.scale.unit):
                heights.append(worst)
                symbols.append("triangle-down-open" if upwards > 0 else "triangle-up-open")
                said += "<br><i>drawn in for the process</i>"
            else:
                heights.append(value)
                symbols.append("circle" if trial.number in known else "circle-open")
            if trial.number not in known:
                said += "<br><i>left out of the process</i>"
            texts.append(said)
        return heights, symbols, texts

    def improvement(self, points: Array) -> Array:
        """Return log expected improvement at points of the cube, cut off far below its maximum."""
        with np.errstate(all="ignore"):
            values = np.nan_to_num(self.view.acquisition(points), nan=-1e6, neginf=-1e6)
        cut: Array = np.maximum(values, values.max() - DEPTH)
        return cut

    def points(self, varied: Sequence[tuple[str, Array]]) -> Array:
        """Return points of the cube, (m, d), where parameters take coordinates, (m,) each."""
        names = list(self.view.space.distributions)
        points = np.repeat(self.centre[None], len(varied[0][1]), axis=0)
        for name, units in varied:
            points[:, names.index(name)] = units
        return points

    def grid(self, name: str, n: int) -> tuple[Array, list[Any]]:
        """Return coordinates of the cube along a parameter, and where they are on its axis."""
        j = list(self.view.space.distributions).index(name)
        grid = self.view.space.cube.grids[j]
        units = np.linspace(0.0, 1.0, n) if grid is None else grid[thinned(len(grid), n)]
        points = self.points([(name, units)])
        return units, [self.place(name, self.view.space.decode(p)[name]) for p in points]

    def is_categorical(self, name: str) -> bool:
        """Tell whether a parameter is."""
        return isinstance(self.view.space.distributions[name], CategoricalDistribution)

    def place(self, name: str, value: Any) -> Any:
        """Return where a value is on a parameter's axis."""
        return place(self.view.space.distributions[name], value)

    def places(self, name: str) -> list[Any]:
        """Return where the trials are on a parameter's axis."""
        return [self.place(name, trial.params[name]) for trial in self.trials]

    def title(self, name: str) -> str:
        """Return the title of the lower axis: its parameter, and where the others are held."""
        if not self.held:
            return text(name, 40)
        held = [f"{text(n, 20)} = {text(v, 20)}" for n, v in list(self.held.items())[:4]]
        if len(self.held) > 4:
            held.append("…")
        return f"{text(name, 40)}<br><sup>at {', '.join(held)}</sup>"
