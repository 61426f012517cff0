from __future__ import annotations

import io

from matplotlib.figure import Figure
import numpy as np
import pytest
import torch

from optuna_gamma.vision.pictures import confusion_picture
from optuna_gamma.vision.pictures import mistakes_picture
from optuna_gamma.vision.pictures import schedule_picture


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("n_classes", [2, 10, 40])
def test_confusion_picture(n_classes: int) -> None:
    confusion = np.arange(n_classes**2).reshape(n_classes, n_classes)
    confusion[0] = 0  # a class without images
    classes = [f"class {k}" for k in range(n_classes)]
    figure = confusion_picture(confusion, classes, "title")
    (axes,) = figure.axes
    numbers = [text.get_text() for text in axes.texts]
    assert numbers == ([str(n) for n in confusion.flat if n > 0] if n_classes <= 20 else [])
    assert _png(figure)


class TestMistakesPicture:
    def test_those_it_was_surest_of_come_first(self) -> None:
        images = torch.rand(3, 1, 4, 6)
        logits = torch.tensor([[2.0, 0.0], [9.0, 0.0], [5.0, 0.0]])
        figure = mistakes_picture(images, torch.tensor([1, 0, 1]), logits, ["cat", "dog"], "All: ")
        assert figure is not None
        (axes,) = figure.axes
        assert [text.get_text() for text in axes.texts] == ["dog\n→ cat (99%)", "dog\n→ cat (88%)"]
        assert figure.texts[0].get_text().startswith("All: 2 of 3 misclassified")
        assert _png(figure)

    @pytest.mark.parametrize("channels", [1, 2, 3])
    def test_many(self, channels: int) -> None:
        images = torch.zeros(50, channels, 8, 8)  # of one brightness
        labels, logits = torch.zeros(50, dtype=torch.long), torch.tensor([[0.0, 1.0]] * 50)
        figure = mistakes_picture(images, labels, logits, ["a", "b"])
        assert figure is not None
        assert len(figure.axes[0].texts) == 20
        assert _png(figure)

    def test_none(self) -> None:
        labels, logits = torch.zeros(1, dtype=torch.long), torch.tensor([[1.0, 0.0]])
        assert mistakes_picture(torch.zeros(1, 1, 2, 2), labels, logits, ["a", "b"]) is None


def test_schedule_picture() -> None:
    figure = schedule_picture(
        rates=[0.1, 0.01],
        tried=[[0.1, 0.2], []],
        accuracies={"validation": [0.8, 0.9], "test": [None, 0.9]},
        epochs=[2, 8],
    )
    above, below = figure.axes
    assert above.get_yscale() == "log"
    assert [line.get_label() for line in below.lines] == ["validation", "test"]
    np.testing.assert_array_equal(below.lines[1].get_data(), [[2, 10], [np.nan, 0.9]])
    assert _png(figure)


def test_schedule_picture_of_one_stage() -> None:
    assert _png(schedule_picture([0.1], [[0.1]], {"test": [0.5]}, [1]))
