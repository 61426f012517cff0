"""Workers that run at the same time: what one proposes the others avoid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
import json
from pathlib import Path
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import TrialState
import pytest

from optuna_gamma import GammaBOSampler
from optuna_gamma.history import history
from optuna_gamma.history import Observations
from optuna_gamma.pending import MAX_ATTR_LENGTH
from optuna_gamma.pending import params_in
from optuna_gamma.pending import PROPOSAL_KEY
from optuna_gamma.pending import share
from optuna_gamma.rivals import settle
from optuna_gamma.space import Space


SPACE: dict[str, BaseDistribution] = {
    "x": FloatDistribution(1e-3, 1, log=True),
    "n": IntDistribution(0, 9),
    "c": CategoricalDistribution([None, "b"]),
}


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def _study(**options: Any) -> optuna.Study:
    study = optuna.create_study(
        study_name="s", sampler=GammaBOSampler(seed=1, n_startup_trials=2), **options
    )
    for i in range(5):
        trial = study.ask(SPACE)
        study.tell(trial, float(i))
    return study


def _see(study: optuna.Study, number: int = -1) -> Observations:
    trials = study.get_trials(deepcopy=False)
    return history(study, trials).observe(study, trials, Space(SPACE), number)


def test_a_proposal_is_seen_before_its_parameters_are_set() -> None:
    study = _study()
    seen = {}

    class Spy(GammaBOSampler):
        def sample_relative(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
            params = super().sample_relative(*args, **kwargs)
            seen["params"], seen["pending"] = params, _see(study).pending
            return params

    study.sampler = Spy(seed=1)
    trial = study.ask()
    assert trial.suggest_float("x", 1e-3, 1, log=True) == seen["params"]["x"]
    np.testing.assert_array_equal(seen["pending"], Space(SPACE).encode([seen["params"]]))
    np.testing.assert_array_equal(_see(study).pending, seen["pending"])  # one parameter of three
    assert len(_see(study, trial.number).pending) == 0
    trial.suggest_int("n", 0, 9)
    trial.suggest_categorical("c", [None, "b"])
    np.testing.assert_array_equal(_see(study).pending, seen["pending"])
    assert list(_see(study).running) == [trial.number]
    shared = study.trials[-1].system_attrs[PROPOSAL_KEY]
    assert len(json.dumps(shared)) <= MAX_ATTR_LENGTH


def _running(params: dict[str, Any], proposal: dict[str, float]) -> optuna.trial.FrozenTrial:
    return optuna.create_trial(
        state=TrialState.RUNNING,
        params=params,
        distributions={name: SPACE[name] for name in params},
        system_attrs={PROPOSAL_KEY: proposal},
    )


def test_parameters_that_are_set_count_more_than_a_proposal() -> None:
    study = _study()
    study.add_trial(_running({"n": 9}, {"x": 1.0, "n": 0.0, "c": 1.0}))
    np.testing.assert_array_equal(_see(study).pending, [[1.0, 1.0, 1.0]])


@pytest.mark.parametrize(
    "proposal",
    [{}, {"x": 1.0, "c": 1.0}, {"x": 7.0, "n": 0.0, "c": 1.0}, {"x": 1.0, "n": 0.0, "c": 2.0}],
)
def test_proposals_of_another_space_are_not_pending(proposal: dict[str, float]) -> None:
    study = _study()
    study.add_trial(_running({}, proposal))
    assert len(_see(study).pending) == 0
    study.ask(SPACE)


@pytest.mark.parametrize("optional", [False, True])
def test_long_proposals_are_shared_in_parts(optional: bool) -> None:
    kinds: dict[str, BaseDistribution] = {f"{j:060}": FloatDistribution(-1, 1) for j in range(80)}
    space = Space(kinds, frozenset(kinds) if optional else frozenset())
    study = optuna.create_study()
    study.ask()
    params = dict.fromkeys(kinds, -1.2345678901234567e-308)
    some = dict(list(params.items())[:9]) if optional else dict.fromkeys(kinds, 0.5)
    for proposal in (params, some):
        share(study, study.trials[0], space, proposal)
        attrs = study.trials[0].system_attrs
        assert len(attrs) > 2
        assert all(len(json.dumps(part)) <= MAX_ATTR_LENGTH for part in attrs.values())
        assert params_in(study.trials[0], space) == proposal


def test_a_name_that_is_too_long_is_not_shared() -> None:
    space = Space({"x" * MAX_ATTR_LENGTH: FloatDistribution(0, 1), "y": FloatDistribution(0, 1)})
    study = optuna.create_study()
    study.ask()
    share(study, study.trials[0], space, dict.fromkeys(space.distributions, 0.5))
    assert study.trials[0].system_attrs == {}


def _observations(pending: list[float], running: list[int]) -> Observations:
    return Observations(
        X=np.empty((0, 1)),
        values=np.empty((0, 1)),
        constraints={},
        numbers=np.empty(0, dtype=np.intp),
        is_complete=np.empty(0, dtype=np.bool_),
        pending=np.array(pending, dtype=np.float64).reshape(-1, 1),
        running=np.array(running, dtype=np.intp),
        noise=np.empty(0),
    )


def _first_free(seen: Observations) -> Any:
    return np.setdiff1d(np.arange(9) / 8, seen.pending)[:1]


@pytest.mark.parametrize(("number", "expected"), [(5, 0.125), (6, 0.25), (7, 0.375)])
def test_workers_who_all_see_each_other_at_a_point_part(number: int, expected: float) -> None:
    looks = [_observations([], []), _observations([0.0, 0.0], [5, 8]), _observations([], [])]
    if number == 7:
        looks[1] = _observations([0.0, 0.0], [5, 6])
    shared: list[Any] = []
    x, _ = settle(lambda: looks.pop(0), _first_free, shared.append, number)
    assert x == expected
    assert shared[0] == 0.0
    assert shared[-1] == x


def test_a_rival_who_has_ended_since_is_one_too() -> None:
    ended = _observations([], [])
    ended = Observations(
        X=np.zeros((1, 1)),
        values=np.zeros((1, 1)),
        constraints={},
        numbers=np.array([5]),
        is_complete=np.ones(1, dtype=np.bool_),
        pending=ended.pending,
        running=ended.running,
        noise=np.zeros(1),
    )
    looks = [_observations([], []), ended, ended]

    def propose(seen: Observations) -> Any:
        return np.array([0.5 if len(seen.X) else 0.0])

    x, seen = settle(lambda: looks.pop(0), propose, lambda x: None, 6)
    assert x == 0.5
    assert seen is ended


def test_what_was_pending_before_is_no_rival() -> None:
    full = _observations([j / 8 for j in range(9)], list(range(9)))
    x, _ = settle(lambda: full, lambda seen: np.array([0.5]), lambda x: None, 20)
    assert x == 0.5


def test_settling_ends_though_others_are_always_there() -> None:
    looks = 0

    def look() -> Observations:
        nonlocal looks
        looks += 1
        return _observations([] if looks == 1 else [0.5 + 1e-6 * looks], [3] * (looks > 1))

    settle(look, lambda seen: np.array([0.5]), lambda x: None, 20)
    assert looks < 20


def test_what_others_propose_is_avoided() -> None:
    ours = _study().ask(SPACE).params
    study = _study()
    encoded = {name: kind.to_internal_repr(ours[name]) for name, kind in SPACE.items()}
    study.add_trial(_running({}, encoded))
    assert study.ask(SPACE).params != ours


@pytest.mark.parametrize("pruner", [optuna.pruners.NopPruner, optuna.pruners.HyperbandPruner])
def test_threads_propose_no_duplicates(pruner: Callable[[], optuna.pruners.BasePruner]) -> None:
    """The best point is a corner, where continuous proposals meet."""
    together = threading.Barrier(8, timeout=60.0)

    def objective(trial: optuna.Trial) -> float:
        value = sum(trial.suggest_float(f"x{j}", 0, 1) for j in range(2))
        together.wait()  # all ask at the same moment
        return value

    study = optuna.create_study(sampler=GammaBOSampler(seed=0), pruner=pruner())
    study.optimize(objective, n_trials=48, n_jobs=8)
    points = [tuple(trial.params.values()) for trial in study.trials]
    assert len(set(points)) == 48
    assert study.best_value < 0.05


SCRIPT = """
import multiprocessing
import sys
import numpy, scipy.optimize, scipy.stats  # before the fork, once for all
import optuna
from optuna_gamma import GammaBOSampler

