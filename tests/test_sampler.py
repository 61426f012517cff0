from __future__ import annotations

from collections.abc import Callable
import json
import math
from typing import Any
import warnings

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import RandomSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase
from optuna.testing.pytest_samplers import MultiObjectiveSamplerTestCase
from optuna.testing.pytest_samplers import RelativeSamplerTestCase
from optuna.testing.pytest_samplers import SingleOnlySamplerTestCase
from optuna.trial import TrialState
import pytest

from optuna_gamma import GammaBOSampler
from optuna_gamma import GammaPrior
from optuna_gamma.bo.acquisition import Acquisition


Objective = Callable[[optuna.Trial], float]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


class _Protocol(BasicSamplerTestCase, RelativeSamplerTestCase):
    acquisition: Acquisition

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: GammaBOSampler(seed=0, acquisition=self.acquisition, n_startup_trials=0)


class TestGamma(_Protocol, MultiObjectiveSamplerTestCase):
    acquisition = "gamma"


class TestConjugate(_Protocol, SingleOnlySamplerTestCase):
    acquisition = "conjugate"


class TestGaussian(_Protocol, MultiObjectiveSamplerTestCase):
    acquisition = "gaussian"


def test_start_up_is_a_sobol_sequence() -> None:
    study = optuna.create_study(sampler=GammaBOSampler(seed=0, n_startup_trials=64))
    study.optimize(lambda t: t.suggest_float("x", 0, 1) + t.suggest_float("y", 0, 1), n_trials=65)
    # After the first, which is the middle, each cell of a 4 x 4 grid holds
    # four points: random ones would not.
    cells = [(int(4 * t.params["x"]), int(4 * t.params["y"])) for t in study.trials[1:64]]
    counts = [cells.count((i, j)) for i in range(4) for j in range(4)]
    assert max(counts) == 4
    assert min(counts) >= 3


def test_the_first_trial_is_the_middle() -> None:
    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("x", -1, 3)
        trial.suggest_float("rate", 1e-5, 1e-1, log=True)
        trial.suggest_int("units", 1, 100, log=True)
        trial.suggest_int("layers", 2, 6)
        trial.suggest_categorical("name", list("abcdefgh"))
        return 0.0

    names = set()
    for seed in range(8):
        study = optuna.create_study(sampler=GammaBOSampler(seed=seed))
        study.optimize(objective, n_trials=1)
        first = dict(study.trials[0].params)
        names.add(first.pop("name"))
        assert first == pytest.approx({"x": 1.0, "rate": 1e-3, "units": 10, "layers": 4})
    assert len(names) > 1


def test_running_trials_are_avoided() -> None:
    study = optuna.create_study(study_name="s", sampler=GammaBOSampler(seed=3))
    space = {"x": FloatDistribution(0, 1)}
    for x in np.linspace(0, 1, 6):
        study.add_trial(
            optuna.create_trial(
                params={"x": float(x)}, distributions=space, value=float((x - 0.33) ** 2)
            )
        )
    asked = [study.ask(fixed_distributions=space).params["x"] for _ in range(6)]
    gaps = np.abs(np.subtract.outer(asked, asked))[~np.eye(6, dtype=bool)]
    assert gaps.min() > 1e-4


def test_points_of_a_finite_space_are_not_repeated() -> None:
    def objective(trial: optuna.Trial) -> float:
        return float(trial.suggest_int("a", 0, 3) + trial.suggest_categorical("b", [0, 5, 9, 2]))

    study = optuna.create_study(sampler=GammaBOSampler(seed=0, n_startup_trials=1))
    study.optimize(objective, n_trials=20)
    assert len({tuple(t.params.values()) for t in study.trials[:16]}) == 16
    allowed = optuna.create_study(
        sampler=GammaBOSampler(seed=0, n_startup_trials=1, deterministic_objective=False)
    )
    allowed.optimize(objective, n_trials=16)
    assert len({tuple(t.params.values()) for t in allowed.trials}) <= 16


@pytest.mark.parametrize(
    "value",
    [
        lambda i: math.inf,
        lambda i: -math.inf,
        lambda i: [math.inf, -math.inf, 1.0][i % 3],
        lambda i: 7.0,
        lambda i: 1e308 * (-1) ** i,
        lambda i: 1e-308 * i,
        lambda i: float("nan") if i % 2 else 1.0 * i,
    ],
)
@pytest.mark.parametrize("acquisition", ["gamma", "conjugate", "gaussian"])
def test_any_values_are_survived(acquisition: Acquisition, value: Callable[[int], float]) -> None:
    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("x", 0, 1)
        trial.suggest_categorical("c", ["a", "b"])
        return value(trial.number)

    study = optuna.create_study(sampler=GammaBOSampler(seed=0, acquisition=acquisition))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study.optimize(objective, n_trials=14)
    assert len(study.trials) == 14


