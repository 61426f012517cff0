from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
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


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(st.data(), st.integers(2, 6))
def test_agrees_with_the_definitions(data: st.DataObject, n_classes: int) -> None:
    pairs = st.tuples(st.integers(0, n_classes - 1), st.integers(0, n_classes - 1))
    cases = data.draw(st.lists(pairs, min_size=1, max_size=40))
    target, answers = (list(part) for part in zip(*cases, strict=True))
    metrics = classification_metrics(_one_hot(answers, n_classes), torch.tensor(target))
    classes = range(n_classes)
    assert metrics.confusion.tolist() == [[cases.count((i, j)) for j in classes] for i in classes]
    assert metrics.accuracy == pytest.approx(np.mean([i == j for i, j in cases]))

    sensitivities, specificities = [], []
    for k in {*target, *answers}:
        mine = [j == k for i, j in cases if i == k]
        others = [j != k for i, j in cases if i != k]
        sensitivities.append(np.mean(mine) if mine else 0.0)
        specificities.append(np.mean(others) if others else 0.0)
    assert metrics.sensitivity == pytest.approx(np.mean(sensitivities))
    assert metrics.specificity == pytest.approx(np.mean(specificities))

    # The correlation of the indicators of all classes, taken together (Gorodkin 2004).
    x, y = np.eye(n_classes)[target], np.eye(n_classes)[answers]
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    spread = np.sqrt(np.sum(x * x) * np.sum(y * y))
    correlation = np.sum(x * y) / spread if len(set(target)) > 1 < len(set(answers)) else 0.0
    assert metrics.mcc == pytest.approx(correlation, abs=1e-12)


@pytest.mark.filterwarnings("ignore:A single label was found")
def test_classes_that_are_always_right() -> None:
    metrics = classification_metrics(_one_hot([1, 1], 2), torch.tensor([1, 1]))
    assert metrics.accuracy == metrics.sensitivity == 1.0
    # There are no others to be wrong about, and nothing varies.
    assert metrics.specificity == metrics.mcc == 0.0
