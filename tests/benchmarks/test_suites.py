from __future__ import annotations

from itertools import islice
import math

import ioh
import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import RandomSampler
import pytest

from benchmarks.samplers.problem import DefineByRun
from benchmarks.samplers.problem import Problem
from benchmarks.samplers.problem import study_seed
from benchmarks.samplers.suites import conditional
from benchmarks.samplers.suites import select
from benchmarks.samplers.suites import SUITES
from benchmarks.samplers.suites.bbob import Bbob
from benchmarks.samplers.suites.branches import _draw
from benchmarks.samplers.suites.branches import Branches
from benchmarks.samplers.suites.coco import best_parameter
from benchmarks.samplers.suites.coco import MixInt
from benchmarks.samplers.suites.coco import Noisy
from benchmarks.samplers.suites.outliers import accidents
from benchmarks.samplers.suites.outliers import Outliers
from benchmarks.samplers.suites.outliers import problems as outlier_problems
from benchmarks.samplers.suites.tables import _values
from benchmarks.samplers.suites.tables import Table
from benchmarks.samplers.suites.tasks import RECIPES
from benchmarks.samplers.suites.tasks import Task


def random_params(problem: Problem, n: int) -> list[dict[str, object]]:
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    return [study.ask(problem.space).params for _ in range(n)]


def at(problem: Problem, x: list[float]) -> dict[str, float]:
    return dict(zip(problem.space, x, strict=True))


@pytest.mark.parametrize("dimension", [2, 5, 10, 20])
def test_bbob_optimum(dimension: int) -> None:
    for function in range(1, 25):
        for instance in (1, 2, 77):
            problem = Bbob(function, instance, dimension)
            evaluate = problem.start(0)
            best = problem.function_object.optimum.x
            assert evaluate(at(problem, list(best))).regret < 1e-8
            for params in random_params(problem, 20):
                outcome = evaluate(params)
                assert outcome.value >= problem.optimum
                assert outcome.regret == outcome.value - problem.optimum


def test_mixint_optimum() -> None:
    for dimension in (5, 10):
        for function in range(1, 25):
            problem = MixInt(function, 2, dimension)
            best = at(problem, best_parameter(problem._open()))
            assert all(kind._contains(best[name]) for name, kind in problem.space.items())
            evaluate = problem.start(0)
            assert evaluate(best).regret == 0
            for params in random_params(problem, 20):
                assert evaluate(params).value >= problem.optimum


def test_noisy_optimum() -> None:
    for function in range(101, 131):
        problem = Noisy(function, 3, 2)
        evaluate = problem.start(5)
        assert evaluate(at(problem, best_parameter(problem._quiet()))).regret == 0
        assert all(evaluate(params).regret > 0 for params in random_params(problem, 5))


@pytest.mark.parametrize(
    ("first", "twin"), [(101, 1), (104, 8), (107, 1), (110, 8), (113, 7), (119, 14), (128, 21)]
)
def test_noisy_regret_is_that_without_noise(first: int, twin: int) -> None:
    # The other functions of the suite have no twin of the same conditioning.
    for function in (first, first + 1, first + 2):
        problem = Noisy(function, 4, 5)
        clean = ioh.get_problem(twin, 4, 5, ioh.ProblemClass.BBOB)
        evaluate = problem.start(1)
        for params in random_params(problem, 10):
            regret = clean(list(params.values())) - clean.optimum.y
            assert evaluate(params).regret == pytest.approx(regret, rel=1e-9, abs=1e-9)


def test_noise_depends_on_the_seed_alone() -> None:
    problem = Noisy(107, 1, 2)
    params = random_params(problem, 6)

    def values(seed: int) -> list[float]:
        evaluate = problem.start(seed)
        return [evaluate(p).value for p in params]

    first, other = values(1), values(2)
    assert first == values(1)
    assert len(set(first) | set(other)) == 12


@pytest.mark.parametrize(
    "table", select("hpobench", (), (), ["*-vehicle", "*-naval*", "*-cifar10"])
)
def test_table_optimum(table: Table) -> None:
    values = _values(table.family, table.data)
    sizes = [
        len(kind.choices) if isinstance(kind, CategoricalDistribution) else kind.high + 1
        for kind in table.space.values()
    ]
    assert math.prod(sizes) == len(values)
    best = min(values, key=values.__getitem__)
    params = {
        name: kind.choices[int(digit)] if isinstance(kind, CategoricalDistribution) else int(digit)
        for (name, kind), digit in zip(table.space.items(), best, strict=True)
    }
    evaluate = table.start(0)
    assert evaluate(params).regret == 0
    assert min(evaluate(p).regret for p in random_params(table, 200)) >= 0


