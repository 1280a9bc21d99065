"""Whether the grid in an image header can be used, and whether two grids agree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from autoseg.core.errors import BadInput

PIXDIM_TOLERANCE = 0.01  # relative
PIXDIM_ROUNDING = 1e-6  # relative: what float32 leaves of it in an oblique affine
GRID_TOLERANCE = 0.05  # voxels, at the corners: rounding of headers stays below, a real shift does not

FLAT = 999.0  # the side of a 2D image across its plane, in units of its larger pixel side, as in nnU-Net
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

Grid = tuple[tuple[int, int, int], npt.NDArray[np.float64]]  # (X, Y, Z) and the RAS affine


class Stored(NamedTuple):
    """``(C, X, Y, Z)``, the RAS affine, and the voxel sides where a header states them more exactly than the affine."""

    voxels: npt.NDArray[Any]
    affine: npt.NDArray[np.float64]
    spacing_mm: tuple[float, float, float] | None = None


def grid_difference(
    shape: Sequence[int], affine: npt.NDArray[np.float64], other: Sequence[int], other_affine: npt.NDArray[np.float64]
) -> str | None:
    """In words, how two grids differ (to be followed by the name of the first); None if they agree.

    Grids agree when their shapes are equal and no corner moves by more than 0.05 of the smallest voxel side.
    """
    if tuple(shape) != tuple(other):
        return f"its size {'x'.join(map(str, other))} is not the {'x'.join(map(str, shape))} of"
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape], [1])).reshape(4, -1)
    moved_mm = float(np.linalg.norm(((affine - other_affine) @ corners)[:3], axis=0).max())
    if moved_mm > GRID_TOLERANCE * float(np.linalg.norm(affine[:3, :3], axis=0).min()):
        return f"its grid lies up to {moved_mm:.3g} mm away from that of"
    return None


def checked_grid(
    path: Path, shape: Sequence[int], affine: npt.NDArray[np.float64], pixdim_mm: npt.NDArray[np.float64]
) -> Grid:
    """``(X, Y, Z)`` and the affine of a header, or BadInput when it is not 2D or 3D or its geometry is unusable.

    A 2D image is one slice, ``FLAT`` times as thick as its larger pixel side, so that every plan cuts slices in
    its plane. Trailing axes of size 1 are dropped. ``pixdim_mm`` is the voxel size that the header states apart from
    the affine; more than 1 % of difference is refused, because readers differ in which they believe.
    """
    if len(shape) < 2:
        raise BadInput(f"{path}: the image is {len(shape)}D; store it as a 2D or 3D image.")
    if len(shape) == 2:
        shape, affine = (*shape, 1), _flat_affine(affine)
        pixdim_mm = np.array([*pixdim_mm[:2], np.linalg.norm(affine[:3, 2])])
    if any(size != 1 for size in shape[3:]):
        volumes = "x".join(str(size) for size in shape[3:])
        raise BadInput(f"{path}: the image is {len(shape)}D with {volumes} volumes; store each as a 3D file.")
    if min(shape) < 1:
        raise BadInput(f"{path}: the image has no voxels (size {tuple(shape)}); restore the file.")
    if not np.isfinite(affine).all() or not np.isfinite(pixdim_mm).all():
        raise BadInput(f"{path}: the affine or pixdim holds NaN or infinity; repair the header.")
    sides_mm = np.linalg.norm(affine[:3, :3], axis=0)
    if sides_mm.min() <= 0 or pixdim_mm.min() <= 0:
        raise BadInput(f"{path}: a voxel side is 0 mm; repair the header.")
    if abs(np.linalg.det(affine[:3, :3] / sides_mm)) < 1e-3:
        raise BadInput(f"{path}: two axes of the affine point the same way; repair the header.")
    if np.any(np.abs(pixdim_mm - sides_mm) > PIXDIM_TOLERANCE * sides_mm):
        raise BadInput(
            f"{path}: pixdim says voxels of {_sides(pixdim_mm)} mm and the affine says {_sides(sides_mm)} mm; "
            "repair the header."
        )
    return (int(shape[0]), int(shape[1]), int(shape[2])), affine


def stated_spacing(
    affine: npt.NDArray[np.float64], pixdim_mm: npt.NDArray[np.float64]
) -> tuple[float, float, float] | None:
    """``pixdim_mm`` of a 3D header if the affine has the same voxel sides but for rounding, else None."""
    sides_mm = np.linalg.norm(affine[:3, :3], axis=0)
    if len(pixdim_mm) != 3 or np.any(np.abs(pixdim_mm - sides_mm) > PIXDIM_ROUNDING * sides_mm):
        return None
    x, y, z = pixdim_mm.tolist()
    return x, y, z


def flat_grid(columns: int, rows: int) -> Grid:
    """The grid of a picture without geometry: pixels of 1 mm, columns to the left and rows to the back.

    That is where SimpleITK places one, so the same picture has the same world in every format.
    """
    return (columns, rows, 1), LPS_TO_RAS @ np.diag([1.0, 1.0, FLAT, 1.0])


def _flat_affine(affine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """``affine`` with a third axis perpendicular to the plane of the first two."""
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    length = np.linalg.norm(normal)
    flat = affine.copy()
    flat[:3, 2] = FLAT * np.linalg.norm(affine[:3, :2], axis=0).max() * (normal / length if length else normal)
    return flat


def _sides(sides_mm: npt.NDArray[np.float64]) -> str:
    return " x ".join(f"{side:.4g}" for side in sides_mm)
