"""From the standardised values of the process back to those people know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optuna_gamma.bo.kernel import Array


@dataclass(frozen=True)
class Scale:
    """The line on which standardised values lie but for those that were drawn in.

    Attributes:
        unit: What one standard deviation is worth; negative where values are minimised.
        origin: The value whose standardised value is zero.
    """

    unit: float
    origin: float

    def back(self, y: Array) -> Array:
        """Return values of standardised ones."""
        values: Array = self.origin + self.unit * y
        return values


def find_scale(values: Array, y: Array, sign: float) -> Scale:
    """Find the scale of a process from what it knows.

    Bad values are drawn in before a process sees them, the best one and the median never are: so
    of the lines through the best value and a worse one the steepest is that of the others.

    Args:
        values: Values to be maximised, −∞ for trials that failed, (n,).
        y: The same, standardised, (n,).
        sign: 1 if people maximise them, −1 if they minimise them.
    """
    finite = np.isfinite(values)
    if not finite.any():
        return Scale(sign, 0.0)
    values, y = values[finite], y[finite]
    best = int(np.argmax(values))
    with np.errstate(all="ignore"):
        # Not next to the best one, where digits cancel; values drawn in are the lowest.
        inside = values[y > y.min()]
        far = values <= (np.median(inside) if len(inside) else values[best])
        units = (values[best] - values[far]) / (y[best] - y[far])
    units = units[np.isfinite(units) & (units > 0.0)]
    unit = float(units.min()) if len(units) else 1.0
    return Scale(sign * unit, sign * float(values[best] - unit * y[best]))
