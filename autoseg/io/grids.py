"""Whether the grid in an image header can be used, and whether two grids agree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autoseg.core.errors import BadInput

PIXDIM_TOLERANCE = 0.01  # relative
GRID_TOLERANCE = 0.05  # voxels, at the corners: rounding of headers stays below, a real shift does not

Grid = tuple[tuple[int, int, int], npt.NDArray[np.float64]]  # (X, Y, Z) and the RAS affine


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
    """``(X, Y, Z)`` and the affine of a header, or BadInput when it is not 3D or its geometry is unusable.

    Trailing axes of size 1 are dropped. ``pixdim_mm`` is the voxel size that the header states apart from
    the affine; more than 1 % of difference is refused, because readers differ in which they believe.
    """
    if len(shape) < 3:
        raise BadInput(f"{path}: the image is {len(shape)}D; store it as a 3D image with one slice.")
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


def _sides(sides_mm: npt.NDArray[np.float64]) -> str:
    return " x ".join(f"{side:.4g}" for side in sides_mm)