names = st.sampled_from(["a", "b", "c"])


finite = st.floats(allow_nan=False)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 9), st.booleans(), finite), max_size=14),
    st.sampled_from(["minimize", "maximize"]),
)
@settings(deadline=None, max_examples=60)
def test_any_history_is_survived(
    rows: list[tuple[float, int, bool, float]], direction: str
) -> None:
    study = optuna.create_study(
        direction=direction, sampler=GammaBOSampler(seed=0, n_startup_trials=0)
    )
    space: dict[str, optuna.distributions.BaseDistribution] = {
        "x": FloatDistribution(0, 1),
        "n": optuna.distributions.IntDistribution(1, 9, log=True),
        "c": optuna.distributions.CategoricalDistribution([True, False]),
    }
    for x, n, c, value in rows:
        params = {"x": x, "n": n, "c": c}
        study.add_trial(optuna.create_trial(params=params, distributions=space, value=value))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trial = study.ask(fixed_distributions=space)
    for name, distribution in space.items():
        assert distribution._contains(distribution.to_internal_repr(trial.params[name]))


def test_it_finds_the_optimum_of_a_mixed_space(mixed: Objective) -> None:
    ours, random = [], []
    for seed in range(3):
        for sampler, best in ((GammaBOSampler(seed=seed), ours), (RandomSampler(seed), random)):
            study = optuna.create_study(sampler=sampler)
            study.optimize(mixed, n_trials=40)
            best.append(study.best_value)
    assert max(ours) < 0.1
    assert max(ours) < min(random)


@pytest.mark.parametrize("wrong", [1e9, math.inf, -30.0])
def test_accidents_do_not_spoil_the_search(wrong: float) -> None:
    def sphere(trial: optuna.Trial) -> float:
        x = [trial.suggest_float(f"x{j}", -5, 5) for j in range(2)]
        return wrong if trial.number % 10 == 7 else sum((v - 1.3) ** 2 for v in x)

    for seed in range(3):
        study = optuna.create_study(sampler=GammaBOSampler(seed=seed))
        study.optimize(sphere, n_trials=25)
        assert min(t.value for t in study.trials if t.value != wrong) < 0.05


def test_many_trials_are_no_burden() -> None:
    study = optuna.create_study(sampler=GammaBOSampler(seed=0))
    space = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
    for x, y in np.random.default_rng(0).random((1100, 2)).tolist():
        params = {"x": x, "y": y}
        value = (x - 0.3) ** 2 + (y - 0.6) ** 2
        study.add_trial(optuna.create_trial(params=params, distributions=space, value=value))
    for _ in range(3):
        trial = study.ask(space)
        x, y = trial.params.values()
        study.tell(trial, (x - 0.3) ** 2 + (y - 0.6) ** 2)
    assert study.best_value < 1e-5
    fitted = [json.loads(t.system_attrs["gamma:theta"])["n"] for t in study.trials[-3:]]
    assert fitted == [1100] * 3


@pytest.mark.parametrize("pruned", [False, True])
def test_failed_and_pruned_trials_teach(pruned: bool) -> None:
    def diverges(trial: optuna.Trial) -> float:
        lr = trial.suggest_float("lr", 1e-3, 0.5, log=True)
        if lr > 0.2 and pruned:
            raise optuna.TrialPruned
        return math.nan if lr > 0.2 else 90 + 3 * math.log(lr)  # best just below the cliff

    for seed in range(3):
        study = optuna.create_study(direction="maximize", sampler=GammaBOSampler(seed=seed))
        study.optimize(diverges, n_trials=15)
        failed = [t for t in study.trials if t.state != TrialState.COMPLETE]
        assert len(failed) <= 7
        assert study.best_params["lr"] > 0.15


