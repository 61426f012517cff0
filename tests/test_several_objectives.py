"""Several objectives."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import math
import warnings

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import TrialState
import pytest
from scipy.integrate import trapezoid

from optuna_gamma import GammaBOSampler
from optuna_gamma.bo.acquisition import Acquisition
from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.process import GammaPrior
from optuna_gamma.history import Column
from optuna_gamma.history import Observations
from optuna_gamma.proposal import Models
from optuna_gamma.proposal import Proposer
from optuna_gamma.surrogate import Role
from optuna_gamma.surrogate import surrogate


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


Values = Callable[[optuna.Trial], Sequence[float]]


def two_bowls(trial: optuna.Trial) -> tuple[float, float]:
    """Both are lowest on the line from (0.2, 0.5) to (0.8, 0.5)."""
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    height = (y - 0.5) ** 2
    return (x - 0.2) ** 2 + height, (x - 0.8) ** 2 + height


def run(
    objective: Values, n: int, directions: Sequence[str], seed: int = 0, name: str = "s"
) -> optuna.Study:
    study = optuna.create_study(
        study_name=name, directions=directions, sampler=GammaBOSampler(seed=seed)
    )
    study.optimize(objective, n_trials=n)
    return study


def missed(study: optuna.Study) -> float:
    """Return the hypervolume of the front below (0.36, 0.36) that is missed."""
    values = sorted(t.values for t in study.best_trials)
    covered, lowest = 0.0, 0.36
    for first, second in values:
        if first < 0.36 and second < lowest:
            covered += (0.36 - first) * (lowest - second)
            lowest = second
    # The front is x² and (0.6 − x)² for x from 0 to 0.6.
    x = np.linspace(0, 0.6, 10001)
    return float(trapezoid(0.36 - (0.6 - x) ** 2, x**2)) - covered


def test_it_finds_the_front() -> None:
    for seed in range(2):
        ours = missed(run(two_bowls, 30, ["minimize"] * 2, seed))
        random = optuna.create_study(
            directions=["minimize"] * 2, sampler=optuna.samplers.RandomSampler(seed=seed)
        )
        random.optimize(two_bowls, n_trials=30)
        assert ours < 0.02
        assert ours < 0.3 * missed(random)


def test_it_finds_a_front_in_pieces() -> None:
    # ZDT3 (Zitzler, Deb and Thiele, 2000), and where its five pieces are.
    pieces = [(0.0, 0.084), (0.182, 0.258), (0.409, 0.454), (0.618, 0.653), (0.823, 0.853)]

    def in_pieces(trial: optuna.Trial) -> tuple[float, float]:
        x, *others = [trial.suggest_float(f"x{j}", 0, 1) for j in range(4)]
        g = 1 + 3 * sum(others)
        return x, g * (1 - math.sqrt(x / g) - x / g * math.sin(10 * math.pi * x))

    found = []
    for seed in range(5):
        front = run(in_pieces, 50, ["minimize"] * 2, seed).best_trials
        found.append(sum(any(a <= trial.params["x0"] <= b for trial in front) for a, b in pieces))
    assert np.median(found) >= 4


def test_directions_are_mixed() -> None:
    def mirrored(trial: optuna.Trial) -> tuple[float, float]:
        first, second = two_bowls(trial)
        return first, -second

    plain = run(two_bowls, 15, ["minimize", "minimize"])
    mixed = run(mirrored, 15, ["minimize", "maximize"])
    assert [t.params for t in plain.trials] == [t.params for t in mixed.trials]


@pytest.mark.parametrize("m", [3, 4, 6])
def test_more_objectives(m: int) -> None:
    corners = np.eye(6)[:m, :3] + 0.3 * np.eye(6)[:m, 3:]

    def objective(trial: optuna.Trial) -> list[float]:
        x = np.array([trial.suggest_float(f"x{j}", 0, 1) for j in range(3)])
        z = trial.suggest_float("z", 0, 1)
        return [float(((x - corner) ** 2).sum() + 4 * (z - 0.5) ** 2) for corner in corners]

    study = run(objective, 25, ["minimize"] * m)
    late = [abs(t.params["z"] - 0.5) for t in study.trials[10:]]
    assert np.median(late) < 0.05


def test_running_trials_are_avoided() -> None:
    study = run(two_bowls, 10, ["minimize"] * 2)
    space = study.trials[0].distributions
    asked = [study.ask(space).params for _ in range(5)]
    X = np.array([list(params.values()) for params in asked])
    gaps = np.abs(X[:, None] - X).max(axis=2)[~np.eye(5, dtype=bool)]
    assert gaps.min() > 1e-3


def test_trials_that_fail_teach() -> None:
    def diverges(trial: optuna.Trial) -> tuple[float, float]:
        first, second = two_bowls(trial)
        return (math.nan, second) if trial.params["x"] > 0.6 else (first, second)

    study = run(diverges, 25, ["minimize"] * 2)
    failed = [t for t in study.trials[5:] if t.state == TrialState.FAIL]
    assert len(failed) <= 6
    assert len(study.best_trials) > 8


@pytest.mark.parametrize("acquisition", ["gamma", "gaussian"])
@pytest.mark.parametrize(
    "values",
    [
        lambda i: (math.inf, -math.inf),
        lambda i: (7.0, 7.0),
        lambda i: (1e308 * (-1) ** i, 1e-308 * i),
        lambda i: ([math.inf, -math.inf, 1.0][i % 3], float(i)),
        lambda i: (1e300 if i == 6 else float(i), -float(i)),
        lambda i: (float("nan") if i % 2 else 1.0 * i, 1.0),
    ],
)
def test_any_values_are_survived(
    values: Callable[[int], tuple[float, float]], acquisition: Acquisition
) -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        trial.suggest_float("x", 0, 1)
        trial.suggest_categorical("c", ["a", "b"])
        return values(trial.number)

    study = optuna.create_study(
        directions=["minimize", "maximize"],
        sampler=GammaBOSampler(seed=0, acquisition=acquisition),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study.optimize(objective, n_trials=12)
    assert len(study.trials) == 12


SPACE: dict[str, BaseDistribution] = {
    "x": FloatDistribution(0, 1),
    "n": IntDistribution(1, 9, log=True),
    "c": CategoricalDistribution([True, False]),
}


@given(
    st.integers(2, 5).flatmap(
        lambda m: st.lists(
            st.tuples(
                st.floats(0, 1),
                st.integers(1, 9),
                st.booleans(),
                st.lists(st.floats(allow_nan=False), min_size=m, max_size=m),
            ),
            min_size=1,
            max_size=10,
        )
    )
)
@settings(deadline=None, max_examples=25)
def test_any_history_is_survived(rows: list[tuple[float, int, bool, list[float]]]) -> None:
    m = len(rows[0][3])
    study = optuna.create_study(
        directions=["minimize", "maximize", "minimize", "maximize", "minimize"][:m],
        sampler=GammaBOSampler(seed=0, n_startup_trials=0),
    )
    for x, n, c, values in rows:
        study.add_trial(
            optuna.create_trial(
                params={"x": x, "n": n, "c": c}, distributions=SPACE, values=values
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trial = study.ask(fixed_distributions=SPACE)
    for name, distribution in SPACE.items():
        assert distribution._contains(distribution.to_internal_repr(trial.params[name]))


def test_fits_are_kept_for_each_objective() -> None:
    study = run(two_bowls, 12, ["minimize"] * 2)
    kept = study.trials[-1].system_attrs["gamma:theta"]
    assert kept.startswith('[["",{')
    assert '],["1",{' in kept


def test_what_cannot_be_is_refused() -> None:
    study = optuna.create_study(
        directions=["minimize"] * 2, sampler=GammaBOSampler(acquisition="conjugate")
    )
    with pytest.raises(ValueError, match="Several objectives"):
        study.ask(SPACE)
    single = optuna.create_study(sampler=GammaBOSampler(seed=0))
    single.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=3)
    study = optuna.create_study(
        directions=["minimize"] * 2, sampler=GammaBOSampler(source_trials=single.trials)
    )
    with pytest.raises(ValueError, match="source_trials"):
        study.ask(SPACE)


@pytest.mark.parametrize("is_feasible", [True, False])
def test_values_on_the_front_of_feasible_trials_are_told_apart(is_feasible: bool) -> None:
    # All trials are on the front, and most are near the best of the first objective: without the
    # second, what is far from it would be drawn in.
    x = np.linspace(0, 1, 12)
    seen = Observations(
        X=x[:, None],
        values=np.stack([-0.01 * x - np.maximum(x - 0.6, 0.0) ** 2, x], axis=1),
        constraints={"c": np.zeros(12) if is_feasible else x - 0.6},
        numbers=np.arange(12),
        is_complete=np.full(12, True),
        pending=np.empty((0, 1)),
        running=np.empty(0, dtype=np.intp),
        noise=np.zeros(12),
    )
    cube = Cube((None,), np.zeros(1, dtype=np.bool_))
    models = Models.fit(Proposer("gamma", GammaPrior(), 4, True), cube, seen, None, {})
    y = models.objectives[0].y
    n_drawn_in = np.isclose(y, y.min()).sum()
    assert n_drawn_in == 1 if is_feasible else n_drawn_in > 2


def test_one_of_several_is_expected_to_be_smoother_than_one_alone() -> None:
    cube = Cube((None, None), np.zeros(2, dtype=np.bool_))
    points = np.array([[0.2, 0.3], [0.8, 0.4], [0.5, 0.9]])
    seen = Column(points, np.array([0.0, 1.0, 0.3]), np.arange(3), np.full(3, True), np.zeros(3))

    def length_scales(role: Role) -> Sequence[float]:
        _, fitted = surrogate(cube, seen, None, None, GammaPrior(), None, role)
        scales: list[float] = np.exp(fitted.theta[:2]).tolist()
        return scales

    assert max(length_scales("objective")) < min(length_scales("one of several"))
