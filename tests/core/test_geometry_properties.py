"""Any affine: directions, lengths and shear at random, against nibabel."""

from __future__ import annotations

from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autoseg.core.geometry import canonical_axes, spacing_mm, working_axes
from tests.core.affines import affines, shapes

SEEDED = settings(max_examples=60, derandomize=True, deadline=None)
ORDERS = st.permutations(range(3))


def clearly_turned(affine: npt.NDArray[np.float64]) -> bool:
    """Whether each axis is closest to another direction of the world, so that there is one answer."""
    left, _, right = np.linalg.svd(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    sizes = np.sort(np.abs(left @ right), axis=0)
    nearest = np.argmax(np.abs(left @ right), axis=0)
    return len(set(nearest.tolist())) == 3 and bool(np.all(sizes[2] - sizes[1] > 1e-6))


def world(affine: npt.NDArray[np.float64], shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """The RAS position of every voxel, ``(3, X, Y, Z)``."""
    positions: npt.NDArray[np.float64] = np.einsum("ij,jxyz->ixyz", affine[:3, :3], np.indices(shape))
    return positions + affine[:3, 3, None, None, None]


@SEEDED
@given(affines(), shapes(1, 6), st.integers(0, 2**32 - 1))
def test_canonical_axes_are_those_of_nibabel(affine: Any, shape: tuple[int, ...], seed: int) -> None:
    assume(clearly_turned(affine))
    voxels = np.random.default_rng(seed).normal(size=shape)
    expected = nibabel.as_closest_canonical(nibabel.Nifti1Image(voxels, affine))
    reorientation = canonical_axes(affine)
    np.testing.assert_array_equal(reorientation.apply(voxels), expected.get_fdata())
    turned = np.stack([reorientation.apply(field) for field in world(affine, shape)])
    np.testing.assert_allclose(turned, world(expected.affine, expected.shape), atol=1e-9)


@SEEDED
@given(affines(), shapes(1, 6), ORDERS, st.sampled_from(["canonical", "stored"]))
def test_undo_puts_every_voxel_back(affine: Any, shape: tuple[int, ...], order: list[int], orientation: Any) -> None:
    voxels = np.arange(2 * np.prod(shape)).reshape(2, *shape)
    reorientation = working_axes(affine, order, orientation)
    working = reorientation.apply(voxels)
    assert working.shape == (2, *(shape[axis] for axis in reorientation.axes))
    assert sorted(reorientation.axes) == [0, 1, 2]
    np.testing.assert_array_equal(reorientation.undo(working), voxels)
    np.testing.assert_array_equal(reorientation.apply(reorientation.undo(working)), working)


@SEEDED
@given(affines())
def test_spacing_is_the_distance_of_neighbours(affine: Any) -> None:
    neighbours = [np.linalg.norm(affine[:3, axis]) for axis in range(3)]
    np.testing.assert_allclose(spacing_mm(affine), neighbours, atol=1e-11)
