"""What pruned trials teach, and what they do not change."""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import Any
import warnings

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import optuna
from optuna.distributions import FloatDistribution
from optuna.pruners import BasePruner
from optuna.pruners import HyperbandPruner
from optuna.pruners import MedianPruner
from optuna.pruners import NopPruner
from optuna.pruners import PatientPruner
from optuna.pruners import PercentilePruner
from optuna.pruners import SuccessiveHalvingPruner
from optuna.pruners import ThresholdPruner
from optuna.pruners import WilcoxonPruner
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
import pytest

from optuna_gamma import GammaBOSampler


EPOCHS = 9

PRUNERS: list[Callable[[], BasePruner]] = [
    NopPruner,
    MedianPruner,
    lambda: HyperbandPruner(max_resource=EPOCHS),
    HyperbandPruner,
    SuccessiveHalvingPruner,
    lambda: PatientPruner(MedianPruner(), patience=1),
    lambda: PercentilePruner(25.0),
    lambda: ThresholdPruner(upper=3.0),
    lambda: WilcoxonPruner(),
]

SPACE = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def curve(x: float, y: float) -> list[float]:
    """Return losses that fall faster to higher ends where x is large."""
    end = (x - 0.4) ** 2 + (y - 0.7) ** 2
    return [end + math.exp(-epoch * (0.2 + x)) for epoch in range(1, EPOCHS + 1)]


def objective(trial: optuna.Trial) -> float:
    loss = math.nan
    for epoch, loss in enumerate(
        curve(trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1))
    ):
        trial.report(loss, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return loss


def tuned(pruner: BasePruner, n_trials: int = 25, name: str = "s") -> optuna.Study:
    study = optuna.create_study(study_name=name, sampler=GammaBOSampler(seed=0), pruner=pruner)
    study.optimize(objective, n_trials=n_trials)
    return study


def proposal(trials: list[FrozenTrial], pruner: BasePruner | None = None) -> dict[str, Any]:
    study = optuna.create_study(study_name="s", sampler=GammaBOSampler(seed=0), pruner=pruner)
    study.add_trials(trials)
    return study.ask(SPACE).params


def trial(
    x: float, value: float | None, reports: dict[int, float], state: TrialState
) -> FrozenTrial:
    return optuna.create_trial(
        params={"x": x, "y": 0.5},
        distributions=SPACE,
        value=value,
        intermediate_values=reports,
        state=state,
    )


@pytest.mark.parametrize("pruner", PRUNERS)
def test_studies_with_any_pruner_end(pruner: Callable[[], BasePruner]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        made = pruner()
        warnings.simplefilter("error")
        study = tuned(made)
    assert len(study.trials) == 25
    assert study.best_value < 0.2


@pytest.mark.parametrize("pruner", [MedianPruner, lambda: HyperbandPruner(max_resource=EPOCHS)])
def test_a_resumed_study_goes_on_as_if_undisturbed(pruner: Callable[[], BasePruner]) -> None:
    whole = tuned(pruner())
    assert any(t.state == TrialState.PRUNED for t in whole.trials)
    storage = optuna.storages.InMemoryStorage()
    for n in (5, 1, 9, 10):
        part = optuna.create_study(
            study_name="s",
            storage=storage,
            sampler=GammaBOSampler(seed=0),
            pruner=pruner(),
            load_if_exists=True,
        )
        part.optimize(objective, n_trials=n)
    assert [t.params for t in part.trials] == [t.params for t in whole.trials]


def test_trials_of_all_brackets_teach() -> None:
    trials = tuned(HyperbandPruner(max_resource=EPOCHS)).trials
    for n in (15, 16, 17, 18):
        # Whatever the bracket of the next trial, it is proposed from all trials.
        bracket = proposal(trials[:n], HyperbandPruner(max_resource=EPOCHS))
        assert bracket == proposal(trials[:n], NopPruner())


def test_reports_do_not_matter_where_nothing_was_pruned() -> None:
    complete = TrialState.COMPLETE
    xs = [0.1, 0.3, 0.5, 0.7, 0.9]
    with_reports = [trial(x, (x - 0.6) ** 2, {0: 9.0, 1: x}, complete) for x in xs]
    without = [trial(x, (x - 0.6) ** 2, {}, complete) for x in xs]
    failed = trial(0.2, None, {0: 1.0}, TrialState.FAIL)
    assert proposal([*with_reports, failed]) == proposal([*without, failed])


def test_how_far_a_pruned_trial_had_come_matters() -> None:
    complete = [trial(x, x, {0: x + 1, 1: x + 0.5}, TrialState.COMPLETE) for x in (0.2, 0.4, 0.6)]
    ways = [{}, {0: math.nan}, {0: 9.0}, {0: 1.4}, {0: 1.4, 1: 0.9}]
    ends = [proposal([*complete, trial(0.9, None, way, TrialState.PRUNED)]) for way in ways]
    assert ends[0] == ends[1]  # nothing is known but that it was bad
    assert len({tuple(params.values()) for params in ends}) > 2


def test_what_failed_trials_reported_says_nothing_of_pruned_ones() -> None:
    seen = [trial(x, x, {0: x + 1, 1: x + 0.5}, TrialState.COMPLETE) for x in (0.2, 0.4, 0.6)]
    seen.append(trial(0.9, None, {0: 1.3}, TrialState.PRUNED))
    crashed, mute = (trial(0.8, None, way, TrialState.FAIL) for way in ({0: 1.1, 1: 0.6}, {}))
    assert proposal([*seen, crashed]) == proposal([*seen, mute])


ANY = st.sampled_from([0.0, 1.0, -1e300, 1e300, 1.7e308, math.inf, -math.inf, math.nan, 1e-320])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_report_raises_or_warns(data: st.DataObject) -> None:
    trials = []
    for i in range(data.draw(st.integers(1, 12))):
        pruned = i > 0 and data.draw(st.booleans())
        reports = data.draw(st.dictionaries(st.integers(0, 3), ANY, max_size=3))
        value = None if pruned else data.draw(ANY.filter(lambda v: not math.isnan(v)))
        state = TrialState.PRUNED if pruned else TrialState.COMPLETE
        trials.append(trial(data.draw(st.floats(0, 1)), value, reports, state))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        params = proposal(trials)
    assert all(0 <= value <= 1 for value in params.values())
