"""What the thesis printed. Accuracies are in percent, times in seconds on its machine.

Samplers bear our names: ``"conjugate"`` is the thesis's Gamma Bayesian optimisation.
"""

from __future__ import annotations

from collections.abc import Mapping


Row = tuple[str, str]
"""Sampler and objective."""

SMALL: Mapping[int, Mapping[Row, float]] = {
    1: {
        ("grid", "accuracy"): 47.0,
        ("grid", "κ original"): 52.0,
        ("grid", "κ improved"): 52.0,
        ("gaussian", "accuracy"): 42.0,
        ("gaussian", "κ original"): 50.0,
        ("gaussian", "κ improved"): 51.0,
        ("conjugate", "accuracy"): 46.0,
        ("conjugate", "κ original"): 50.0,
        ("conjugate", "κ improved"): 51.0,
    },
    2: {
        ("grid", "accuracy"): 88.0,
        ("grid", "κ original"): 91.0,
        ("grid", "κ improved"): 90.0,
        ("gaussian", "accuracy"): 87.0,
        ("gaussian", "κ original"): 88.0,
        ("gaussian", "κ improved"): 88.0,
        ("conjugate", "accuracy"): 87.0,
        ("conjugate", "κ original"): 89.0,
        ("conjugate", "κ improved"): 91.0,
    },
}
"""Tables 4 and 5, by epoch: MNIST, 500 images, accuracy on the 100 that chose."""

_COMPARED = (
    ("grid", "κ original"),
    ("gaussian", "κ original"),
    ("conjugate", "κ original"),
    ("conjugate", "κ improved"),
)

MNIST: Mapping[int, Mapping[Row, float]] = {
    1: dict(zip(_COMPARED, (95.62, 95.75, 95.64, 96.24), strict=True)),
    2: dict(zip(_COMPARED, (98.18, 98.13, 98.36, 98.62), strict=True)),
    3: dict(zip(_COMPARED, (97.83, 98.21, 98.23, 98.79), strict=True)),
}
"""Table 6, by epoch: MNIST, all images."""

CIFAR: Mapping[int, Mapping[Row, float]] = {
    50: dict(zip(_COMPARED, (75.55, 63.45, 82.78, 83.04), strict=True)),
}
"""Table 7 at its last epoch: CIFAR-10, all images."""

SINGLE: Mapping[int, Mapping[str, tuple[float, float]]] = {
    8: {"grid": (49.4, 15.6), "gaussian": (40.4, 4.58), "conjugate": (47.8, 4.48)},
    9: {"grid": (88.8, 729.9), "gaussian": (86.0, 29.22), "conjugate": (88.0, 29.38)},
    10: {"grid": (93.4, 699.38), "gaussian": (91.4, 27.27), "conjugate": (92.4, 27.3)},
}
"""Tables 8, 9 and 10: mean accuracy over five grids, and seconds."""

RATES: Mapping[str, tuple[float, ...]] = {
    "grid": (0.085, 0.070, 0.156, 0.096, 0.078),
    "gaussian": (0.307, 0.075, 0.117, 0.138, 0.186),
    "conjugate": (0.265, 0.113, 0.178, 0.077, 0.230),
}
"""Table 11: the learning rates of table 10."""

ARRIVALS: Mapping[str, str] = {"gaussian": "8-9", "conjugate": "5-6"}
"""Figures 12 and 13: evaluations until the maximum, initial points counted."""
