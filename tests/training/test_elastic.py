"""Fields and moved patches against scipy."""

from dataclasses import replace
from math import pi, sqrt

import numpy as np
import pytest
from scipy import ndimage

from autoseg.training import elastic
from autoseg.training.elastic import Deformation, deform, displacements

FLAT = Deformation((3.0, 3.0), (12.0, 12.0), seed=1, label_seed=None, nearest=False, continued=False)
SOLID = Deformation((1.2, 0.9, 1.5), (9.0, 7.0, 11.0), seed=2, label_seed=None, nearest=True, continued=True)
CASES = [(FLAT, (30, 41)), (SOLID, (14, 11, 17)), (replace(SOLID, nearest=False), (9, 13, 8))]


def noise(deformation, seed, shape):
    random = np.random.default_rng(seed)
    return [2 * random.random(shape, np.float32).astype(float) - 1 for _ in deformation.sigmas]


def patch(shape, seed=0):
    random = np.random.default_rng(seed)
    image = random.normal(size=(2, *shape)).astype(np.float32)
    labels = ndimage.gaussian_filter(random.normal(size=(1, *shape)), (0, *(1.5,) * len(shape)))
    return image, np.digitize(labels, [-0.1, 0, 0.1]).astype(np.int16)


@pytest.mark.parametrize(("deformation", "shape"), CASES)
def test_the_field_is_smoothed_noise(deformation, shape):
    mode = "reflect" if deformation.continued else "constant"
    fields = displacements(deformation, 5, shape)
    drawn = zip(fields, noise(deformation, 5, shape), deformation.sigmas, deformation.alphas, strict=True)
    for field, raw, sigma, alpha in drawn:
        np.testing.assert_allclose(field, alpha * ndimage.gaussian_filter(raw, sigma, mode=mode), atol=1e-5)


@pytest.mark.parametrize(("deformation", "shape"), CASES)
def test_image_and_labels_are_those_at_the_moved_points(deformation, shape):
    image, labels = patch(shape)
    moved_image, moved_labels = deform(deformation, image, labels, (0.0, 5.0))
    field = displacements(deformation, deformation.seed, shape)
    places = [grid + moved.astype(float) for grid, moved in zip(np.indices(shape), field, strict=True)]
    outside = np.zeros(shape, bool)
    if not deformation.continued:
        for place, size in zip(places, shape, strict=True):
            outside |= (place < 0) | (place > size - 1)
        assert outside.any()
    order = 0 if deformation.nearest else 1
    for channel, moved, zero in zip(image, moved_image, (0.0, 5.0), strict=True):
        expected = ndimage.map_coordinates(channel.astype(float), places, order=order, mode="nearest")
        np.testing.assert_allclose(moved, np.where(outside, zero, expected), atol=1e-4)
    votes = np.stack(
        [ndimage.map_coordinates((labels[0] == k).astype(float), places, order=order, mode="nearest") for k in range(4)]
    )
    first, second = np.sort(votes, axis=0)[[-1, -2]]
    clear = first - second > 1e-3
    assert clear.mean() > 0.95
    np.testing.assert_array_equal(moved_labels[0][clear], np.where(outside, -1, votes.argmax(0))[clear])
    assert set(np.unique(moved_labels)) <= {-1, 0, 1, 2, 3}


def test_the_result_does_not_depend_on_how_many_points_are_moved_at_once(monkeypatch):
    image, labels = patch((9, 13, 8))
    for deformation in (SOLID, replace(SOLID, nearest=False), replace(SOLID, nearest=False, label_seed=3)):
        whole = deform(deformation, image, labels, (0.0, 0.0))
        with monkeypatch.context() as less:
            less.setattr(elastic, "POINTS_AT_ONCE", 200)
            parts = deform(deformation, image, labels, (0.0, 0.0))
        for one, other in zip(whole, parts, strict=True):
            np.testing.assert_array_equal(one, other)


def test_labels_may_follow_a_field_of_their_own():
    """The authors' code of Paugam et al.: image and labels then differ by about a voxel."""
    image, labels = patch((30, 41))
    together = deform(FLAT, image, labels, (0.0, 0.0))
    apart = deform(replace(FLAT, label_seed=9), image, labels, (0.0, 0.0))
    np.testing.assert_array_equal(apart[0], together[0])
    other = deform(replace(FLAT, seed=9), image, labels, (0.0, 0.0))
    np.testing.assert_array_equal(apart[1], other[1])
    assert not np.array_equal(apart[1], together[1])


def test_without_displacement_nothing_changes():
    image, labels = patch((9, 13, 8))
    for deformation in (SOLID, replace(SOLID, nearest=False, continued=False)):
        still = deform(replace(deformation, alphas=(0.0,) * 3), image, labels, (0.0, 0.0))
        np.testing.assert_allclose(still[0], image, atol=1e-6)
        np.testing.assert_array_equal(still[1], labels)


def test_points_are_moved_as_far_as_in_the_published_systems():
    """Research notes C.0: 0.4 to 0.9 pixels in 160 x 160; C.3: 0.9 to 1.9 voxels in 181 x 217 x 181.

    Analytic, away from the border: uniform noise has a variance of 1/3, smoothing leaves 1 / (2 sqrt(pi) sigma) of its
    standard deviation per axis, squared in the plane and so on.
    """
    flat = replace(FLAT, sigmas=(3.75,) * 2, alphas=(12.5,) * 2)
    moved = np.std([field[20:-20, 20:-20] for seed in range(8) for field in displacements(flat, seed, (160, 160))])
    assert 0.4 < moved < 0.9
    assert moved == pytest.approx(12.5 * sqrt(1 / 3) / (2 * sqrt(pi) * 3.75), rel=0.1)
    solid = replace(SOLID, sigmas=(0.045 * 181,), alphas=(2.0 * 181,))
    (field,) = displacements(solid, 0, (181, 217, 181))
    assert 0.9 < field.std() < 1.9
    assert field.std() == pytest.approx(362 * sqrt(1 / 3) / (2 * sqrt(pi) * 0.045 * 181) ** 1.5, rel=0.15)
