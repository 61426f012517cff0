"""Pictures of the process agree with the sampler."""

from __future__ import annotations

from collections.abc import Callable
import math

from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import optuna
import pytest

from optuna_gamma import GammaBOSampler
from optuna_gamma.bo.transform import standardize
from optuna_gamma.visualization import plot_acquisition_history
from optuna_gamma.visualization import plot_precision
from optuna_gamma.visualization import plot_process
from optuna_gamma.visualization.scale import find_scale

from .conftest import add_trials


PICTURES = [plot_process, plot_acquisition_history, plot_precision]


def named(figure: object) -> dict[str, object]:
    return {trace.name: trace for trace in figure.data}  # type: ignore[attr-defined]


def test_the_next_proposal_is_what_the_sampler_proposes(study: optuna.Study) -> None:
    star = named(plot_process(study, ["lr", "x"]))["next proposal"]
    trial = study.ask(
        {
            "lr": optuna.distributions.FloatDistribution(1e-4, 1.0, log=True),
            "x": optuna.distributions.FloatDistribution(-1.0, 1.0),
        }
    )
    assert (star.x[0], star.y[0]) == (trial.params["lr"], trial.params["x"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_curve_goes_through_what_was_observed(sign: float) -> None:
    study = optuna.create_study(
        direction="minimize" if sign > 0 else "maximize",
        sampler=GammaBOSampler(seed=0, deterministic_objective=True),
    )
    study.optimize(lambda t: 7.0 + sign * 100.0 * t.suggest_float("x", -1, 1) ** 2, n_trials=9)
    traces = named(plot_process(study))
    location, trials = traces["location"], traces["trials"]
    at = np.interp(trials.x, location.x, location.y)  # type: ignore[attr-defined]
    np.testing.assert_allclose(at, trials.y, atol=1.0)  # type: ignore[attr-defined]
    assert min(location.x) == -1.0  # type: ignore[attr-defined]
    assert max(location.x) == 1.0  # type: ignore[attr-defined]
    band = traces["95 % band"]
    n = len(location.x)  # type: ignore[attr-defined]
    ends = np.sort([band.y[:n], band.y[: n - 1 : -1]], axis=0)  # type: ignore[attr-defined]
    assert (ends[0] <= location.y).all()  # type: ignore[attr-defined]
    assert (location.y <= ends[1]).all()  # type: ignore[attr-defined]


def test_acquisition_is_largest_at_the_proposal(study: optuna.Study) -> None:
    traces = named(plot_process(study, ["x"]))
    values = traces["log expected improvement"].customdata  # type: ignore[attr-defined]
    view = study.sampler.view(study)  # type: ignore[attr-defined]
    best = float(view.acquisition(view.space.encode([view.next_params]))[0])
    assert max(values) <= best + 1e-2


def test_two_parameters_and_the_others_held(study: optuna.Study) -> None:
    figure = plot_process(study)
    location, _, _, improvement, _, _ = figure.data
    assert location.type == improvement.type == "contour"
    assert location.z.shape == (61, 61)
    assert figure.layout.xaxis2.type == "log"
    held = plot_process(study, ["lr"]).layout.xaxis2.title.text
    assert held == f"lr<br><sup>at x = {study.best_params['x']:.6g}</sup>"


def test_constraints_are_part_of_the_acquisition() -> None:
    study = optuna.create_study(sampler=GammaBOSampler(seed=1))

    def constrained(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", -1.0, 1.0)
        trial.suggest_float("y", 0.0, 1.0)
        trial.set_constraint("x is positive", -x)
        return x

    study.optimize(constrained, n_trials=10)
    figure = plot_process(study, ["x"])
    improvement = named(figure)["log expected improvement"]
    best = improvement.x[int(np.argmax(improvement.customdata))]  # type: ignore[attr-defined]
    assert best > -0.2
    held = figure.layout.xaxis2.title.text
    assert f"y = {study.best_params['y']:.6g}" in held


def test_categories_of_the_same_name_stay_apart() -> None:
    study = optuna.create_study(sampler=GammaBOSampler(seed=0))
    study.optimize(
        lambda t: (
            (t.suggest_categorical("k", ["1", 1, "a" * 30 + "b", "a" * 30 + "c"]) == 1)
            + t.suggest_int("n", 1, 5)
        ),
        n_trials=8,
    )
    figure = plot_process(study, ["k"])
    assert len(set(figure.layout.xaxis.categoryarray)) == 4
    assert len(figure.data[0].x) == 4
    assert plot_process(study, ["k", "n"]).data[0].type == "heatmap"


def test_a_value_that_was_drawn_in_is_a_triangle() -> None:
    study = optuna.create_study(direction="maximize")
    add_trials(study, 8)
    space = {"x": optuna.distributions.FloatDistribution(-1.0, 1.0)}
    for value in (-1e6, None):
        states = optuna.trial.TrialState
        state = states.FAIL if value is None else states.COMPLETE
        study.add_trial(
            optuna.trial.create_trial(
                params={"x": 0.3}, distributions=space, value=value, state=state
            )
        )
    trials = named(plot_process(study))["trials"]
    symbols = dict(zip(trials.marker.symbol, trials.text, strict=True))  # type: ignore[attr-defined]
    assert "-1e+06" in symbols["triangle-down-open"]
    assert "fail" in symbols["x-thin-open"]
    assert min(trials.y) > -10  # type: ignore[attr-defined]


@example([0.0, 3.5e-43, -1.0, -501.0], [], 1.0)
@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30),
    st.lists(st.just(-math.inf), max_size=3),
    st.sampled_from([1.0, -1.0]),
)
@settings(max_examples=300, deadline=None)
def test_scale_undoes_the_standardisation(
    finite: list[float], failed: list[float], sign: float
) -> None:
    values = np.array([*finite, *failed])
    y = standardize(values)
    back = sign * find_scale(values, y, sign).back(y)
    size = np.abs(finite).max() + 1e-3
    # Exact for what was not drawn in, never worse than it was for what was.
    assert (back[: len(finite)] >= values[: len(finite)] - 1e-6 * size).all()
    assert back.max() == pytest.approx(max(finite), rel=1e-6, abs=1e-6 * size)


def test_acquisition_history_is_that_of_the_proposals(study: optuna.Study) -> None:
    [trace] = plot_acquisition_history(study).data
    assert list(trace.x) == list(range(4, 12))
    trial = study.trials[7]
    view = study.sampler.view(study, 7)  # type: ignore[attr-defined]
    assert len(view.seen.values) == 7
    expected = float(view.acquisition(view.space.encode([trial.params]))[0])
    assert trace.y[3] == pytest.approx(expected)


def test_precision_is_that_of_the_process(study: optuna.Study) -> None:
    traces = named(plot_precision(study))
    mean = traces["mean"]
    view = study.sampler.view(study)  # type: ignore[attr-defined]
    process = view.full_process
    assert mean.x[-1] == 12  # type: ignore[attr-defined]
    assert mean.y[-1] == pytest.approx(process.a_n / process.b_n)  # type: ignore[attr-defined]
    assert mean.customdata[-1][0] == 2.0 + 0.5 * (len(view.seen.values) - 1)  # type: ignore[attr-defined]
    low, high = mean.customdata[-1][2:]  # type: ignore[attr-defined]
    assert low < mean.y[-1] < high  # type: ignore[attr-defined]


@pytest.mark.parametrize("plot", PICTURES)
def test_too_few_trials(plot: Callable[..., object], caplog: pytest.LogCaptureFixture) -> None:
    for n in (0, 1):
        study = optuna.create_study()
        add_trials(study, n)
        assert not plot(study).data  # type: ignore[attr-defined]
    assert "too few completed trials" in caplog.text


@pytest.mark.parametrize("plot", PICTURES)
def test_one_trial_that_a_sampler_can_go_on_from(plot: Callable[..., object]) -> None:
    study = optuna.create_study(sampler=GammaBOSampler(seed=0, n_startup_trials=1))
    add_trials(study, 1)
    figure = plot(study)
    assert bool(figure.data) == (plot is not plot_acquisition_history)  # type: ignore[attr-defined]


@pytest.mark.parametrize("plot", PICTURES)
def test_a_thousand_trials_of_another_sampler(
    plot: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optuna_gamma.visualization.search._MOST_UNFITTED", 3)
    study = optuna.create_study()
    add_trials(study, 1000)
    assert len(plot(study).to_json()) < 500_000  # type: ignore[attr-defined]


@pytest.mark.parametrize("plot", PICTURES)
def test_several_objectives_are_refused(plot: Callable[..., object]) -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    with pytest.raises(ValueError, match="several objectives"):
        plot(study)


@pytest.mark.parametrize("params", [["y"], [], ["x", "x"], ["x", "lr", "y"], "x"])
def test_impossible_parameters_are_refused(study: optuna.Study, params: list[str]) -> None:
    with pytest.raises(ValueError, match=r"parameter"):
        plot_process(study, params)


def test_drawing_writes_nothing(study: optuna.Study) -> None:
    storage, study_id = study._storage, study._study_id
    before = study.trials, storage.get_study_system_attrs(study_id)
    for plot in PICTURES:
        plot(study)
    assert (study.trials, storage.get_study_system_attrs(study_id)) == before
