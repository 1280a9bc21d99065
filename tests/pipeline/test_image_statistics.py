"""Statistics against numpy; what is a label map and what is not."""

import numpy as np
import pytest

from autoseg.pipeline.image_statistics import intensities, looks_like_labels, whole_number_counts


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.float32])
def test_counts_and_numpy_agree(kind):
    random = np.random.default_rng(0)
    voxels = random.gamma(2, 20, (17, 13, 11)).astype(kind)
    counts = whole_number_counts(voxels)
    assert (counts is None) == (kind is np.float32)
    found = intensities(voxels, counts)
    low, median, high = np.percentile(voxels, (1, 50, 99))
    expected = (voxels.min(), low, median, high, voxels.max(), voxels.mean(), voxels.std(), (voxels == 0).mean(), 0)
    np.testing.assert_allclose(list(vars(found).values()), expected, rtol=1e-6)


def test_numbers_stored_as_float_are_counted_and_negative_ones_too():
    voxels = np.array([[[-3.0, 0.0005, 2.0, 2.0]]], np.float32)
    values, counts = whole_number_counts(voxels)
    assert (values.tolist(), counts.tolist()) == ([-3, 0, 2], [1, 1, 2])
    assert whole_number_counts(np.array([[[0.0, 70000.0]]])) is None
    assert whole_number_counts(np.array([[[0.0, np.nan]]])) is None


def test_what_is_not_finite_is_counted_and_left_out():
    found = intensities(np.array([[[np.nan, np.inf, 1.5, 2.5]]]), None)
    assert (found.num_not_finite, found.minimum, found.maximum, found.mean) == (2, 1.5, 2.5, 2.0)
    nothing = intensities(np.full((2, 2, 2), np.nan), None)
    assert (nothing.num_not_finite, nothing.mean) == (8, None)


def blocks():
    labels = np.zeros((12, 12, 12))
    labels[2:8, 2:8, 2:8] = 1
    labels[6:10, 6:10, 6:10] = 5
    return labels


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float64])
def test_a_label_map_is_known_by_its_neighbours(kind):
    voxels = blocks().astype(kind)
    assert looks_like_labels(voxels, whole_number_counts(voxels))
    empty = np.zeros((4, 4, 4), kind)
    assert looks_like_labels(empty, whole_number_counts(empty))


@pytest.mark.parametrize(
    "voxels",
    [
        np.random.default_rng(0).integers(0, 255, (12, 12, 12)).astype(np.uint8),  # an image of 8 bits
        blocks() - 1,
        blocks() + 0.5,
        blocks() * 20000,
    ],
    ids=["noise", "negative", "fractions", "too large"],
)
def test_other_images_are_none(voxels):
    assert not looks_like_labels(voxels, whole_number_counts(voxels))
