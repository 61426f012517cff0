"""κ: accuracy and loss of a classifier as one number to maximise."""

from __future__ import annotations

from typing import Literal
from typing import overload

import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray


LOSS_FLOOR = 1e-4
"""Losses below this count as this: κ would grow without bound as the loss falls to zero."""


@overload
def kappa(
    accuracy: float,
    loss: float,
    *,
    lam: float = ...,
    variant: Literal["original", "improved"] = ...,
) -> float: ...


@overload
def kappa(
    accuracy: ArrayLike,
    loss: ArrayLike,
    *,
    lam: float = ...,
    variant: Literal["original", "improved"] = ...,
) -> float | NDArray[np.float64]: ...


def kappa(
    accuracy: ArrayLike,
    loss: ArrayLike,
    *,
    lam: float = 0.05,
    variant: Literal["original", "improved"] = "improved",
) -> float | NDArray[np.float64]:
    r"""Score a classifier by its accuracy and its cross-entropy loss together.

    With :math:`M_a` the accuracy in percent and :math:`M_l` the loss,

    .. math::
        \kappa_\text{original} = M_a - \lambda \ln M_l, \qquad
        \kappa_\text{improved} = M_a^2 - \frac{\ln M_l}{\lambda}
        \qquad \text{if } M_a > M_l, \text{ else } 0.

    The printed equations (11) and (12) of the source are not readable; this is their
    reconstruction from its prose.

    .. note::
        What is known to be awkward about κ, and what is done about it:

        - it grows without bound as the loss falls to zero: losses count as at least
          ``LOSS_FLOOR`` = 1e-4;
        - a non-finite loss, which is what a diverged training gives, makes κ zero;
        - for small λ the improved form would be *negative* for poor networks, below the 0 of a
          diverged one: it is floored at 0;
        - at the gate :math:`M_a = M_l` it jumps, and below it is flat: there a search learns
          nothing;
        - values reach 10² (original) or 10⁴ (improved): standardise them before modelling, as
          :class:`~optuna_gamma.GammaBOSampler` does;
        - in the improved form the loss weighs *less* the larger λ is. At λ = 0.05 one point of
          accuracy at 90 % outweighs a factor of e⁹ in the loss.

    Args:
        accuracy: Fraction of correct answers, in [0, 1]. Number or array.
        loss: Mean cross-entropy in nats, non-negative, NaN or infinite if training diverged.
            Number or array; broadcast against ``accuracy``.
        lam: The weight λ, in (0, 1].
        variant: ``"improved"``, equation (12), or ``"original"``, equation (11).

    Returns:
        κ ≥ 0, larger is better: a :obj:`float` if both inputs are numbers, else an array of the
        broadcast shape.

    Raises:
        TypeError: If ``accuracy`` or ``loss`` is neither a number nor an array of numbers.
        ValueError: If an accuracy is outside [0, 1], a loss is negative, ``lam`` is outside
            (0, 1] or ``variant`` is unknown.

    Example:
        >>> kappa(0.9, 0.3)
        8124.079456086519
        >>> kappa(0.9, 0.3, variant="original")
        90.0601986402163
        >>> kappa(0.1, float("inf"))
        0.0

    Reference:
        Y. H. Kim and M. Chung, "An Approach to Hyperparameter Optimization for the Objective
        Function in Machine Learning", Electronics 8(11), 1267, 2019, and the doctoral thesis of
        Y. H. Kim, Pukyong National University.
    """
    if not 0.0 < lam <= 1.0:
        raise ValueError(f"`lam` must be in (0, 1], but got {lam!r}.")
    if variant not in ("original", "improved"):
        raise ValueError(f'`variant` must be "original" or "improved", but got {variant!r}.')
    acc = _numbers("accuracy", accuracy)
    ce = _numbers("loss", loss)
    outside = ~((acc >= 0.0) & (acc <= 1.0))
    if outside.any():
        raise ValueError(
            "`accuracy` must be a fraction in [0, 1] (divide percentages by 100), "
            f"but got {acc[outside].flat[0]:g}."
        )
    if (ce < 0.0).any():
        raise ValueError(f"`loss` must not be negative, but got {ce[ce < 0.0].flat[0]:g}.")

    finite = np.isfinite(ce)
    percent = 100.0 * acc
    log_loss = np.log(np.maximum(np.where(finite, ce, 1.0), LOSS_FLOOR))
    value = percent - lam * log_loss if variant == "original" else percent**2 - log_loss / lam
    value = np.where(finite & (percent > ce), np.maximum(value, 0.0), 0.0)
    return float(value) if value.ndim == 0 else value


def _numbers(name: str, given: ArrayLike) -> NDArray[np.float64]:
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"`{name}` must be a number or an array of numbers, but got {given!r}."
        ) from None
