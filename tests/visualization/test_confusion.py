from __future__ import annotations

import numpy as np
import pytest

from optuna_gamma.visualization import plot_confusion_matrices


def test_counts_and_shares() -> None:
    matrices = {"valid <1>": [[9, 1], [0, 5]], "test": np.array([[4, 0], [0, 0]])}
    figure = plot_confusion_matrices(matrices, ["<i>cat</i>", "dog"])
    valid, numbers, test, _ = figure.data
    np.testing.assert_allclose(valid.z, np.sqrt([[0.9, 0.1], [0.0, 1.0]]))
    assert list(numbers.text) == ["9", "1", "5"]
    np.testing.assert_array_equal(test.z, [[1.0, 0.0], [0.0, 0.0]])
    assert figure.layout.annotations[0].text == "valid &lt;1&gt;"
    assert figure.layout.xaxis.ticktext == ("&lt;i&gt;cat&lt;/i&gt;", "dog")
    assert "true: &lt;i&gt;cat&lt;/i&gt;" in valid.text[0][0]


def test_many_classes_have_no_room_for_numbers() -> None:
    assert len(plot_confusion_matrices({"test": np.eye(100, dtype=int)}).data) == 1


def test_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert not plot_confusion_matrices({}).data


@pytest.mark.parametrize(
    ("matrices", "classes"),
    [
        ({"a": np.eye(2), "b": np.eye(3)}, None),
        ({"a": np.ones((2, 3))}, None),
        ({"a": np.ones(4)}, None),
        ({"a": 5}, None),
        ({"a": np.ones((0, 0))}, None),
        ({"a": np.eye(2)}, ["one"]),
    ],
)
def test_what_is_no_confusion_matrix_is_refused(matrices: object, classes: object) -> None:
    with pytest.raises(ValueError, match=r"square|names"):
        plot_confusion_matrices(matrices, classes)  # type: ignore[arg-type]
