"""N4 bias field correction (Tustison et al., IEEE Transactions on Medical Imaging 2010) of one channel.

A coil is not equally sensitive everywhere: the image is the true one times a smooth field. N4 estimates the
logarithm of the field as a B-spline that makes the histogram of the logarithm of the image sharper.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

# Those of ANTs' N4BiasFieldCorrection and its examples: the field is smooth, so every 4th voxel is enough.
SHRINK_FACTOR = 4
ITERATIONS = (50, 50, 50, 50)  # of each level; a level has twice the B-spline elements of the one before
CONVERGENCE = 0.001  # a level ends when the field changes by less (coefficient of variation of the ratio)
SMALLEST_SHRUNKEN = 8  # voxels along an axis: below, the axis is shrunken less
STRIPPED_SHARE = 0.1  # of voxels that are zero: the background was removed, and what is left is the mask


def correct_bias_field(channel: npt.NDArray[np.float32], spacing_mm: Sequence[float]) -> npt.NDArray[np.float32]:
    """``channel`` ``(X, Y, Z)`` over its bias field, which is estimated within ``correction_mask``.

    The field is 1 on average, so that the mean of its logarithm within the mask is 0. A channel of fewer than
    a hundred positive voxels, or of one intensity only, is returned as it is. One thread: the same bits everywhere.
    """
    mask = correction_mask(channel)
    if mask.sum() < 100 or np.ptp(channel[mask]) == 0:
        return np.array(channel, np.float32)
    sitk = _simple_itk()
    image = sitk.GetImageFromArray(np.ascontiguousarray(channel, np.float32))
    image.SetSpacing([float(step) for step in spacing_mm[::-1]])
    inside = sitk.GetImageFromArray(mask.astype(np.uint8))
    inside.CopyInformation(image)
    factors = [max(1, min(SHRINK_FACTOR, size // SMALLEST_SHRUNKEN)) for size in channel.shape[::-1]]
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations(list(ITERATIONS))
    n4.SetConvergenceThreshold(CONVERGENCE)
    n4.SetNumberOfThreads(1)  # cases are prepared side by side, and sums of several threads round differently
    n4.Execute(sitk.Shrink(image, factors), sitk.Shrink(inside, factors))
    log_field = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image))
    log_field -= log_field[mask].mean(dtype=np.float64)
    corrected: npt.NDArray[np.float32] = (channel / np.exp(log_field)).astype(np.float32)
    return corrected


def correction_mask(channel: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Where the field is estimated: positive voxels (of others there is no logarithm).

    Unless a tenth of all voxels is zero (the background was removed), only those above Otsu's threshold: what
    is dark is air, in which there is noise but no field.
    """
    mask: npt.NDArray[np.bool_] = channel > 0
    if (channel == 0).mean() >= STRIPPED_SHARE or not mask.any():
        return mask
    sitk = _simple_itk()
    values = sitk.GetImageFromArray(channel[mask][None])
    bright = sitk.OtsuThreshold(values, 0, 1)
    mask[mask] = sitk.GetArrayFromImage(bright)[0].astype(np.bool_)
    return mask


def _simple_itk() -> Any:
    """The module without its partial annotations."""
    import SimpleITK

    return SimpleITK
