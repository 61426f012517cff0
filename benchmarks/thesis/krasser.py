"""Figures 12 and 13: Gaussian and Gamma Bayesian optimisation of one function of one variable.

f(x) = −sin(3x) − x² + 0.7x on [−1, 2], observed with noise of standard deviation 0.2, from two
starting points. (Function and settings are those of a tutorial by M. Krasser.)
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from itertools import islice
import math
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.record import Preset
from benchmarks.record import Record
from benchmarks.thesis import pictures
from benchmarks.thesis.pictures import LINE
from benchmarks.thesis.published import ARRIVALS
from optuna_gamma.bo.acquisition import conjugate_log_ei
from optuna_gamma.bo.acquisition import log_ei
from optuna_gamma.bo.acquisition import LogEI
from optuna_gamma.bo.fit import default_model
from optuna_gamma.bo.fit import fit
from optuna_gamma.bo.fit import Model
from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.maximize import maximize
from optuna_gamma.bo.process import GammaPrior
from optuna_gamma.bo.process import Posterior
from optuna_gamma.bo.transform import standardize


SEEDS = {Preset.smoke: 10, Preset.cpu: 200, Preset.paper: 1000}
LOW, HIGH = -1.0, 2.0
STARTS = (-0.9, 1.1)
NOISE = 0.2
XI = 0.01
X_STAR = -0.3594
BAND = 0.05 * (HIGH - LOW)
MAX_PROPOSALS = 20

Method = Callable[[Array, Array], LogEI]
"""From observed points in [0, 1] (n, 1) and values (n,) to what the next point maximises."""


def krasser(x: float) -> float:
    """Evaluate the function without noise."""
    return -math.sin(3.0 * x) - x * x + 0.7 * x


def _thesis_process(criterion: str, model: Model) -> Method:
    """Build a method on raw values, with a Gaussian process of known noise, as in the thesis."""

    def build(X: Array, y: Array) -> LogEI:
        process = fit(X, y, LINE.is_categorical, model)
        best = float(process.posterior(X).location.max())

        def evaluate(posterior: Posterior) -> tuple[Array, Array, Array]:
            if criterion == "gaussian":
                return log_ei(posterior, best, XI)
            return conjugate_log_ei(posterior, y, 1.0, 1.0, best, XI)

        return LogEI(process, evaluate)

    return build


def _gamma(X: Array, y: Array) -> LogEI:
    """Do what GammaBOSampler does: learned noise and mean, standardised values."""
    process = fit(X, standardize(y), LINE.is_categorical, default_model(LINE, GammaPrior()))
    best = float(process.posterior(X).location.max())
    return LogEI(process, lambda posterior: log_ei(posterior, best, XI))


ZERO_MEAN = Model(length_scale=None, noise=NOISE**2, precision=None, mean="zero")
FREE_MEAN = Model(length_scale=None, noise=NOISE**2, precision=None, mean="constant")

METHODS: dict[str, Method | None] = {
    "gaussian": _thesis_process("gaussian", ZERO_MEAN),
    "conjugate": _thesis_process("conjugate", ZERO_MEAN),
    "gaussian, mean learned": _thesis_process("gaussian", FREE_MEAN),
    "conjugate, mean learned": _thesis_process("conjugate", FREE_MEAN),
    "gamma": _gamma,
    "random": None,
}


def search(method: Method | None, seed: int) -> Iterator[tuple[Array, Array]]:
    """Yield points and observed values after each proposal; :obj:`None` proposes at random."""
    rng = np.random.default_rng(seed)
    x = list(STARTS)
    y = [krasser(value) + NOISE * rng.standard_normal() for value in x]
    for _ in range(MAX_PROPOSALS):
        if method is None:
            proposed = float(rng.random())
        else:
            X = (np.array(x)[:, None] - LOW) / (HIGH - LOW)
            acquisition = method(X, np.array(y))
            best = maximize(acquisition, LINE, X, np.empty((0, 1)), rng)
            assert best is not None
            proposed = float(best[0])
        x.append(LOW + (HIGH - LOW) * proposed)
        y.append(krasser(x[-1]) + NOISE * rng.standard_normal())
        yield np.array(x), np.array(y)


def arrival(method: Method | None, seed: int) -> int | None:
    """Count evaluations, initial points included, until one lies within 5 % of the maximum."""
    for x, _ in search(method, seed):
        if abs(x[-1] - X_STAR) <= BAND:
            return len(x)
    return None


def figures_12_13(preset: Preset, out: Path) -> None:
    """Count evaluations until the maximum over many seeds, and the runs that never get there."""
    seeds = range(SEEDS[preset])
    counts = {
        name: [arrival(method, seed) or math.inf for seed in seeds]
        for name, method in METHODS.items()
    }
    rows: list[dict[str, Any]] = [
        {
            "sampler": name,
            "thesis": ARRIVALS.get(name, ""),
            "median": float(np.median(values)),
            "90 %": float(np.quantile(values, 0.9, method="higher")),
            "never": float(np.mean(np.isinf(values))),
        }
        for name, values in counts.items()
    ]
    record = Record(
        name=f"thesis-figures-{preset.value}",
        title="Figures 12 and 13: evaluations until the maximum is met within 5 %",
        rows=rows,
        seeds=seeds,
        notes=(
            f"Two initial points counted; 'never' is the share not there after {MAX_PROPOSALS} "
            "proposals. gaussian, conjugate: known noise, values not standardised; gamma: as "
            "GammaBOSampler, noise learned."
        ),
    )
    record.save(out, _picture(counts))
    path = out / f"thesis-figures-12-13-{preset.value}.png"
    _processes().savefig(path, dpi=110)
    print(f"Written: {path}")


def _processes() -> Figure:
    """Draw process and acquisition of three methods on the way, with the first seed."""
    histories = {}
    for name in ("gaussian", "conjugate", "gamma"):
        method = METHODS[name]
        assert method is not None
        x, y = next(islice(search(method, 0), 6, None))
        histories[name] = (method, x, y)
    return pictures.processes(histories, LOW, HIGH, "x", "f, as the process has it")


def _picture(counts: dict[str, list[float]]) -> Any:
    figure, axes = plt.subplots(figsize=(6, 4))
    evaluations = np.arange(len(STARTS) + MAX_PROPOSALS + 1)
    for name, values in counts.items():
        share = [float(np.mean(np.array(values) <= k)) for k in evaluations]
        axes.step(evaluations, share, where="post", label=name)
    axes.set(xlabel="evaluations", ylabel="share of runs that met the maximum", ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure
