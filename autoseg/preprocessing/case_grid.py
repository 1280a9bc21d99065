"""Which box of a case is kept, and the grid that it is resampled to. All axes are working axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from autoseg.core.geometry import Box, Shape, bounding_box, box_shape
from autoseg.core.plan import Configuration


def crop_box(nonzero: npt.NDArray[np.bool_], spacing_mm: Sequence[float], configuration: Configuration) -> Box:
    """Around the nonzero voxels, the whole case, or the patch size in the middle of the network's axes.

    The middle (its odd voxel below) is as large as the patch once it is resampled, unless the case is smaller.
    """
    whole = tuple((0, size) for size in nonzero.shape)
    if configuration.crop == "nonzero":
        return bounding_box(nonzero) or whole
    if configuration.crop == "none":
        return whole
    first = 3 - len(configuration.patch_size)
    target = spacing_mm[first:] if configuration.native_spacing else configuration.spacing_mm
    box = list(whole)
    for axis, (patch, own, new) in enumerate(zip(configuration.patch_size, spacing_mm[first:], target, strict=True)):
        extent = nonzero.shape[first + axis]
        size = min(extent, max(1, round(patch * new / own)))
        start = (extent - size) // 2
        box[first + axis] = (start, start + size)
    return tuple(box)


def prepared_grid(
    box: Box, spacing_mm: Sequence[float], configuration: Configuration
) -> tuple[Shape, tuple[float, ...]]:
    """Shape and spacing of the prepared case: what was asked for, or what follows from ``resized_shape``."""
    if configuration.resized_shape is not None:
        shape: Shape = configuration.resized_shape
        pairs = zip(box_shape(box), spacing_mm, shape, strict=True)
        return shape, tuple(size * spacing / new for size, spacing, new in pairs)
    if configuration.native_spacing:
        return box_shape(box), tuple(spacing_mm)
    target = (*spacing_mm[: 3 - len(configuration.spacing_mm)], *configuration.spacing_mm)
    return _resampled_shape(box_shape(box), spacing_mm, target), target


def crops_alike(one: Configuration, other: Configuration) -> bool:
    """Whether both keep the same box of every case, so that what they predict can be averaged."""
    if one.crop != "centre" or other.crop != "centre":
        return one.crop == other.crop
    sizes = (
        (each.patch_size, each.native_spacing, None if each.native_spacing else each.spacing_mm)
        for each in (one, other)
    )
    return len(set(sizes)) == 1


def _resampled_shape(shape: Shape, spacing_mm: Sequence[float], target_mm: Sequence[float]) -> Shape:
    """Whole voxels of the same extent, half to even as nnU-Net rounds, and at least one."""
    return tuple(
        max(1, round(spacing / target * size))
        for size, spacing, target in zip(shape, spacing_mm, target_mm, strict=True)
    )
