"""The budget is exact and promotion final, whatever the order of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from optuna.trial import create_trial
from optuna.trial import FrozenTrial
from optuna.trial import TrialState
import pytest

from optuna_gamma.staged.ledger import checkpoint_of
from optuna_gamma.staged.ledger import Ledger
from optuna_gamma.staged.ledger import Parent
from optuna_gamma.staged.ledger import RECORD_KEY
from optuna_gamma.staged.ledger import result_attr
from optuna_gamma.staged.ledger import TrialRecord


def trial(
    number: int,
    value: float | None = None,
    *,
    state: TrialState = TrialState.COMPLETE,
    budget: int = 3,
    run: str = "run",
) -> FrozenTrial:
    record = TrialRecord(run=run, n_trials=budget, n_stages=2, parent=None)
    attrs = {RECORD_KEY: record.to_json()}
    if state == TrialState.COMPLETE:
        assert value is not None
        key, result = result_attr("lease", value, f"{number:064x}")
        attrs[key] = result
    made = create_trial(state=state, value=value, system_attrs=attrs)
    made.number = number
    return made


RUNNING, FAIL, PRUNED, WAITING = (
    TrialState.RUNNING,
    TrialState.FAIL,
    TrialState.PRUNED,
    TrialState.WAITING,
)


def read(trials: Sequence[FrozenTrial], direction: str = "maximize") -> Ledger:
    return Ledger(trials, "run", direction)  # type: ignore[arg-type]


def contents(ledger: Ledger) -> dict[str, Any]:
    return {name: value for name, value in vars(ledger).items() if name != "_settled"}


def test_an_empty_stage() -> None:
    ledger = read([])
    assert (ledger.budget, ledger.trials, ledger.promoted, ledger.owner) == (0, (), None, None)
    assert not ledger.is_spent


@pytest.mark.parametrize(("direction", "best"), [("maximize", 1), ("minimize", 0)])
def test_the_best_value_is_promoted_and_of_equal_ones_the_first(direction: str, best: int) -> None:
    trials = [trial(0, 0.1), trial(1, 0.9), trial(2, 0.9 if best else 0.1)]
    promoted = read(trials, direction).promoted
    assert promoted is not None
    assert promoted.number == best


def test_infinities_are_values_like_others() -> None:
    inf = float("inf")
    trials = [trial(0, -inf), trial(1, inf), trial(2, 0.0)]
    assert read(trials).promoted == trials[1]
    assert read(trials, "minimize").promoted == trials[0]


def test_pruned_and_failed_trials_count_and_are_not_promoted() -> None:
    trials = [trial(0, state=FAIL), trial(1, 5.0, state=PRUNED), trial(2, -1.0)]
    assert read(trials).promoted == trials[2]
    assert read([*trials[:2], trial(2, state=FAIL)]).is_spent
    assert read([*trials[:2], trial(2, state=FAIL)]).promoted is None


def test_nothing_is_promoted_before_the_budget_is_spent() -> None:
    assert read([trial(0, 1.0), trial(1, 2.0)]).promoted is None
    assert read([trial(0, 1.0), trial(1, 2.0), trial(2, state=RUNNING)]).promoted is None


def test_who_comes_too_late_and_who_is_parked_does_not_count() -> None:
    trials = [trial(0, 1.0), trial(1, state=WAITING), trial(2, 2.0), trial(3, 3.0), trial(4, 9.0)]
    ledger = read(trials)
    assert [t.number for t in ledger.trials] == [0, 2, 3]
    assert ledger.promoted == trials[3]
    assert [ledger.rank(n) for n in range(5)] == [0, None, 1, 2, None]


def test_trials_of_others_do_not_count() -> None:
    theirs = create_trial(value=100.0)
    theirs.number = 0
    other_run = trial(2, 50.0, run="other")
    ledger = read([theirs, trial(1, 1.0), other_run, trial(3, 2.0), trial(4, 3.0)])
    assert [t.number for t in ledger.trials] == [1, 3, 4]
    assert ledger.owner == "run"
    assert read([other_run, trial(3, 1.0)]).owner == "other"


def test_trials_that_are_no_probes_neither_count_nor_are_promoted() -> None:
    """Room for a further run of a stage's winner after its probes."""
    further = trial(1, 99.0, budget=9)
    further.system_attrs[RECORD_KEY]["kind"] = "a kind of a later version"
    trials = [trial(0, 1.0), further, trial(2, 2.0), trial(3, 0.0)]
    ledger = read(trials)
    assert [t.number for t in ledger.trials] == [0, 2, 3]
    assert ledger.promoted == trials[2]


