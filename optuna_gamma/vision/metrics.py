"""What a classifier's answers are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class ClassificationMetrics:
    """The metrics of the thesis's tables, as fractions (not percent).

    Attributes:
        accuracy: Share of correct answers, over all images alike.
        loss: Mean cross-entropy in nats.
        sensitivity: Recall (true positive rate) of each class against the others, averaged over
            the classes without weights (macro average).
        specificity: True negative rate of each class against the others, macro average.
        mcc: Matthews correlation for several classes, R_K of Gorodkin 2004: one number from the
            whole confusion matrix, not an average over classes.
        confusion: Number of images of the row's class that were given the column's class,
            ``(n_classes, n_classes)``.
    """

    accuracy: float
    loss: float
    sensitivity: float
    specificity: float
    mcc: float
    confusion: NDArray[np.int64]

    @property
    def scalars(self) -> dict[str, float]:
        """All metrics that are a single number, by name."""
        return {
            name: value for name, value in vars(self).items() if not isinstance(value, np.ndarray)
        }


def classification_metrics(logits: Tensor, target: Tensor) -> ClassificationMetrics:
    """Compare logits with the true classes.

    Args:
        logits: ``(n, n_classes)``.
        target: Classes, ``(n,)``.

    Returns:
        The metrics. A class that is neither in ``target`` nor ever answered is left out of the
        macro averages; a rate or a correlation of nothing, 0 / 0, counts as 0.
    """
    logits, target = logits.float().cpu(), target.cpu()
    loss = float(F.cross_entropy(logits, target))
    true, answers = target.numpy(), logits.argmax(dim=1).numpy()
    (tn, fp), (fn, tp) = metrics.multilabel_confusion_matrix(true, answers).transpose(1, 2, 0)
    return ClassificationMetrics(
        accuracy=float(metrics.accuracy_score(true, answers)),
        loss=loss,
        sensitivity=_mean_rate(tp, fn),
        specificity=_mean_rate(tn, fp),
        mcc=float(metrics.matthews_corrcoef(true, answers)),
        confusion=metrics.confusion_matrix(true, answers, labels=range(logits.shape[1])),
    )


def _mean_rate(right: NDArray[np.int64], wrong: NDArray[np.int64]) -> float:
    # Where a class has none of them, 0 / 1.
    return float(np.mean(right / np.maximum(right + wrong, 1)))
