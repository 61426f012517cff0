"""Proposals are a function of the seed and of what the storage holds."""

from __future__ import annotations

from collections.abc import Callable
import json
import os
from pathlib import Path
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import optuna
import pytest

from optuna_gamma import GammaBOSampler
from optuna_gamma.bo.acquisition import Acquisition


Objective = Callable[[optuna.Trial], float]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def history(study: optuna.Study) -> list[tuple[dict[str, Any], float | None]]:
    return [(t.params, t.value) for t in study.trials]


@pytest.mark.parametrize("acquisition", ["gamma", "conjugate", "gaussian"])
def test_a_seed_determines_the_study(acquisition: Acquisition, mixed: Objective) -> None:
    studies = []
    for seed in (1, 1, 2):
        sampler = GammaBOSampler(seed=seed, acquisition=acquisition)
        study = optuna.create_study(study_name="s", sampler=sampler)
        study.optimize(mixed, n_trials=12)
        studies.append(history(study))
    assert studies[0] == studies[1]
    assert studies[0] != studies[2]


def test_studies_without_a_name_are_equal_too(mixed: Objective) -> None:
    studies = [optuna.create_study(sampler=GammaBOSampler(seed=1)) for _ in range(2)]
    for study in studies:
        study.optimize(mixed, n_trials=8)
    assert history(studies[0]) == history(studies[1])


SCRIPT = """
import json, sys
import optuna
from optuna_gamma import GammaBOSampler
optuna.logging.set_verbosity(optuna.logging.ERROR)
sys.path.insert(0, {here!r})
from conftest import mixed_objective as mixed
study = optuna.create_study(study_name="s", sampler=GammaBOSampler(seed=1))
study.optimize(mixed, n_trials=10)
print(json.dumps([t.params for t in study.trials]))
"""


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_another_process_proposes_the_same(hash_seed: str, mixed: Objective) -> None:
    output = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(here=str(Path(__file__).parent))],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    study = optuna.create_study(study_name="s", sampler=GammaBOSampler(seed=1))
    study.optimize(mixed, n_trials=10)
    assert json.loads(output) == [t.params for t in study.trials]


def test_proposals_depend_on_the_storage_alone(mixed: Objective) -> None:
    undisturbed = optuna.create_study(study_name="s", sampler=GammaBOSampler(seed=1))
    undisturbed.optimize(mixed, n_trials=14)

    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(study_name="s", storage=storage)
    for _ in range(14):  # a new sampler for each trial: nothing can be kept in memory
        study = optuna.load_study(study_name="s", storage=storage, sampler=GammaBOSampler(seed=1))
        study.optimize(mixed, n_trials=1)
    assert history(study) == history(undisturbed)


def test_one_sampler_serves_many_studies(mixed: Objective) -> None:
    shared = GammaBOSampler(seed=1)
    for name in ("a", "b"):
        alone = optuna.create_study(study_name=name, sampler=GammaBOSampler(seed=1))
        together = optuna.create_study(study_name=name, sampler=shared)
        for study in (alone, together):
            study.optimize(mixed, n_trials=8)
        assert history(alone) == history(together)


def test_without_a_seed_one_is_shared_through_the_study(mixed: Objective) -> None:
    storage = optuna.storages.InMemoryStorage()
    studies = [
        optuna.create_study(
            study_name="s", storage=storage, sampler=GammaBOSampler(), load_if_exists=True
        )
        for _ in range(2)
    ]
    studies[0].optimize(mixed, n_trials=8)
    frozen = storage.get_trial(studies[0].ask()._trial_id)
    proposals = []
    for study in studies:
        space = study.sampler.infer_relative_search_space(study, frozen)
        proposals.append(study.sampler.sample_relative(study, frozen, space))
    assert proposals[0] == proposals[1]
    other = optuna.create_study(study_name="s", sampler=GammaBOSampler())
    other.optimize(mixed, n_trials=2)
    assert other.trials[1].params != studies[0].trials[1].params


def test_reseeding_and_pickling(mixed: Objective) -> None:
    sampler = GammaBOSampler(seed=1)
    copy = pickle.loads(pickle.dumps(sampler))
    reseeded = GammaBOSampler(seed=1)
    reseeded.reseed_rng()
    first = []
    for s in (sampler, copy, reseeded):
        study = optuna.create_study(study_name="s", sampler=s)
        study.optimize(mixed, n_trials=6)
        first.append(history(study))
    assert first[0] == first[1]
    assert first[0] != first[2]


def test_global_random_state_is_left_alone(mixed: Objective) -> None:
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]  # noqa: NPY002
    study = optuna.create_study(sampler=GammaBOSampler(seed=0))
    study.optimize(mixed, n_trials=8)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index, union-attr]  # noqa: NPY002
