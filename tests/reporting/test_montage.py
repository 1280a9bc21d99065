"""A montage has the pictures, titles and colours of its cases, and room for them."""

import numpy as np
import pytest

from autoseg.core.labels import Labels
from autoseg.reporting.montage import LABELS_NAMED, draw_montage
from autoseg.reporting.overlays import Scan
from tests.reporting.figure_texts import assert_texts_have_room


def scan(labels=("front", "back"), spacing=(1.0, 1.0, 1.0), reference=True):
    maps = np.zeros((12, 14, 10), np.uint8)
    maps[3:9, 3:9, 3:7] = 1
    values = Labels(values={"background": 0, **{name: value for value, name in enumerate(labels, start=1)}})
    return Scan(maps.astype(float), maps, spacing, values, np.roll(maps, 1, axis=0) if reference else None)


def test_rows_titles_and_legend():
    cases = [("worst: sub-01, Dice 0.61", scan()), ("median: sub-02, Dice 0.84", scan(spacing=(1.0, 1.0, 5.0)))]
    figure = draw_montage(cases)
    assert len(figure.axes) == 2 * 6
    texts = assert_texts_have_room(figure)
    assert {title for title, _ in cases} <= set(texts)
    assert {"front", "back", "missed", "invented", "wrong label"} <= set(texts)
    sizes = {axes.images[0].get_array().shape for axes in figure.axes}
    assert len(sizes) == 1  # all squares of one size
    width, height = figure.get_size_inches()
    for axes in figure.axes:
        box = axes.get_position()
        assert box.width * width == pytest.approx(box.height * height)


def test_predictions_alone_have_no_errors():
    figure = draw_montage([("sub-01", scan(reference=False))])
    assert len(figure.axes) == 3
    texts = assert_texts_have_room(figure)
    assert "missed" not in texts
    assert "front" in texts


def test_many_labels_are_not_named():
    figure = draw_montage([("sub-01", scan([f"region {place}" for place in range(LABELS_NAMED + 1)]))])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["missed", "invented", "wrong label"]
    assert_texts_have_room(draw_montage([("sub-01", scan([f"left superior gyrus {place}" for place in range(8)]))]))
