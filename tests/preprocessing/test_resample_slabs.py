"""Slabs of resampled logits against skimage, and against the labels of the whole."""

import numpy as np
import pytest
from skimage.transform import resize

from autoseg.preprocessing.resample_logits import resample_logits_to_labels
from autoseg.preprocessing.resample_slabs import resample_logits_slab, slabs

SHAPES = [((7, 9, 8), (13, 9, 5)), ((7, 9, 8), (7, 12, 12)), ((6, 5, 7), (6, 5, 7)), ((6, 5, 7), (3, 10, 9))]


def whole(logits, shape, separate=None):
    """All slabs, of three planes each."""
    planes = [slice(start, min(start + 3, shape[0])) for start in range(0, shape[0], 3)]
    return np.concatenate([resample_logits_slab(logits, shape, one, separate) for one in planes], axis=1)


@pytest.mark.parametrize(("before", "after"), SHAPES)
def test_slabs_are_those_of_skimage(before, after):
    logits = np.random.default_rng(0).normal(size=(3, *before)).astype(np.float32)
    oracle = [resize(one.astype(np.float64), after, order=1, mode="edge", anti_aliasing=False) for one in logits]
    np.testing.assert_allclose(whole(logits, after), oracle, atol=1e-6)


@pytest.mark.parametrize("separate", [None, 0, 2])
@pytest.mark.parametrize(("before", "after"), SHAPES)
def test_the_largest_is_the_label(before, after, separate):
    logits = np.random.default_rng(1).normal(size=(4, *before)).astype(np.float32)
    untouched = logits.copy()
    labels = resample_logits_to_labels(logits, after, separate)
    np.testing.assert_array_equal(whole(logits, after, separate).argmax(axis=0), labels)
    np.testing.assert_array_equal(logits, untouched)


def test_slabs_cover_every_plane_once_and_are_small():
    found = list(slabs((100, 200, 300), 5))
    assert [plane for one in found for plane in range(one.start, one.stop)] == list(range(100))
    assert max(one.stop - one.start for one in found) == 1
    assert list(slabs((10, 20, 30), 5)) == [slice(0, 10)]
