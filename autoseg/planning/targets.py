"""What the planner needs of a fingerprint, and the two decisions that all others rest on.

nnU-Net works in (z, y, x) order and ties are resolved by that order, so everything here is in
canonical axes reversed: column 0 is down-up, 1 is back-front, 2 is left-right.
Source: nnU-Net 2.8.1, default experiment planner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autoseg.core.fingerprint import Fingerprint, sizes_of
from autoseg.core.plan import Normalization

ANISOTROPY = 3.0  # from this ratio on, a spacing or size counts as anisotropic
MASK_BELOW_RELATIVE_SIZE = 0.75  # the crop removes at least a quarter: the background is empty

_NORMALIZATIONS: dict[str, Normalization] = {
    "ct": "ct",
    "nonorm": "none",
    "zscore": "zscore",
    "rescale_to_0_1": "rescale_0_1",
    "rgb_to_0_1": "rgb_0_1",
}


@dataclass(frozen=True, eq=False)
class DatasetSummary:
    """``spacings_mm`` and ``shapes`` (after the crop) are ``(N, 3)`` in (z, y, x) order.

    ``num_training`` counts the training cases; it is N unless only a part of them was measured.
    ``num_labels`` counts the names in the label dictionary as nnU-Net does: background, ignore and every region.
    """

    spacings_mm: npt.NDArray[np.float64]
    shapes: npt.NDArray[np.int64]
    num_training: int
    num_labels: int
    channels: tuple[str, ...]
    median_relative_size: float


def summarize(fingerprint: Fingerprint) -> DatasetSummary:
    """The fingerprint in (z, y, x) order; every entry of the labels counts as a class, as in nnU-Net."""
    sizes = sizes_of(fingerprint.cases)
    return DatasetSummary(
        spacings_mm=sizes.spacing_mm[:, ::-1],
        shapes=sizes.shape_after_crop[:, ::-1],
        num_training=len(fingerprint.cases),
        num_labels=len(fingerprint.labels.values),
        channels=fingerprint.channels,
        median_relative_size=sizes.median_relative_size_after_crop,
    )


def target_spacing(summary: DatasetSummary) -> npt.NDArray[np.float64]:
    """The median spacing (z, y, x); of an axis with few thick slices, the 10th percentile.

    That percentile is never finer than the other two axes, so that this axis remains the coarsest.
    """
    target = np.percentile(summary.spacings_mm, 50, axis=0)  # rounds the mean of two otherwise than the median
    sizes = np.median(summary.shapes, axis=0)
    coarsest = int(np.argmax(target))
    others = [axis for axis in range(3) if axis != coarsest]
    coarsest_other = max(target[others])
    if target[coarsest] > ANISOTROPY * coarsest_other and sizes[coarsest] * ANISOTROPY < min(sizes[others]):
        finer = float(np.percentile(summary.spacings_mm[:, coarsest], 10))
        target[coarsest] = finer if finer >= coarsest_other else coarsest_other + 1e-5
    return target


def transpose_forward(spacing_mm: npt.NDArray[np.float64]) -> tuple[int, int, int]:
    """The coarsest axis first, the other two in (z, y, x) order."""
    first = int(np.argmax(spacing_mm))
    second, third = (axis for axis in range(3) if axis != first)
    return first, second, third


def resampled_shapes(summary: DatasetSummary, spacing_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """``(N, 3)`` sizes of the cases at ``spacing_mm``, both (z, y, x): rounded half to even.

    As in nnU-Net's planner 0 where less than half a voxel is left; the image that is made has at least 1.
    """
    return np.asarray(np.rint(summary.spacings_mm / spacing_mm * summary.shapes), dtype=np.int64)


def normalization(channel: str) -> Normalization:
    """The normalisation that a channel's name asks for: ``zscore`` unless it is one that nnU-Net knows."""
    return _NORMALIZATIONS.get(channel.casefold(), "zscore")


def mask_normalization(channel: str, median_relative_size: float) -> bool:
    """Whether the statistics of a channel are taken over nonzero voxels only."""
    return normalization(channel) == "zscore" and median_relative_size < MASK_BELOW_RELATIVE_SIZE
