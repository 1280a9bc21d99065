"""Axes, spacing and boxes against nibabel and numpy."""

import itertools

import nibabel
import numpy as np
import pytest

from autoseg.core.geometry import (
    bounding_box,
    box_shape,
    box_slices,
    canonical_axes,
    orientation_code,
    shear,
    spacing_mm,
    working_axes,
)

ORIENTATIONS = [
    "".join(letters) for letters in itertools.product("RL", "AP", "SI") for letters in itertools.permutations(letters)
]


def oblique_affine(code: str, spacing=(0.5, 1.0, 2.5), degrees: float = 12.0) -> np.ndarray:
    """An affine whose axes point along ``code``, rotated a little in two planes."""
    axes = nibabel.orientations.axcodes2ornt(tuple(code))
    linear = np.zeros((3, 3))
    for stored, (world, sign) in enumerate(axes):
        linear[int(world), stored] = sign * spacing[stored]
    angle = np.deg2rad(degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    tilt = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]) @ np.array(
        [[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]
    )
    affine = np.eye(4)
    affine[:3, :3] = tilt @ linear
    return affine


@pytest.mark.parametrize("code", ORIENTATIONS)
def test_orientation_and_reorientation_agree_with_nibabel(code):
    affine = oblique_affine(code)
    voxels = np.random.default_rng(0).normal(size=(2, 3, 4))
    expected = nibabel.as_closest_canonical(nibabel.Nifti1Image(voxels, affine)).get_fdata()
    reorientation = canonical_axes(affine)
    assert orientation_code(affine) == "".join(nibabel.aff2axcodes(affine)) == code
    np.testing.assert_array_equal(reorientation.apply(voxels), expected)
    np.testing.assert_array_equal(reorientation.undo(reorientation.apply(voxels)), voxels)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_working_axes_are_canonical_axes_in_the_order_of_the_plan(order):
    affine = oblique_affine("PSL")
    voxels = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    canonical = canonical_axes(affine).apply(voxels)
    working = working_axes(affine, order)
    np.testing.assert_array_equal(working.apply(voxels), canonical.transpose(0, *(1 + axis for axis in order)))
    np.testing.assert_array_equal(working.undo(working.apply(voxels)), voxels)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_working_axes_as_stored_are_only_permuted(order):
    voxels = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    working = working_axes(oblique_affine("PSL"), order, "stored")
    np.testing.assert_array_equal(working.apply(voxels), voxels.transpose(0, *(1 + axis for axis in order)))
    np.testing.assert_array_equal(working.undo(working.apply(voxels)), voxels)


def test_spacing_is_the_length_of_a_voxel_step():
    assert spacing_mm(oblique_affine("LPS")) == (0.5, 1.0, 2.5)
    single = tuple(map(float, np.float32([0.7, 2.1, 5.0])))  # not rounded, as 2.1 / 0.7 is more than 3 otherwise
    assert spacing_mm(np.diag([-single[0], single[1], single[2], 1.0])) == single


def test_shear_is_the_cosine_between_axes():
    affine = np.eye(4)
    affine[0, 1] = np.tan(np.deg2rad(10))
    assert shear(np.diag([1.0, 2.0, 3.0, 1.0])) == 0
    assert shear(affine) == pytest.approx(np.sin(np.deg2rad(10)))


def test_bounding_box_is_the_extent_of_true_voxels():
    mask = np.zeros((5, 6, 7), dtype=bool)
    assert bounding_box(mask) is None
    mask[1, 2, 6] = mask[3, 4, 0] = True
    box = bounding_box(mask)
    assert box == ((1, 4), (2, 5), (0, 7))
    assert box_shape(box) == mask[box_slices(box)].shape == (3, 3, 7)
