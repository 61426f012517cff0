r"""What a process says of each of its observations after seeing the others.

Leaving observation i out changes residual and scale in closed form. With
:math:`q_i = (K^{-1})_{ii} - h_i^2 / H'h` and :math:`r_i = \alpha_i / q_i`, the value lies
:math:`r_i` off its prediction, which is Student-t with :math:`2 a_n - 1` degrees of freedom and

.. math::
    s_i^2 = \frac{b_n - \tfrac12 r_i^2 q_i}{(a_n - \tfrac12) \, q_i}.

Names as in :mod:`optuna_gamma.bo.process`.

Reference:
    S. Sundararajan and S. S. Keerthi, "Predictive Approaches for Choosing Hyperparameters in
    Gaussian Processes", 2001.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from optuna_gamma.bo.kernel import Array
from optuna_gamma.bo.process import Process


def precisions(process: Process) -> Array:
    """Compute q, (n,): one over the variance of each value given the others, in units of 1 / τ.

    Args:
        process: A process without pending points.
    """
    q = (process.L_inv**2).sum(axis=0)
    if process.h.any():
        q = q - process.h**2 / process.h.sum()
    positive: Array = np.maximum(q, 1e-300)
    return positive


def studentized(process: Process) -> tuple[Array, Array]:
    """Compute how far off the values are, (n,), and the scales of their predictions, (n,).

    Args:
        process: A process with unknown precision and without pending points.

    Returns:
        Distances in units of the scale, non-negative, and the scales.
    """
    q = precisions(process)
    share = process.alpha**2 / q
    rate = np.maximum(process.b_n - 0.5 * share, 1e-12 * process.b_n)
    shape = process.a_n - 0.5
    return np.sqrt(share * shape / rate), np.sqrt(rate / shape / q)


def log_density(process: Process) -> Array:
    """Compute the log density of each value given the others, (n,), up to a common constant.

    Args:
        process: As for :func:`studentized`.
    """
    t, scale = studentized(process)
    df = process.df - 1.0
    constant = special.gammaln(0.5 * (df + 1.0)) - special.gammaln(0.5 * df) - 0.5 * np.log(df)
    density: Array = constant - 0.5 * (df + 1.0) * np.log1p(t * t / df) - np.log(scale)
    return density
