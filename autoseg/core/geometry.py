"""Affines, spacing, axis order and boxes.

An affine is the ``(4, 4)`` matrix from voxel index ``(x, y, z, 1)`` to millimetres in RAS
(x to the right, y to the front, z up), as in nibabel. *Canonical* axes are the axes of an image
reordered and flipped so that they run closest to R, A, S.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Literal

import numpy as np
import numpy.typing as npt

Shape = tuple[int, ...]
Box = tuple[tuple[int, int], ...]  # half-open (start, stop) per axis
Orientation = Literal["canonical", "stored"]


@dataclass(frozen=True)
class Reorientation:
    """Working axis ``i`` is stored axis ``axes[i]``, reversed where ``flips[i]``."""

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def apply(self, voxels: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """``(..., X, Y, Z)`` stored -> ``(..., *working)``, a view."""
        first = voxels.ndim - 3
        moved = voxels.transpose(*range(first), *(first + axis for axis in self.axes))
        return moved[self._index()]

    def undo(self, voxels: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """``(..., *working)`` -> ``(..., X, Y, Z)`` stored, a view; the inverse of ``apply``."""
        first = voxels.ndim - 3
        unflipped = voxels[self._index()]
        return unflipped.transpose(*range(first), *(first + int(axis) for axis in np.argsort(self.axes)))

    def _index(self) -> tuple[EllipsisType | slice, ...]:
        return (..., *(slice(None, None, -1 if flip else 1) for flip in self.flips))


def spacing_mm(affine: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Voxel size along each stored axis, in millimetres: the column norms of the affine.

    Exact along the axes of the world; of an oblique axis to 1e-12 mm, which undoes the rounding of the norm.
    """
    x, y, z = (
        float(np.abs(column).max()) if np.count_nonzero(column) == 1 else round(float(np.linalg.norm(column)), 12)
        for column in affine[:3, :3].T
    )
    return x, y, z


def canonical_axes(affine: npt.NDArray[np.float64]) -> Reorientation:
    """The reorientation from stored axes to canonical (RAS) axes.

    A sheared affine is replaced by its closest rotation (the orthogonal polar factor) first.
    """
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(directions)
    rotation = left @ right  # rows: R, A, S; columns: stored axes
    remaining = np.abs(rotation)
    axes, flips = [0, 0, 0], [False, False, False]
    for _ in range(3):
        world, stored = np.unravel_index(int(np.argmax(remaining)), (3, 3))
        axes[world], flips[world] = int(stored), bool(rotation[world, stored] < 0)
        remaining[world, :] = remaining[:, stored] = -1
    return Reorientation((axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2]))


def working_axes(
    affine: npt.NDArray[np.float64], axis_order: Sequence[int], orientation: Orientation = "canonical"
) -> Reorientation:
    """Stored axes -> canonical axes -> permuted by the plan's ``axis_order``.

    ``axis_order[i]`` is the canonical axis (0 = left-right, 1 = back-front, 2 = down-up) that
    becomes working axis ``i``. With ``stored`` it is the stored axis, and nothing is flipped.
    """
    a, b, c = axis_order
    if orientation == "stored":
        return Reorientation((a, b, c), (False, False, False))
    canonical = canonical_axes(affine)
    return Reorientation(
        (canonical.axes[a], canonical.axes[b], canonical.axes[c]),
        (canonical.flips[a], canonical.flips[b], canonical.flips[c]),
    )


def orientation_code(affine: npt.NDArray[np.float64]) -> str:
    """Where the stored axes point, such as ``"LPS"`` (as nibabel's ``aff2axcodes``)."""
    canonical = canonical_axes(affine)
    letters = [""] * 3
    for world, (axis, flip) in enumerate(zip(canonical.axes, canonical.flips, strict=True)):
        letters[axis] = ("LPI" if flip else "RAS")[world]
    return "".join(letters)


def shear(affine: npt.NDArray[np.float64]) -> float:
    """The largest absolute cosine between two axes: 0 for an orthogonal affine."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    gram = np.abs(directions.T @ directions)
    return float((gram - np.diag(np.diag(gram))).max())


def bounding_box(mask: npt.NDArray[np.bool_]) -> Box | None:
    """The smallest box around the true voxels of ``mask``; None if there are none."""
    box = []
    for axis in range(mask.ndim):
        line = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        if line.size == 0:
            return None
        box.append((int(line[0]), int(line[-1]) + 1))
    return tuple(box)


def box_slices(box: Box) -> tuple[slice, ...]:
    """The box as an index."""
    return tuple(slice(start, stop) for start, stop in box)


def box_shape(box: Box) -> Shape:
    """The size of the box in voxels."""
    return tuple(stop - start for start, stop in box)