def test_a_trial_that_came_too_late_and_still_runs_is_surplus() -> None:
    trials = [trial(n, 1.0) for n in range(3)]
    late, parked = trial(3, state=RUNNING), trial(4, state=WAITING)
    assert read([*trials, late, parked]).surplus == (late,)


def test_a_trial_that_counts_extends_the_stage_and_a_late_one_does_not() -> None:
    assert read([trial(0, 1.0), trial(1, 1.0, budget=5)]).budget == 5
    spent = [trial(0, 1.0), trial(1, 1.0), trial(2, 1.0)]
    assert read([*spent, trial(3, state=RUNNING, budget=5)]).budget == 3
    assert read([*spent, trial(3, state=RUNNING, budget=5)]).promoted is not None


def test_a_stage_without_anything_to_promote_can_be_extended() -> None:
    failed = [trial(n, state=FAIL) for n in range(3)]
    ledger = read([*failed, trial(3, state=RUNNING, budget=5)])
    assert ledger.budget == 5
    assert not ledger.is_spent
    running = [trial(0, state=RUNNING), *failed[1:]]
    assert read([*running, trial(3, state=RUNNING, budget=5)]).budget == 3


@settings(deadline=None)
@given(st.data())
def test_the_budget_is_kept_and_what_is_promoted_stays_promoted(data: st.DataObject) -> None:
    """Workers with plans of their own append, finish and park in any order they like."""
    trials: list[FrozenTrial] = []
    promoted: int | None = None
    budget = 0
    earlier: Ledger | None = None
    for _ in range(data.draw(st.integers(1, 40))):
        running = [t for t in trials if t.state == RUNNING]
        if running and data.draw(st.booleans()):
            old = data.draw(st.sampled_from(running))
            if read(trials).rank(old.number) is None:
                trials[old.number] = trial(old.number, state=WAITING)  # what its worker will do
            else:
                kind = data.draw(st.sampled_from([TrialState.COMPLETE, FAIL, PRUNED]))
                value = data.draw(st.sampled_from([0.0, 1.0, 2.0]))
                record = TrialRecord.of(old)
                assert record is not None
                trials[old.number] = trial(
                    old.number,
                    None if kind == FAIL else value,
                    state=kind,
                    budget=record.n_trials,
                )
        else:  # its worker may have looked long ago: it appends in any case
            planned = data.draw(st.integers(1, 6))
            trials.append(trial(len(trials), state=RUNNING, budget=planned))
        ledger = read(trials)
        if data.draw(st.booleans()):  # not each time: others' trials come several at once
            earlier = Ledger(trials, "run", "maximize", earlier)
            assert contents(earlier) == contents(ledger)
        assert ledger.budget >= budget
        assert len(ledger.trials) <= ledger.budget <= 6
        budget = ledger.budget
        if promoted is not None:
            assert ledger.promoted is not None
            assert ledger.promoted.number == promoted
        elif ledger.promoted is not None:
            promoted = ledger.promoted.number
            assert sum(t.state.is_finished() for t in trials) == budget


def test_a_value_goes_with_the_weights_that_had_it() -> None:
    """Two workers ran the trial, and the one that had lost it was the one to tell."""
    made = trial(0, 1.0)
    made.system_attrs.update([result_attr("other", 2.0, "f" * 64)])
    assert checkpoint_of(made) == "0" * 64
    made.value = 2.0
    assert checkpoint_of(made) == "f" * 64
    assert checkpoint_of(create_trial(value=1.0)) is None


def test_records_are_read_back() -> None:
    record = TrialRecord("run", 12, 10, Parent(8, 3, "a" * 64))
    made = create_trial(value=0.0, system_attrs={RECORD_KEY: record.to_json()})
    assert TrialRecord.of(made) == record