@pytest.mark.parametrize("name", ["r4", "r38", "a", "b"])
def test_a_plateau_does_not_hold_the_search(name: str) -> None:
    def objective(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        if x < 0.35:
            return 0.138
        return 0.108 + 0.005 * round(y) if y > 0.5 else 0.9 - (x - 0.8) ** 2 - (y - 0.3) ** 2

    study = optuna.create_study(
        study_name=name, direction="maximize", sampler=GammaBOSampler(seed=0)
    )
    for x, y in [(0.594, 0.829), (0.127, 0.526), (0.307, 0.094), (0.816, 0.759), (0.0, 0.169)]:
        study.enqueue_trial({"x": x, "y": y})
    study.optimize(objective, n_trials=20)
    assert study.best_value > 0.89


def test_direction() -> None:
    for direction, sign in (("minimize", 1), ("maximize", -1)):
        study = optuna.create_study(direction=direction, sampler=GammaBOSampler(seed=0))
        study.optimize(lambda t, s=sign: s * (t.suggest_float("x", 0, 1) - 0.3) ** 2, n_trials=12)
        assert study.best_params["x"] == pytest.approx(0.3, abs=0.02)


def test_independent_sampler_is_used() -> None:
    class Half(RandomSampler):
        def sample_independent(self, *args: Any, **kwargs: Any) -> Any:
            return 0.5

    study = optuna.create_study(sampler=GammaBOSampler(independent_sampler=Half()))
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=1)
    assert study.trials[0].params["x"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"acquisition": "ucb"}, "'ucb'"),
        ({"n_startup_trials": -1}, "-1"),
        ({"seed": -3}, "-3"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        GammaBOSampler(**arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"seed": 3.0}, "`seed` must be an int, but got 3.0"),
        ({"n_startup_trials": 2.5}, "`n_startup_trials` must be an int, but got 2.5"),
        ({"prior": 2.0}, "`prior` must be a GammaPrior or None, but got 2.0"),
        ({"independent_sampler": "random"}, "`independent_sampler` must be a BaseSampler"),
        ({"deterministic_objective": "no"}, "`deterministic_objective` must be a bool or None"),
    ],
)
def test_arguments_of_other_types_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        GammaBOSampler(**arguments)


def test_a_seed_of_numpys_is_the_same_seed(mixed: Objective) -> None:
    first, second = (
        optuna.create_study(sampler=GammaBOSampler(seed=seed))
        for seed in (3, np.int64(3))  # type: ignore[list-item]
    )
    for study in (first, second):
        study.optimize(mixed, n_trials=6)
    assert [t.params for t in first.trials] == [t.params for t in second.trials]


def test_start_up_is_one_sequence_for_all_threads() -> None:
    space = {name: FloatDistribution(0, 1) for name in "xy"}
    plain, reseeded = (optuna.create_study(sampler=GammaBOSampler(seed=0)) for _ in range(2))
    for study in (plain, reseeded):
        for _ in range(4):
            if study is reseeded:
                study.sampler.reseed_rng()
            study.tell(study.ask(space), 0.0)
    # The first trial's categories and parameters are drawn; the others lie on the sequence.
    assert [t.params for t in plain.trials[1:]] == [t.params for t in reseeded.trials[1:]]


def test_a_trial_that_was_interrupted_hardly_matters() -> None:
    def gap(interrupted: int, seed: int) -> float:
        def objective(trial: optuna.Trial) -> float:
            x = [trial.suggest_float(f"x{i}", 0, 1) for i in range(3)]
            if trial.number == interrupted:
                raise OSError
            return sum((value - 0.3 - 0.1 * i) ** 2 for i, value in enumerate(x))

        study = optuna.create_study(sampler=GammaBOSampler(seed=seed))
        study.optimize(objective, n_trials=26, catch=OSError)
        return math.log10(study.best_value)

    gaps = np.array([[gap(k, seed) for k in (99, 12)] for seed in range(4)]).mean(axis=0)
    assert gaps[1] < gaps[0] + 1.2  # 2 and more were lost while it counted as bad in any case


def test_a_range_of_its_own_is_kept_where_there_is_no_model() -> None:
    for seed in range(5):
        sampler = GammaBOSampler(seed=seed, warn_independent_sampling=False)
        study = optuna.create_study(sampler=sampler)
        for _ in range(4):
            study.add_trial(optuna.create_trial(value=1.0))  # completed, without parameters
        study.optimize(lambda t: t.suggest_int("n", 1, 100 if t.number == 4 else 3), n_trials=3)
        assert all(trial.params["n"] <= 3 for trial in study.trials[5:])


def test_a_single_value_is_returned_when_it_is_asked_for_by_hand() -> None:
    study = optuna.create_study(sampler=GammaBOSampler(seed=0))
    study.optimize(lambda t: t.suggest_int("n", 2, 2) + t.suggest_float("x", 0, 1), n_trials=6)
    trial = study._storage.get_trial(study.ask()._trial_id)
    assert study.sampler.sample_independent(study, trial, "n", IntDistribution(2, 2)) == 2


def test_a_trial_that_there_is_not_cannot_be_looked_at(mixed: Objective) -> None:
    sampler = GammaBOSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(mixed, n_trials=6)
    for number in (-1, 7):
        with pytest.raises(ValueError, match=f"one of the study's 6 trials, but got {number}"):
            sampler.view(study, number)


def test_prior_is_used(mixed: Objective) -> None:
    params = []
    for prior in (GammaPrior(shape=1.5), GammaPrior(shape=50)):
        study = optuna.create_study(study_name="s", sampler=GammaBOSampler(seed=0, prior=prior))
        study.optimize(mixed, n_trials=10)
        params.append(study.trials[-1].params)
    assert params[0] != params[1]
