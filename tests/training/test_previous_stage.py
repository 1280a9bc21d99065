"""Changes of a previous stage's label map, against skimage and scipy with a ball."""

from collections import Counter

import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import ball, disk

from autoseg.training import previous_stage
from autoseg.training.previous_stage import Loss, Operation, PreviousDrawn


def blobs(shape, seed=0):
    """Smooth label map with indices 0, 1, 2."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    return np.digitize(noise, np.quantile(noise, (0.6, 0.85))).astype(np.int16)


@pytest.mark.parametrize("shape", [(24, 20, 22), (40, 36)])
@pytest.mark.parametrize("radius", [1, 2, 5])
def test_morphology_is_that_of_a_ball(shape, radius):
    mask = blobs(shape) == 2
    element = ball(radius) if len(shape) == 3 else disk(radius)

    def dilated(image):
        return ndimage.binary_dilation(image, element)

    def eroded(image):
        return ndimage.binary_erosion(image, element, border_value=1)

    expected = {
        "dilation": dilated(mask),
        "erosion": eroded(mask),
        "closing": eroded(dilated(mask)),
        "opening": dilated(eroded(mask)),
    }
    for name, image in expected.items():
        np.testing.assert_array_equal(previous_stage.morphology(mask, name, radius), image)


def test_a_label_that_grows_takes_voxels_from_the_others_and_the_input_stays():
    before = blobs((20, 20, 20))
    kept = before.copy()
    after = previous_stage.apply(PreviousDrawn((Operation(2, "dilation", 2),), ()), before)
    np.testing.assert_array_equal(before, kept)
    grown = previous_stage.morphology(before == 2, "dilation", 2)
    np.testing.assert_array_equal(after == 2, grown)
    np.testing.assert_array_equal(after == 1, (before == 1) & ~grown)


def test_exactly_one_small_component_is_lost():
    indices = np.zeros((20, 20), np.int16)
    indices[:10, :10] = 1  # a quarter of the patch: too large to be lost
    indices[12, 12] = indices[13, 13] = 1  # one component: the corners touch
    indices[18, 2] = 1
    lost = [previous_stage.apply(PreviousDrawn((), (Loss(1, place),)), indices) for place in (0.0, 0.49, 0.5, 0.99)]
    assert [int((indices - after).sum()) for after in lost] == [2, 2, 1, 1]
    large = np.ones((6, 6), np.int16)
    np.testing.assert_array_equal(previous_stage.apply(PreviousDrawn((), (Loss(1, 0.5), Loss(2, 0.5))), large), large)


def test_the_frequencies_are_those_of_nnunet():
    random = np.random.default_rng(0)
    drawn = [previous_stage.draw(3, random) for _ in range(4000)]
    assert sum(len(one.operations) for one in drawn) / 12000 == pytest.approx(0.4 * 0.5, abs=0.02)
    assert sum(len(one.losses) for one in drawn) / 12000 == pytest.approx(0.2 * 0.5, abs=0.02)
    operations = [operation for one in drawn for operation in one.operations]
    assert {operation.label for operation in operations} == {1, 2, 3}
    assert {operation.radius for operation in operations} == set(range(1, 9))
    names = Counter(operation.name for operation in operations)
    assert min(names.values()) > 0.2 * len(operations)
    assert len(names) == 4
