"""Pictures of staged studies say what is in the studies."""

from __future__ import annotations

from collections.abc import Callable
import math

import optuna
import pytest

from optuna_gamma.staged import Stage
from optuna_gamma.staged import StagedStudy
from optuna_gamma.visualization import plot_comparison
from optuna_gamma.visualization import plot_learning_curves
from optuna_gamma.visualization import plot_lineage
from optuna_gamma.visualization import plot_schedule
from optuna_gamma.visualization.style import MAX_POINTS


Staged = Callable[..., StagedStudy]
PICTURES = [plot_schedule, plot_lineage, plot_learning_curves]


def test_schedule_shows_candidates_and_what_was_promoted(staged: Staged) -> None:
    run = staged(3, 5)
    figure = plot_schedule(run, target_name="κ")
    lr, lr_steps, kind, _, values, path = figure.data
    trials = [trial for study in run.studies for trial in study.trials]
    assert sorted(lr.y) == sorted(trial.params["lr"] for trial in trials)
    assert figure.layout.yaxis.type == "log"
    assert set(kind.y) == {"&lt;b&gt;a&lt;/b&gt;", "b"}
    # Two epochs a stage: the steps begin where the stages do, and end with the last.
    assert list(lr_steps.x) == [0, 2, 4, 6]
    promoted = [record.params["lr"] for record in run.schedule]
    assert list(lr_steps.y) == [*promoted, promoted[-1]]
    assert lr_steps.line.shape == "hv"
    assert figure.layout.xaxis3.title.text == "epochs kept"
    assert figure.layout.yaxis3.title.text == "κ"
    assert list(path.y) == [record.value for record in run.schedule]
    assert values.marker.symbol.count("x-thin-open") == 6  # a pruned and a failed one a stage
    best = {trial.value for study in run.studies for trial in [study.best_trial]}
    goodness = dict(zip(values.y, values.marker.color, strict=True))
    assert all(goodness[value] == 1.0 for value in best)


def test_schedule_gives_unlike_stages_equal_room(staged: Staged) -> None:
    def objective(trial: optuna.Trial, stage: Stage) -> float:
        trial.set_user_attr("epochs", (1, 18)[stage.number])
        stage.save(trial, {})
        return trial.suggest_float("lr", 1e-3, 1.0, log=True)

    figure = plot_schedule(staged(2, 4, objective))
    assert figure.layout.xaxis2.title.text == "stage"


def test_schedule_counts_stages_without_epochs(staged: Staged) -> None:
    def objective(trial: optuna.Trial, stage: object) -> float:
        value = trial.suggest_float("x", 0, 1)
        stage.save(trial, {})  # type: ignore[attr-defined]
        return value

    figure = plot_schedule(staged(2, 2, objective), ["x"])
    assert figure.layout.xaxis2.title.text == "stage"
    assert list(figure.data[1].x) == [0.5, 1.5, 2.5]


def test_schedule_refuses_an_unknown_parameter(staged: Staged) -> None:
    with pytest.raises(ValueError, match="Parameter momentum does not exist"):
        plot_schedule(staged(1, 1), ["momentum"])


def test_lineage_leads_from_the_promoted_trials(staged: Staged) -> None:
    run = staged(3, 5)
    edges, trials, promoted = plot_lineage(run).data
    assert len(trials.x) == 15
    assert list(promoted.y) == [record.value for record in run.schedule]
    starts = {(x, y) for x, y in zip(edges.x[::3], edges.y[::3], strict=True)}
    assert starts == set(list(zip(promoted.x, promoted.y, strict=True))[:2])
    assert len(edges.x) == 3 * 10  # five candidates went on from each of two
    assert sum("went on from trial" in text for text in trials.text) == 10


def test_learning_curve_goes_on_from_stage_to_stage(staged: Staged) -> None:
    run = staged(2, 5)
    others, path = plot_learning_curves(run).data
    # Each stage counts its epochs 0, 1 again.
    assert list(path.x) == [0, 1, 2, 3]
    expected = [
        value
        for study, record in zip(run.studies, run.schedule, strict=True)
        for value in study.trials[record.trial_number].intermediate_values.values()
    ]
    assert list(path.y) == expected
    assert sum(x is None for x in others.x) == 4  # two others a stage have values


