"""Every kind of difference, in one line of voxels."""

import numpy as np

from autoseg.core.labels import Labels
from autoseg.evaluation.error_maps import ERRORS, error_map


def test_each_difference_has_its_value():
    labels = Labels(values={"background": 0, "front": 1, "back": 2, "ignore": 9})
    reference = np.array([0, 1, 2, 1, 0, 1, 2, 9, 9, 7, 0]).reshape(-1, 1, 1)
    prediction = np.array([0, 1, 2, 0, 2, 2, 1, 0, 1, 0, 7]).reshape(-1, 1, 1)
    errors = error_map(prediction, reference, labels)
    assert errors.dtype == np.uint8
    assert [ERRORS[value] for value in errors.ravel().tolist()] == [
        *["right"] * 3, "missed", "invented", "wrong label", "wrong label", *["right"] * 4,
    ]  # fmt: skip


def test_regions_are_compared_by_the_values_that_are_stored():
    labels = Labels(values={"background": 0, "all": (1, 2), "core": (2,)}, region_order=(1, 2))
    reference, prediction = np.array([[[1, 2, 2, 0]]]), np.array([[[2, 2, 0, 1]]])
    assert error_map(prediction, reference, labels).tolist() == [[[3, 0, 1, 2]]]
