"""Keeping the largest component, against scipy and by hand."""

import numpy as np
import pytest
from scipy import ndimage

from autoseg.core.plan import CandidateSpec
from autoseg.core.selection import Postprocessing
from autoseg.inference.postprocess import keep_largest, lesions, postprocess


def label_map(seed, shape=(17, 15, 13)):
    """Values 0, 1, 2 and 5 in patches of some voxels."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), 1.0)
    return np.array([0, 1, 0, 2, 5], np.uint8)[np.digitize(smooth, np.quantile(smooth, (0.3, 0.5, 0.7, 0.9)))]


def brute_force(labels, values):
    mask = np.isin(labels, values)
    components, number = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = [np.count_nonzero(components == one) for one in range(1, number + 1)]
    largest = [one for one, size in enumerate(sizes, start=1) if size == max(sizes)]
    return np.where(mask & ~np.isin(components, largest), 0, labels)


@pytest.mark.parametrize("values", [(1,), (2,), (1, 2), (1, 2, 5), (4,)])
@pytest.mark.parametrize("seed", range(4))
def test_the_largest_component_is_that_of_scipy(seed, values):
    labels = label_map(seed)
    before = labels.copy()
    np.testing.assert_array_equal(keep_largest(labels, values), brute_force(labels, values))
    np.testing.assert_array_equal(labels, before)


def test_a_corner_connects_and_equal_components_all_stay():
    labels = np.zeros((6, 6, 6), np.uint16)
    labels[0, 0, 0] = labels[1, 1, 1] = 1  # two voxels that share a corner
    labels[4, 4, 4:6] = 1
    labels[0, 5, 5] = 1
    kept = keep_largest(labels, [1])
    assert kept.dtype == np.uint16
    assert np.argwhere(kept).tolist() == [[0, 0, 0], [1, 1, 1], [4, 4, 4], [4, 4, 5]]


def test_steps_follow_one_another():
    labels = label_map(7)
    steps = Postprocessing(keep_largest=((1, 2, 5), (2,), (5, 1)))
    expected = labels
    for values in steps.keep_largest:
        expected = brute_force(expected, values)
    np.testing.assert_array_equal(postprocess(labels, steps), expected)
    np.testing.assert_array_equal(postprocess(labels, Postprocessing()), labels)


def test_any_memory_layout_gives_the_same():
    labels = label_map(3)
    turned = np.asfortranarray(labels)[::-1]
    np.testing.assert_array_equal(keep_largest(turned, [1, 2]), keep_largest(labels, [1, 2])[::-1])


def test_lesions_are_decided_by_probability_and_size():
    probability = np.zeros((12, 12, 12), np.float32)
    probability[1:4, 1:4, 1:4] = 0.8  # 27 voxels at the decision
    probability[6:8, 6:8, 6:11] = 0.9  # 20 voxels: not more than the smallest
    probability[9:12, 1:4, 1:4] = 0.79
    spec = CandidateSpec(decision=0.8, smallest_lesion_voxels=20)
    expected = np.zeros(probability.shape, bool)
    expected[1:4, 1:4, 1:4] = True
    np.testing.assert_array_equal(lesions(probability, spec, voxel_ml=0.001), expected)
    spec = CandidateSpec(decision=0.8, smallest_lesion_voxels=0)
    np.testing.assert_array_equal(lesions(probability, spec, voxel_ml=0.001), probability >= np.float32(0.8))


def test_lesions_that_touch_by_edges_are_apart():
    probability = np.zeros((4, 4, 2), np.float32)
    probability[:2, :2] = probability[2:, 2:] = 1
    spec = CandidateSpec(smallest_lesion_voxels=8)
    assert not lesions(probability, spec, voxel_ml=1).any()


@pytest.mark.parametrize(("total_ml", "kept"), [(0.054, 27), (0.055, 0)])
def test_too_little_in_all_is_nothing(total_ml, kept):
    probability = np.zeros((6, 6, 6), np.float32)
    probability[:3, :3, :3] = 1
    probability[5, 5, 5] = 1  # too small, so it does not count
    spec = CandidateSpec(smallest_lesion_voxels=20, smallest_total_ml=total_ml)
    assert lesions(probability, spec, voxel_ml=0.002).sum() == kept
