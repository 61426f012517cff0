from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from optuna_gamma.history import as_of
from optuna_gamma.history import History
from optuna_gamma.history import history
from optuna_gamma.history import Observations
from optuna_gamma.history import observe
from optuna_gamma.space import Space


SPACE = {"x": FloatDistribution(0, 2), "c": CategoricalDistribution(["a", "b"])}


def see(study: optuna.Study, kept: History, number: int = -1) -> Observations:
    return kept.observe(study, study.get_trials(deepcopy=False), Space(SPACE), number)


def add(study: optuna.Study, x: float, state: TrialState, value: float | None = None) -> None:
    study.add_trial(
        optuna.create_trial(
            state=state, value=value, params={"x": x, "c": "b"}, distributions=SPACE
        )
    )


def test_what_was_kept_equals_a_fresh_look() -> None:
    study = optuna.create_study()
    kept = History()
    running = []
    for i in range(40):
        trial = study.ask(SPACE)
        running.append(trial)
        if i % 3:  # trials end in another order than they began
            ended = running.pop(i % len(running))
            state = (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)[i % 4 % 3]
            study.tell(ended, float(i) if state == TrialState.COMPLETE else None, state)
        add(study, 0.1 + i / 100, TrialState.WAITING)
        a, b = see(study, kept), see(study, History())
        np.testing.assert_array_equal(a.X, b.X)
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_array_equal(a.is_complete, b.is_complete)
        np.testing.assert_array_equal(a.pending, b.pending)
    assert len(a.pending) == len(running)
    assert len(a.values) == 40 - len(running)


def test_values_are_to_be_maximised_and_failures_are_as_bad_as_can_be() -> None:
    for direction, sign in (("minimize", -1), ("maximize", 1)):
        study = optuna.create_study(direction=direction)
        add(study, 0.5, TrialState.COMPLETE, 3.0)
        add(study, 1.0, TrialState.FAIL)
        study.add_trial(optuna.create_trial(value=1.0))  # has none of the parameters
        add(study, 2.0, TrialState.RUNNING)
        seen = see(study, History())
        np.testing.assert_array_equal(seen.X, [[0.25, 1.0], [0.5, 1.0]])
        np.testing.assert_array_equal(seen.values, [[sign * 3.0], [-math.inf]])
        np.testing.assert_array_equal(seen.is_complete, [True, False])
        np.testing.assert_array_equal(seen.pending, [[1.0, 1.0]])
        assert len(see(study, History(), number=3).pending) == 0


def test_a_study_that_takes_the_place_of_a_deleted_one_is_another(tmp_path: Path) -> None:
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/a.db")
    seen = []
    for value in (1.0, 2.0):
        study = optuna.create_study(study_name="s", storage=storage)
        add(study, value, TrialState.COMPLETE, value)
        trials = study.get_trials(deepcopy=False)
        seen.append(history(study, trials).observe(study, trials, Space(SPACE), -1).values[0, 0])
        optuna.delete_study(study_name="s", storage=storage)
    assert seen == [-1.0, -2.0]


def test_trials_are_seen_as_they_were() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space = {"x": FloatDistribution(0, 1)}
    first, second = study.ask(space), study.ask(space)
    study.tell(second, 2.0)
    third = study.ask(space)
    study.tell(first, 1.0)
    study.tell(third, 3.0)
    before = as_of(study.trials, 2)
    assert [trial.state for trial in before] == [TrialState.RUNNING, TrialState.COMPLETE]
    seen = observe(before, Space(space), study.directions)
    assert (seen.numbers.tolist(), len(seen.pending)) == ([1], 1)
    assert as_of(study.trials, 3) == study.trials
    assert study.trials[0].state == TrialState.COMPLETE


def test_constraints_come_by_key_as_trials_have_them() -> None:
    study = optuna.create_study()
    kept = History()
    told: list[dict[str, float]] = [{"b": 1.0}, {}, {"a": -2.0, "b": 0.0}, {"b": 3.0, "a": -1.0}]
    for constraints in told:
        study.add_trial(
            optuna.create_trial(
                value=1.0,
                params={"x": 0.5, "c": "a"},
                distributions=SPACE,
                constraints=constraints,
            )
        )
        see(study, kept)
    for seen in (see(study, kept), see(study, History())):
        assert list(seen.constraints) == ["a", "b"]
        np.testing.assert_array_equal(seen.constraints["a"], [math.nan, math.nan, -2.0, -1.0])
        np.testing.assert_array_equal(seen.constraints["b"], [1.0, math.nan, 0.0, 3.0])
        column = seen.constraint("a")
        np.testing.assert_array_equal(column.values, [-2.0, -1.0])
        np.testing.assert_array_equal(column.numbers, [2, 3])


