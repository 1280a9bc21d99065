"""Agreement of grids, against the corners moved one by one."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.io.grids import GRID_TOLERANCE, checked_grid, flat_grid, grid_difference

SHAPE, SPACING = (20, 30, 10), np.array([0.5, 0.5, 4.0])
AFFINE = np.diag([*SPACING, 1.0])


@pytest.mark.parametrize("angle", [1e-5, 5e-4, 2e-3, 1e-2])
def test_the_worst_corner_decides(angle: float) -> None:
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turned = turned @ AFFINE
    corners = [np.array([*corner, 1]) for corner in itertools.product(*[(0, size - 1) for size in SHAPE])]
    worst_mm = max(float(np.linalg.norm((turned @ corner - AFFINE @ corner)[:3])) for corner in corners)
    difference = grid_difference(SHAPE, AFFINE, SHAPE, turned)
    assert (difference is None) == (worst_mm <= GRID_TOLERANCE * 0.5)
    if difference:
        assert f"{worst_mm:.3g} mm" in difference


def test_shapes() -> None:
    assert grid_difference(SHAPE, AFFINE, SHAPE, AFFINE) is None
    assert grid_difference(SHAPE, AFFINE, (20, 30, 11), AFFINE) == "its size 20x30x11 is not the 20x30x10 of"


@pytest.mark.parametrize(
    ("shape", "spacing", "pixdim", "message"),
    [
        ((4,), (1, 1, 1), (1, 1, 1), "1D"),
        ((4, 4, 4, 3), (1, 1, 1), (1, 1, 1), "3 volumes"),
        ((4, 0, 4), (1, 1, 1), (1, 1, 1), "no voxels"),
        ((4, 4, 4), (1, 0, 1), (1, 1, 1), "0 mm"),
        ((4, 4, 4), (1, 1, 1), (1, 0, 1), "0 mm"),
        ((4, 4, 4), (1, 1, 2), (1, 1, 1), "pixdim says voxels of 1 x 1 x 1 mm and the affine says 1 x 1 x 2 mm"),
        ((4, 4, 4), (1, 1, np.nan), (1, 1, 1), "NaN"),
    ],
)
def test_refused(shape: tuple[int, ...], spacing: tuple[float, ...], pixdim: tuple[float, ...], message: str) -> None:
    with pytest.raises(BadInput, match=f"a.nii: .*{message}"):
        checked_grid(Path("a.nii"), shape, np.diag([*spacing, 1.0]), np.array(pixdim, dtype=float))


def test_accepted() -> None:
    shape, affine = checked_grid(Path("a.nii"), (4, 5, 6, 1), AFFINE, SPACING * 1.009)
    assert shape == (4, 5, 6)
    np.testing.assert_array_equal(affine, AFFINE)


def test_a_2d_image_is_one_slice_999_times_as_thick_as_its_larger_pixel_side() -> None:
    """As nnU-Net, so that every plan cuts its slices in the plane of the image."""
    plane = np.array([[0.0, -0.7, 0, 3], [0.5, 0, 0, 4], [0, 0, 0, 5], [0, 0, 0, 1]])
    shape, affine = checked_grid(Path("a.nii"), (6, 5), plane, np.array([0.5, 0.7, 0.0]))
    assert shape == (6, 5, 1)
    np.testing.assert_array_equal(affine[:, [0, 1, 3]], plane[:, [0, 1, 3]])
    np.testing.assert_allclose(affine[:3, 2], [0, 0, 999 * 0.7])
    with pytest.raises(BadInput, match="0 mm"):
        checked_grid(Path("a.nii"), (6, 5), np.zeros((4, 4)), np.array([0.5, 0.7]))
    assert flat_grid(7, 5)[0] == (7, 5, 1)
    np.testing.assert_array_equal(flat_grid(7, 5)[1], np.diag([-1.0, -1.0, 999.0, 1.0]))