def work(url, together):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for name, n_trials in (("corner", 4), ("cells", 3)):
        study = optuna.load_study(study_name=name, storage=url, sampler=GammaBOSampler(seed=1))
        for _ in range(n_trials):
            together.wait(60)
            study.optimize(globals()[name], n_trials=1)

def corner(trial):
    return sum(trial.suggest_float(f"x{j}", 0, 1) for j in range(2))

def cells(trial):
    return trial.suggest_int("a", 0, 7) + trial.suggest_categorical("b", list(range(8)))

context = multiprocessing.get_context("fork")
together = context.Barrier(8)
workers = [context.Process(target=work, args=(sys.argv[1], together)) for _ in range(8)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
sys.exit(any(worker.exitcode for worker in workers))
"""


def test_processes_with_one_seed_propose_no_duplicates(database: str) -> None:
    studies = [
        optuna.create_study(study_name=name, storage=database) for name in ("corner", "cells")
    ]
    command = [sys.executable, "-c", SCRIPT, database]
    subprocess.run(command, check=True, timeout=300, cwd=Path(__file__).parents[1])
    corner, cells = (study.trials for study in studies)
    assert len(corner) == 32
    assert len({tuple(trial.params.values()) for trial in corner}) == 32
    # Of what is asked for at the same moment no more than a few can meet.
    counts = Counter(tuple(trial.params.values()) for trial in cells)
    assert len(cells) == 24
    assert len(counts) >= 21
    for point, count in counts.items():
        same = [trial for trial in cells if tuple(trial.params.values()) == point]
        assert count == 1 or _overlap(same)


def _overlap(trials: list[optuna.trial.FrozenTrial]) -> bool:
    starts = [trial.datetime_start for trial in trials if trial.datetime_start]
    ends = [trial.datetime_complete for trial in trials if trial.datetime_complete]
    return max(starts) < min(ends)
