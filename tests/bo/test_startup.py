from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.stats import qmc

from optuna_gamma.bo.cube import Cube
from optuna_gamma.bo.startup import startup_point


def test_it_is_one_sequence_and_leaves_the_warnings_of_other_threads_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cube = Cube(grids=(None, None), is_categorical=np.zeros(2, dtype=bool))
    with monkeypatch.context() as patch:
        patch.setattr(warnings, "catch_warnings", None)
        points = [
            startup_point(cube, i, np.empty((0, 2)), *map(np.random.default_rng, (0, i)))
            for i in range(16)
        ]
    expected = qmc.Sobol(2, rng=np.random.default_rng(0)).random(16)
    np.testing.assert_array_equal(points, expected)