def test_a_failure_where_it_was_not_feasible_says_nothing_of_objectives() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    for x, state, constraint in (
        (0.1, TrialState.COMPLETE, 1.0),
        (0.2, TrialState.FAIL, 1.0),
        (0.3, TrialState.FAIL, -1.0),
        (0.4, TrialState.COMPLETE, -1.0),
    ):
        study.add_trial(
            optuna.create_trial(
                state=state,
                values=[1.0, 2.0] if state == TrialState.COMPLETE else None,
                params={"x": x, "c": "a"},
                distributions=SPACE,
                constraints={"k": constraint},
            )
        )
    seen = see(study, History())
    np.testing.assert_array_equal(seen.objective(0).numbers, [0, 2, 3])
    np.testing.assert_array_equal(seen.objective(0).values, [-1.0, -math.inf, -1.0])
    np.testing.assert_array_equal(seen.objective(1).values, [2.0, -math.inf, 2.0])
    assert len(seen.constraint("k").values) == 4


def prune(study: optuna.Study, x: float, reports: dict[int, float]) -> None:
    study.add_trial(
        optuna.create_trial(
            state=TrialState.PRUNED,
            params={"x": x, "c": "b"},
            distributions=SPACE,
            intermediate_values=reports,
        )
    )


def complete(study: optuna.Study, value: float, reports: dict[int, float]) -> None:
    study.add_trial(
        optuna.create_trial(
            value=value,
            params={"x": 1.0, "c": "a"},
            distributions=SPACE,
            intermediate_values=reports,
        )
    )


def test_pruned_trials_are_worth_what_they_might_have_come_to() -> None:
    for direction, sign in (("minimize", 1.0), ("maximize", -1.0)):
        study = optuna.create_study(direction=direction)
        for final in (1.0, 2.0, 3.0):
            complete(study, sign * final, {1: sign * (final + 2), 2: sign * (final + 1)})
        prune(study, 0.5, {1: sign * 4.5})
        prune(study, 0.6, {1: sign * 4.5, 2: sign * math.nan})
        prune(study, 0.7, {})
        seen = see(study, History())
        np.testing.assert_allclose(
            seen.values[:, 0], [-1.0, -2.0, -3.0, -2.5, -math.inf, -math.inf]
        )
        np.testing.assert_array_equal(seen.noise > 0, [False, False, False, True, False, False])
        assert seen.is_complete.sum() == 3


def test_later_trials_change_what_pruned_ones_are_worth() -> None:
    study, kept = optuna.create_study(), History()
    prune(study, 0.5, {1: 5.0})
    worth = [see(study, kept).values[0, 0]]
    for final in (1.0, 3.0, 3.5):
        complete(study, final, {1: 4.0 + 0.1 * final})
        prune(study, 0.7, {1: 4.0, 2: 3.5 + final})
        a, b = see(study, kept), see(study, History())
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_array_equal(a.noise, b.noise)
        worth.append(a.values[0, 0])
    assert len(set(worth)) == 4


def test_of_a_bracket_trials_are_told_apart_by_their_numbers() -> None:
    study = optuna.create_study()
    for state in (
        TrialState.COMPLETE,
        TrialState.COMPLETE,
        TrialState.RUNNING,
        TrialState.RUNNING,
    ):
        study.add_trial(
            optuna.create_trial(
                state=state,
                value=1.0 if state == TrialState.COMPLETE else None,
                params={"x": 0.5, "c": "a"},
                distributions=SPACE,
            )
        )
    bracket = study.get_trials()[1:]
    seen = History().observe(study, bracket, Space(SPACE), 3)
    np.testing.assert_array_equal(seen.numbers, [1])
    np.testing.assert_array_equal(seen.running, [2])


def test_a_failure_that_did_not_repeat_itself_is_left_out() -> None:
    study = optuna.create_study()
    add(study, 0.5, TrialState.FAIL)
    add(study, 1.0, TrialState.FAIL)
    add(study, 1.5, TrialState.COMPLETE, 1.0)
    assert see(study, History()).numbers.tolist() == [0, 1, 2]
    add(study, 0.5, TrialState.COMPLETE, 2.0)  # at the same point
    assert see(study, History()).numbers.tolist() == [1, 2, 3]
    again = optuna.create_trial(
        state=TrialState.WAITING, system_attrs={"fixed_params": {"x": 1.0}, "retry_history": [1]}
    )
    study.add_trial(again)  # as Optuna's callbacks for trials whose worker died
    assert see(study, History()).numbers.tolist() == [2, 3]
