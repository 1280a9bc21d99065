"""How far two masks lie apart: distances between their surfaces, and between their voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ROUNDING_MM = 1e-6  # sums of squared spacings may round a distance that equals the tolerance to just above it

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SurfaceScores:
    """HD, HD95 and ASSD in millimetres; NSD is a share from 0 to 1."""

    hd_mm: float
    hd95_mm: float
    assd_mm: float
    nsd: float


def surface_scores(
    prediction: Mask, reference: Mask, spacing_mm: Sequence[float], tolerance_mm: float = 1.0
) -> SurfaceScores:
    """Distances between the surfaces of two masks of the same shape ``(X, Y, Z)``, neither of them empty.

    A surface is the voxels of a mask with a face neighbour outside it or outside the array; a distance is that
    from the centre of a surface voxel to the closest centre of the other surface, in millimetres. HD (Hausdorff
    distance) is the largest of both directions; HD95 is the larger of the two directed 95th percentiles (linear
    interpolation); ASSD (average symmetric surface distance, also called MSD, mean surface distance) is the mean
    over the distances of both directions pooled; NSD is the share of the pooled distances that are at most
    ``tolerance_mm`` (Nikolov et al., JMIR 2021, with voxels in place of surface elements). These are the
    definitions of MONAI.

    The cost grows with the array: cut it to the joint bounding box first, which changes nothing.
    """
    from scipy import ndimage

    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in (prediction, reference)]
    to_prediction, to_reference = (
        ndimage.distance_transform_edt(~surface, sampling=spacing_mm) for surface in surfaces
    )
    directed = [to_reference[surfaces[0]], to_prediction[surfaces[1]]]
    pooled = np.concatenate(directed)
    return SurfaceScores(
        hd_mm=float(pooled.max()),
        hd95_mm=max(float(np.percentile(distances, 95)) for distances in directed),
        assd_mm=float(pooled.mean()),
        nsd=float((pooled <= tolerance_mm + ROUNDING_MM).mean()),
    )


def hausdorff_voxels(prediction: Mask, reference: Mask) -> float:
    """The Hausdorff distance between all voxels of two masks ``(X, Y, Z)``, neither empty, in voxels.

    The largest distance from a voxel of one mask to the closest voxel of the other; voxels of both have distance 0
    and the spacing does not count. This is SimpleITK's HausdorffDistance of images without spacing, with which
    VoxHRNet (Li et al., 2021) was evaluated. It is not the HD between surfaces in other units, and neither bounds
    the other: a hole in one mask adds to its surface but hardly to its voxels, and the inside of a thick mask can
    be further from a thin one around it than its surface is.

    Cutting the masks to their joint bounding box changes nothing.
    """
    from scipy import ndimage

    directed = (
        ndimage.distance_transform_edt(~other)[one] for one, other in ((prediction, reference), (reference, prediction))
    )
    return max(float(distances.max()) for distances in directed)
