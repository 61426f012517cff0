"""What a classifier's answers are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional import classification


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
        macro averages.
    """
    logits, target = logits.float().cpu(), target.cpu()
    n_classes = logits.shape[1]
    answers = logits.argmax(dim=1)
    return ClassificationMetrics(
        accuracy=float((answers == target).double().mean()),
        loss=float(F.cross_entropy(logits, target)),
        sensitivity=float(classification.multiclass_recall(answers, target, n_classes)),
        specificity=float(classification.multiclass_specificity(answers, target, n_classes)),
        mcc=float(classification.multiclass_matthews_corrcoef(answers, target, n_classes)),
        confusion=classification.multiclass_confusion_matrix(answers, target, n_classes).numpy(),
    )
