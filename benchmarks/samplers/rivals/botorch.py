"""BoTorch's log expected improvement (Ament et al. 2023) at the library's defaults.

A SingleTaskGP, whose priors on length-scales grow with the dimension (Hvarfner et al. 2024), on
standardised values, its noise learned; with categories a MixedSingleTaskGP. Spaces with integers
or categories are searched by ``optimize_acqf_mixed_alternating``, as BoTorch advises. The first
trials are five points of a scrambled Sobol sequence, the number that Ax starts with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botorch.acquisition.analytic import LogExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models.gp_regression import SingleTaskGP
from botorch.models.gp_regression_mixed import MixedSingleTaskGP
from botorch.optim.optimize import optimize_acqf
from botorch.optim.optimize_mixed import optimize_acqf_mixed_alternating
from gpytorch.mlls import ExactMarginalLogLikelihood
from optuna.distributions import CategoricalDistribution
import torch
from torch.quasirandom import SobolEngine

from benchmarks.samplers.rivals.ask_tell import AskTellSampler
from benchmarks.samplers.rivals.axis import cardinality
from benchmarks.samplers.rivals.axis import position
from benchmarks.samplers.rivals.axis import value_at
from benchmarks.samplers.setting import Setting


N_STARTUP = 5
N_RESTARTS = 10
N_RAW = 512


def botorch_sampler(setting: Setting) -> AskTellSampler:
    """Build a sampler."""
    return AskTellSampler(setting.space, _LogEI(setting))


class _LogEI:
    """Minimise by log expected improvement.

    Points are rows of a tensor (n, d): positions in [0, 1] of ordered parameters, indices of
    categories.
    """

    def __init__(self, setting: Setting) -> None:
        torch.manual_seed(setting.seed)  # of the process, which is the run's own
        self._space = setting.space
        self._start = SobolEngine(len(self._space), scramble=True, seed=setting.seed)
        self._X = torch.empty(0, len(self._space), dtype=torch.double)
        self._y = torch.empty(0, 1, dtype=torch.double)
        self._discrete: dict[int, list[float]] = {}
        self._categories: dict[int, list[float]] = {}
        for j, kind in enumerate(self._space.values()):
            if isinstance(kind, CategoricalDistribution):
                self._categories[j] = [float(k) for k in range(len(kind.choices))]
            elif (n := cardinality(kind)) is not None:
                values = (kind.low + k * (kind.step or 0) for k in range(n))  # type: ignore[attr-defined]
                self._discrete[j] = [position(kind, value) for value in values]

    def ask(self) -> dict[str, Any]:
        """Propose parameters."""
        if len(self._y) < N_STARTUP:
            us = self._start.draw(1, dtype=torch.double)[0].tolist()
            return {
                name: value_at(kind, u)
                for (name, kind), u in zip(self._space.items(), us, strict=True)
            }
        return self._decode(self._maximise(self._fit()))

    def tell(self, params: Mapping[str, Any], value: float) -> None:
        """Learn a value."""
        row = [
            float(kind.choices.index(params[name]))
            if isinstance(kind, CategoricalDistribution)
            else position(kind, params[name])
            for name, kind in self._space.items()
        ]
        self._X = torch.cat([self._X, torch.tensor([row], dtype=torch.double)])
        self._y = torch.cat([self._y, torch.tensor([[-value]], dtype=torch.double)])

    def _fit(self) -> Any:
        if self._categories:
            model: Any = MixedSingleTaskGP(self._X, self._y, cat_dims=list(self._categories))
        else:
            model = SingleTaskGP(self._X, self._y)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        return model

    def _maximise(self, model: Any) -> torch.Tensor:
        acquisition = LogExpectedImprovement(model, best_f=self._y.max())
        values = self._discrete | self._categories
        ends = [values.get(j, [0.0, 1.0]) for j in range(len(self._space))]
        bounds = torch.tensor([[v[0] for v in ends], [v[-1] for v in ends]], dtype=torch.double)
        if values:
            candidates, _ = optimize_acqf_mixed_alternating(
                acquisition,
                bounds,
                discrete_dims=self._discrete,
                cat_dims=self._categories,
                raw_samples=N_RAW,
                num_restarts=N_RESTARTS,
            )
        else:
            candidates, _ = optimize_acqf(
                acquisition, bounds, q=1, num_restarts=N_RESTARTS, raw_samples=N_RAW
            )
        return candidates[0]

    def _decode(self, x: torch.Tensor) -> dict[str, Any]:
        return {
            name: kind.choices[round(u)]
            if isinstance(kind, CategoricalDistribution)
            else value_at(kind, u)
            for (name, kind), u in zip(self._space.items(), x.tolist(), strict=True)
        }