def test_there_are_fifteen_tables() -> None:
    assert len(SUITES["hpobench"]((), ())) == 15


@pytest.mark.parametrize("name", RECIPES)
def test_task_repeats_itself(name: str) -> None:
    task = Task(name)
    params = random_params(task, 2)
    first, second = task.start(0), task.start(1)
    outcomes = [first(p) for p in params]
    assert outcomes == [second(p) for p in params]
    assert all(math.isfinite(outcome.value) for outcome in outcomes)
    assert len(task.space) >= 6


def random_suggestions(problem: DefineByRun, n: int) -> list[dict[str, object]]:
    study = optuna.create_study(sampler=RandomSampler(seed=1))
    return [problem.suggest(study.ask()) for _ in range(n)]


@pytest.mark.parametrize(
    "task", [*conditional.problems((), ()), *conditional.other_problems((), ())]
)
def test_conditional_task_repeats_itself(task: conditional.ConditionalTask) -> None:
    assert isinstance(task, DefineByRun)
    params = random_suggestions(task, 12)
    assert len({frozenset(p) for p in params}) > 1
    assert all(p.keys() <= task.space.keys() for p in params)
    first, second = task.start(0), task.start(1)
    assert [first(p) for p in params[:2]] == [second(p) for p in params[:2]]


def test_branches_have_a_known_optimum() -> None:
    reached = []
    for instance in range(30):
        problem = Branches(instance)
        evaluate = problem.start(0)
        outcomes = [evaluate(p) for p in random_suggestions(problem, 40)]
        assert all(outcome.value == outcome.regret >= 0 for outcome in outcomes)
        levels, shared, own, depths = _draw(instance)
        k = levels.index(0.0)
        best: dict[str, object] = {"branch": f"b{k}"}
        if depths[k]:
            best[f"b{k}_depth"] = depths[k]
        n = depths[k] or len(own[k])
        terms = [(f"s{j}", t) for j, t in enumerate(shared)]
        terms += [(f"b{k}_{j}", t) for j, t in enumerate(own[k][:n])]
        best |= {name: term.best_value for name, term in terms}
        reached.append(evaluate(best).regret)
    assert max(reached) < 1e-12


def test_outliers() -> None:
    kinds = {p.kind: p for p in outlier_problems((2,), (1,)) if p.clean.function == 8}
    assert set(kinds) == {"clean", "heavy", "diverged", "inf"}
    params = random_params(kinds["clean"], 400)
    runs = {}
    for kind, problem in kinds.items():
        evaluate = problem.start(3)
        runs[kind] = [evaluate(p) for p in params]
    clean = runs["clean"]
    spoilt = [math.isinf(outcome.value) for outcome in runs["inf"]]
    assert 20 < sum(spoilt) < 60
    assert spoilt == [is_spoilt for is_spoilt, _ in islice(accidents(3), 400)]
    median = np.median([outcome.regret for outcome in clean])
    for kind in ("heavy", "diverged", "inf"):
        assert [o.regret for o in runs[kind]] == [o.regret for o in clean]
        differs = [a.value != b.value for a, b in zip(runs[kind], clean, strict=True)]
        assert differs == spoilt
    diverged = [
        o.value for o, is_spoilt in zip(runs["diverged"], spoilt, strict=True) if is_spoilt
    ]
    assert len(set(diverged)) == 1
    assert diverged[0] == pytest.approx(1e6 * median, rel=0.5)
    assert kinds["clean"].start(3)(params[0]) == Bbob(8, 1, 2).start(3)(params[0])


def test_seeds_of_studies() -> None:
    problems = [p for suite in SUITES for p in select(suite, (2, 5), (1, 2), ["*"])]
    assert len({(p.suite, p.name) for p in problems}) == len(problems)
    stems = {(p.suite, p.name.partition("+")[0]) for p in problems}
    seeds = {study_seed(p.suite, p.name, seed) for p in problems for seed in range(3)}
    assert len(seeds) == 3 * len(stems)
    three = Outliers(Bbob(8, 1, 2), "clean"), Outliers(Bbob(8, 1, 2), "inf"), Bbob(8, 1, 2)
    clean, spoilt, plain = (study_seed(p.suite, p.name, 0) for p in three)
    assert clean == spoilt != plain
