from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from sklearn import metrics as sk
import torch
from torch import Tensor

from optuna_gamma.vision.metrics import classification_metrics


def _one_hot(answers: list[int], n_classes: int) -> Tensor:
    return 5.0 * torch.eye(n_classes)[answers]


def test_by_hand() -> None:
    # Rows are the true classes: [[2, 1, 0], [0, 1, 1], [1, 0, 4]].
    target = [0, 0, 0, 1, 1, 2, 2, 2, 2, 2]
    answers = [0, 0, 1, 1, 2, 0, 2, 2, 2, 2]
    metrics = classification_metrics(_one_hot(answers, 3), torch.tensor(target))
    assert metrics.confusion.tolist() == [[2, 1, 0], [0, 1, 1], [1, 0, 4]]
    assert metrics.accuracy == 0.7
    assert metrics.sensitivity == pytest.approx((2 / 3 + 1 / 2 + 4 / 5) / 3)
    assert metrics.specificity == pytest.approx((6 / 7 + 7 / 8 + 4 / 5) / 3)
    # R_K = (c s - Σ p t) / sqrt((s² - Σ p²)(s² - Σ t²)), c correct of s, p answered, t true
    assert metrics.mcc == pytest.approx((70 - 9 - 4 - 25) / ((100 - 38) * (100 - 38)) ** 0.5)
    right, wrong = np.log(1 + 2 * np.exp(-5)), np.log(1 + 2 * np.exp(-5)) + 5
    assert metrics.loss == pytest.approx(0.7 * right + 0.3 * wrong)
    assert set(metrics.scalars) == {"accuracy", "loss", "sensitivity", "specificity", "mcc"}


@given(st.data(), st.integers(2, 6))
def test_agrees_with_scikit_learn(data: st.DataObject, n_classes: int) -> None:
    pairs = st.tuples(st.integers(0, n_classes - 1), st.integers(0, n_classes - 1))
    target, answers = zip(*data.draw(st.lists(pairs, min_size=1, max_size=40)), strict=True)
    ours = classification_metrics(_one_hot(list(answers), n_classes), torch.tensor(target))
    classes = list(range(n_classes))
    np.testing.assert_array_equal(
        ours.confusion, sk.confusion_matrix(target, answers, labels=classes)
    )
    assert ours.accuracy == pytest.approx(sk.accuracy_score(target, answers))
    recall = sk.recall_score(target, answers, average="macro", zero_division=0.0)
    assert ours.sensitivity == pytest.approx(recall, abs=1e-6)
    # Only where it is defined: torchmetrics calls two classes that are always right a 1, say.
    if n_classes > 2 and len(set(target)) > 1 and len(set(answers)) > 1:
        mcc = sk.matthews_corrcoef(target, answers)
        assert ours.mcc == pytest.approx(mcc, abs=1e-5)
    seen = sorted(set(target) | set(answers))
    binary = sk.multilabel_confusion_matrix(target, answers, labels=seen)
    tn, fp = binary[:, 0, 0], binary[:, 0, 1]
    specificity = np.divide(tn, tn + fp, out=np.zeros(len(seen)), where=tn + fp > 0).mean()
    assert ours.specificity == pytest.approx(specificity, abs=1e-6)
