"""Distances between the skeletons of two masks, slice by slice: SHD and SMD of the grey-matter challenge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESOLUTION_MM = 0.1

Mask = npt.NDArray[np.bool_]
Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SkeletonScores:
    """Both in millimetres; None if no slice holds both masks."""

    shd_mm: float | None
    smd_mm: float | None


def skeleton_scores(
    prediction: Mask, reference: Mask, spacing_mm: Sequence[float], axial_axis: int = 2
) -> SkeletonScores:
    """SHD (skeletonised Hausdorff distance) and SMD (skeletonised median distance) of two masks ``(X, Y, Z)``.

    Every slice across ``axial_axis`` is scored by itself (``slice_distances``), and the scores of a case are the
    means over the slices that hold both masks. A slice that holds only one has no distance and is left out; the
    overlap scores count it. The slices themselves are scored as the Spinal Cord Toolbox scores them
    (``sct_compute_hausdorff_distance``; the larger median as in its multi-label registration). How the challenge
    (Prados et al., NeuroImage 2017) pools slices is not published: the mean is our choice.
    """
    slices = [np.moveaxis(mask, axial_axis, 0) for mask in (prediction, reference)]
    in_plane_mm = tuple(size for axis, size in enumerate(spacing_mm) if axis != axial_axis % 3)
    scores = [
        slice_distances(one, other, in_plane_mm)
        for one, other in zip(*slices, strict=True)
        if one.any() and other.any()
    ]
    if not scores:
        return SkeletonScores(None, None)
    maximal, median = np.mean(scores, axis=0).tolist()
    return SkeletonScores(shd_mm=maximal, smd_mm=median)


def slice_distances(one: Mask, other: Mask, spacing_mm: Sequence[float]) -> tuple[float, float]:
    """SHD and SMD in mm of two masks ``(X, Y)``, neither empty.

    SHD, the maximal local error, is the largest distance from a point of one skeleton to the closest point of the
    other. SMD, the global error, is the larger of the two directed medians, each over the distances that are not
    zero, and 0 if all are.
    """
    from scipy.spatial import KDTree

    points = [skeleton_points(mask, spacing_mm) for mask in (one, other)]
    directed = [np.asarray(KDTree(points[1 - side]).query(points[side])[0]) for side in (0, 1)]
    medians = [float(np.median(distances[distances > 0])) if distances.any() else 0.0 for distances in directed]
    return max(float(distances.max()) for distances in directed), max(medians)


def skeleton_points(mask: Mask, spacing_mm: Sequence[float]) -> Points:
    """The skeleton of a mask ``(X, Y)`` as points ``(N, 2)`` in mm from the corner of the mask.

    The mask is resampled to pixels of ``RESOLUTION_MM`` (nearest neighbour), along an axis with smaller voxels to
    those, and thinned to lines of one pixel (Zhang and Suen, CACM 1984). Parts that do not touch, not even by a
    corner, are thinned one by one, which changes nothing and is fast where they are small and far apart.
    """
    from scipy import ndimage
    from skimage.morphology import skeletonize

    steps_mm = [min(RESOLUTION_MM, size_mm) for size_mm in spacing_mm]
    nearest = []
    for size, size_mm, step_mm in zip(mask.shape, spacing_mm, steps_mm, strict=True):
        centres = (np.arange(max(1, round(size * size_mm / step_mm))) + 0.5) * (step_mm / size_mm)
        # A centre between two voxels is rounding's to decide: the sum lets all of them fall to the same side.
        nearest.append(np.minimum((centres + 1e-9).astype(np.intp), size - 1))
    parts = ndimage.label(mask, np.ones((3, 3)))[0]
    points = []
    for number, box in enumerate(ndimage.find_objects(parts), start=1):
        first = [np.searchsorted(near, axis.start) for near, axis in zip(nearest, box, strict=True)]
        inside = [near[(near >= axis.start) & (near < axis.stop)] for near, axis in zip(nearest, box, strict=True)]
        thin = skeletonize(parts[np.ix_(*inside)] == number, method="zhang")  # type: ignore[no-untyped-call]
        points.append((np.argwhere(thin) + np.array(first) + 0.5) * np.array(steps_mm))
    return np.concatenate(points)
