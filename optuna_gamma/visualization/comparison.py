"""The best value of several runs as they went on."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import math

import optuna
from optuna.trial import FrozenTrial

from optuna_gamma.staged import StagedStudy
from optuna_gamma.staged.trial import epochs_of
from optuna_gamma.visualization.style import go
from optuna_gamma.visualization.style import nothing
from optuna_gamma.visualization.style import styled
from optuna_gamma.visualization.style import text


_TITLE = "Best value of each run"

_Study = StagedStudy | optuna.Study


@dataclass(frozen=True)
class _Progress:
    """A run: after each finished trial, what was spent and the best value; changes only."""

    epochs: list[float] | None
    trials: list[float]
    best: list[float]


def plot_comparison(
    runs: Mapping[str, _Study] | Sequence[_Study], *, target_name: str = "Objective Value"
) -> go.Figure:
    """Plot the best value so far of several runs over what they have spent.

    Args:
        runs: Staged studies, plain studies, or both, with one objective and one direction; by
            name, or each under its ``study_name``.
        target_name: What to call the objective value.

    Returns:
        The figure. Its x axis counts the epochs of all finished trials, if all runs have trials
        with the user attribute ``"epochs"``; one that lacks it, since it failed or was pruned, is
        taken for as long as the longest of its stage. Else the axis counts finished trials.

    Raises:
        ValueError: If runs have several objectives, or different directions.
    """
    if not isinstance(runs, Mapping):
        runs = _named(runs)
    directions = {name: _direction(run) for name, run in runs.items()}
    if len(set(directions.values())) > 1:
        raise ValueError(f"The runs must have one direction, but have {directions}.")
    progress = {name: _progress(run, directions[name]) for name, run in runs.items()}
    progress = {name: found for name, found in progress.items() if found.best}
    if not progress:
        return nothing(_TITLE, "No run has completed trials yet.")
    by_epochs = all(found.epochs is not None for found in progress.values())
    figure = go.Figure()
    for name, found in progress.items():
        spent = found.epochs if by_epochs else found.trials
        figure.add_scatter(
            x=spent,
            y=found.best,
            mode="lines+markers" if len(found.best) < 100 else "lines",
            line={"shape": "hv", "width": 2.5},
            marker={"size": 5},
            name=text(name),
            hovertemplate="%{y:.6g} after %{x}<extra>%{fullData.name}</extra>",
        )
    styled(figure, _TITLE)
    figure.update_xaxes(title_text="epochs spent" if by_epochs else "finished trials")
    figure.update_yaxes(title_text=f"best {text(target_name, 40)}")
    return figure


def _named(runs: Sequence[_Study]) -> dict[str, _Study]:
    """Name runs after their studies, those of the same name apart."""
    named: dict[str, _Study] = {}
    for run in runs:
        name, n = run.study_name, 1
        while name in named:
            n += 1
            name = f"{run.study_name} ({n})"
        named[name] = run
    return named


def _direction(run: _Study) -> str:
    if isinstance(run, StagedStudy):
        return str(run.direction)
    if len(run.directions) > 1:
        raise ValueError(f"The study {run.study_name!r} has several objectives.")
    return run.direction.name.lower()


def _progress(run: _Study, direction: str) -> _Progress:
    if isinstance(run, StagedStudy):
        stages = [stage.trials for stage in run.status().stages]
    else:
        stages = [tuple(run.get_trials(deepcopy=False))]
    trials: list[FrozenTrial] = []
    epochs: list[float] | None = []
    for stage in stages:
        finished = [trial for trial in stage if trial.state.is_finished()]
        finished.sort(key=lambda t: t.datetime_complete.timestamp() if t.datetime_complete else 0)
        known = [epochs_of(t) for t in finished]
        longest = max(known, default=0.0)
        if finished and not longest:
            epochs = None
        if epochs is not None:
            epochs += [n or longest for n in known]
        trials += finished

    better = max if direction == "maximize" else min
    best: float | None = None
    total, found = 0.0, _Progress(None if epochs is None else [], [], [])
    for i, trial in enumerate(trials):
        total += epochs[i] if epochs is not None else 0.0
        value = trial.value
        is_news = (
            value is not None
            and math.isfinite(value)
            and (best is None or better(value, best) != best)
        )
        if is_news:
            best = value
        is_last = i == len(trials) - 1 and best is not None
        if best is not None and (is_news or is_last):
            found.best.append(best)
            found.trials.append(float(i + 1))
            if found.epochs is not None:
                found.epochs.append(total)
    return found
