"""What a report shows of its cases."""

import numpy as np

from autoseg.core.labels import Labels
from autoseg.pipeline.report_gallery import MOST_LABELS, viewer_names, viewer_values


def test_values_become_numbers_of_the_viewer():
    labels = Labels(values={"background": 0, "cord": 5, "lesion": 700, "ignore": 900})
    assert viewer_names(labels) == {1: "cord", 2: "lesion"}
    stored = np.array([[0, 5, 700], [900, 3, 5]])
    assert viewer_values(stored, labels).tolist() == [[0, 1, 2], [0, 0, 1]]
    many = Labels(values={"background": 0} | {f"part {value}": value for value in range(1, 301)})
    assert len(viewer_names(many)) == MOST_LABELS
    assert viewer_names(many)[MOST_LABELS] == "46 more labels"
    assert viewer_values(np.array([254, 255, 300]), many).tolist() == [254, 255, 255]
