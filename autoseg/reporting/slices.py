"""Which slices of a volume show most of a segmentation and of its errors, and how they lie on a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from autoseg.core.geometry import Box, bounding_box

ANISOTROPIC = 3.0  # largest over smallest spacing, from which slices along the coarse axis alone are shown
NUM_VIEWS = 3
MARGIN_OF_LABELS = 0.3  # around the labels, of their largest extent
LEAST_MARGIN = 0.1  # of the largest extent of the volume
# Of a slice across each axis (R, A, S): the axis that runs to the right of the picture, and the one that runs up.
IN_PLANE = ((1, 2), (0, 2), (0, 1))

Kind = TypeVar("Kind", bound=np.generic)
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class View:
    """The slice ``index`` across ``axis`` (0 sagittal, 1 coronal, 2 axial)."""

    axis: int
    index: int

    def cut(self, voxels: npt.NDArray[Kind]) -> npt.NDArray[Kind]:
        """The slice of ``(X, Y, Z)`` as a picture ``(rows, columns)``, the first row at the top.

        Up is superior, or anterior in an axial slice; the right of the picture is anterior in a sagittal slice, else
        the right of the patient.
        """
        plane: npt.NDArray[Kind] = np.take(voxels, self.index, axis=self.axis).T[::-1]
        return plane

    def pixel_mm(self, spacing_mm: tuple[float, float, float]) -> tuple[float, float]:
        """The height and width of a voxel in the picture."""
        right, up = IN_PLANE[self.axis]
        return spacing_mm[up], spacing_mm[right]


def choose_views(labelled: Mask, errors: Mask, spacing_mm: tuple[float, float, float]) -> tuple[View, ...]:
    """Up to three slices of ``(X, Y, Z)``: those with the most voxels of ``errors``, else the most ``labelled`` ones.

    One across each axis; where spacings differ by more than ``ANISOTROPIC``, three across the coarsest axis, the best
    of each third of the slices that show anything; the only one of an image of one slice. Of equal ones the one with
    more labels counts, then the one nearest to the middle.
    """
    shape = labelled.shape
    thin = [axis for axis in range(3) if shape[axis] == 1]
    if thin:
        return (View(thin[-1], 0),)
    if max(spacing_mm) > ANISOTROPIC * min(spacing_mm):
        axis = int(np.argmax(spacing_mm))
        shown = _counts(errors if errors.any() else labelled, axis)
        places = np.flatnonzero(shown) if shown.any() else np.arange(shape[axis])
        parts = [part for part in np.array_split(places, NUM_VIEWS) if part.size]
        return tuple(View(axis, _best(labelled, errors, axis, part)) for part in parts)
    return tuple(View(axis, _best(labelled, errors, axis, np.arange(shape[axis]))) for axis in range(3))


def box_to_show(labelled: Mask, spacing_mm: tuple[float, float, float]) -> Box:
    """The box around all labels with a margin, the same in mm along each axis; everything where there is no label."""
    shape, spacing = np.array(labelled.shape), np.array(spacing_mm)
    box = bounding_box(labelled)
    if box is None:
        return tuple((0, size) for size in labelled.shape)
    low, high = np.array(box).T
    margin_mm = max(MARGIN_OF_LABELS * ((high - low) * spacing).max(), LEAST_MARGIN * (shape * spacing).max())
    margin = np.ceil(margin_mm / spacing).astype(int)
    pairs = zip(np.maximum(low - margin, 0).tolist(), np.minimum(high + margin, shape).tolist(), strict=True)
    return tuple((int(start), int(stop)) for start, stop in pairs)


def _best(labelled: Mask, errors: Mask, axis: int, places: npt.NDArray[np.intp]) -> int:
    """The place with the most errors, then labels, then nearest to the middle."""
    middle = -np.abs(places - (labelled.shape[axis] - 1) / 2)
    order = np.lexsort((middle, _counts(labelled, axis)[places], _counts(errors, axis)[places]))
    return int(places[order[-1]])


def _counts(mask: Mask, axis: int) -> npt.NDArray[np.intp]:
    counts: npt.NDArray[np.intp] = mask.sum(axis=tuple(other for other in range(3) if other != axis))
    return counts