def test_learning_curve_keeps_steps_that_go_on(staged: Staged) -> None:
    def objective(trial: optuna.Trial, stage: object) -> float:
        for step in range(3):
            trial.report(trial.suggest_float("x", 0, 1), 3 * stage.number + step + 1)  # type: ignore[attr-defined]
        stage.save(trial, {})  # type: ignore[attr-defined]
        return 1.0

    assert list(plot_learning_curves(staged(2, 2, objective)).data[1].x) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("plot", PICTURES)
def test_without_trials_the_reason_is_shown_and_logged(
    plot: Callable[..., object], staged: Staged, caplog: pytest.LogCaptureFixture
) -> None:
    figure = plot(staged(1, 0))
    assert not figure.data  # type: ignore[attr-defined]
    [annotation] = figure.layout.annotations  # type: ignore[attr-defined]
    assert [annotation.text] == [record.message for record in caplog.records]


@pytest.mark.parametrize("plot", PICTURES)
def test_one_trial(plot: Callable[..., object], staged: Staged) -> None:
    assert plot(staged(1, 1)).data  # type: ignore[attr-defined]


@pytest.mark.parametrize("plot", PICTURES)
def test_of_very_many_trials_an_even_choice_is_drawn(
    plot: Callable[..., object], staged: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optuna_gamma.visualization.stages.MAX_POINTS", 20)
    run = staged(2, 60)
    figure = plot(run)
    n = max(len(trace.x) for trace in figure.data)  # type: ignore[attr-defined]
    assert n <= 3 * 25
    assert len(figure.to_json()) < 60_000  # type: ignore[attr-defined]
    # What was promoted is never left out.
    ys = [y for trace in figure.data for y in trace.y]  # type: ignore[attr-defined]
    if plot is not plot_learning_curves:
        assert {record.value for record in run.schedule} <= set(ys)
    assert MAX_POINTS >= 1000


def test_a_diverged_candidate_does_not_press_the_others_into_a_line(staged: Staged) -> None:
    def objective(trial: optuna.Trial, stage: object) -> float:
        stage.save(trial, {})  # type: ignore[attr-defined]
        return -1e30 if trial.number == 3 else trial.suggest_float("x", 0.9, 1.0)

    figure = plot_lineage(staged(1, 10, objective))
    low, high = figure.layout.yaxis.range
    assert high - low < 1.0
    trials = figure.data[1]
    at = list(trials.marker.symbol).index("triangle-down-open")
    assert low < trials.y[at] < high
    assert "-1e+30" in trials.text[at]


def test_comparison_over_epochs(staged: Staged) -> None:
    run = staged(2, 5)
    figure = plot_comparison({"mine": run, "again": run})
    mine, again = figure.data
    assert (mine.name, again.name) == ("mine", "again")
    assert figure.layout.xaxis.title.text == "epochs spent"
    # The pruned and the failed trial count as long as the others of their stage.
    assert mine.x[-1] == 2 * 2 * 5
    assert mine.y[-1] == max(record.value for record in run.schedule)
    assert list(mine.y) == sorted(mine.y)


def test_comparison_counts_what_is_no_number_of_epochs_as_the_longest() -> None:
    study = optuna.create_study()
    for value, epochs in enumerate((2, -5, True, "3")):
        trial = optuna.trial.create_trial(value=-float(value), user_attrs={"epochs": epochs})
        study.add_trial(trial)
    figure = plot_comparison({"mine": study})
    assert list(figure.data[0].x) == [2, 4, 6, 8]


def test_comparison_of_plain_studies(study: optuna.Study, staged: Staged) -> None:
    figure = plot_comparison([study, study])
    first, second = figure.data
    assert first.name != second.name
    assert figure.layout.xaxis.title.text == "finished trials"
    assert first.x[-1] == len(study.trials)
    assert first.y[-1] == study.best_value
    running = math.inf
    best = {i + 1: (running := min(running, t.value)) for i, t in enumerate(study.trials)}
    assert all(best[x] == y for x, y in zip(first.x, first.y, strict=True))
    with pytest.raises(ValueError, match="one direction"):
        plot_comparison([study, staged(1, 1)])


def test_comparison_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert not plot_comparison([]).data
    assert not plot_comparison([optuna.create_study()]).data
    assert "No run has completed trials yet." in caplog.text
