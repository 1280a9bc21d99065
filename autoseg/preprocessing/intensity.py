"""Intensity normalisation of one channel (schemes and constants of nnU-Net v2, ``preprocessing/normalization``)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from autoseg.core.fingerprint import IntensityStatistics
from autoseg.core.plan import Normalization

SMALLEST_DIVISOR = 1e-8


def normalize(
    channel: npt.NDArray[np.float32],
    scheme: Normalization,
    statistics: IntensityStatistics,
    mask: npt.NDArray[np.bool_] | None,
) -> npt.NDArray[np.float32]:
    """A normalised, contiguous copy of ``channel`` ``(*shape)``.

    ``zscore``: minus the mean of the channel, over its standard deviation. ``ct``: clipped to the dataset's
    0.5 and 99.5 percentiles, minus its mean, over its standard deviation (``statistics``, foreground only).
    ``dataset_zscore``: minus the mean over whole images of the dataset, over its standard deviation.
    ``rescale_0_1``: the range of the channel to 0..1. ``rgb_0_1``: over 255. ``none``: as it is.
    With a ``mask`` of the same shape the channel's own statistics are taken within it, and all is 0 outside.
    """
    result = np.array(channel, np.float32, order="C")
    inside = result if mask is None else result[mask]
    if scheme == "zscore" and inside.size:
        mean, std = _mean_and_std(inside)
        result -= np.float32(mean)
        result /= np.float32(max(std, SMALLEST_DIVISOR))
    elif scheme == "ct":
        np.clip(result, statistics.percentile_00_5, statistics.percentile_99_5, out=result)
        result -= np.float32(statistics.mean)
        result /= np.float32(max(statistics.std, SMALLEST_DIVISOR))
    elif scheme == "dataset_zscore":
        mean, std = whole_statistics(statistics)
        result -= np.float32(mean)
        result /= np.float32(max(std, SMALLEST_DIVISOR))
    elif scheme == "rescale_0_1" and inside.size:
        low, high = inside.min(), inside.max()
        result -= low
        result /= max(high - low, np.float32(SMALLEST_DIVISOR))
    elif scheme == "rgb_0_1":
        result /= np.float32(255)
    if mask is not None:
        result[~mask] = 0
    return result


def whole_statistics(statistics: IntensityStatistics) -> tuple[float, float]:
    """Mean and standard deviation over whole images; ValueError where the plan does not tell them."""
    if statistics.whole_mean is None or statistics.whole_std is None:
        raise ValueError("there are no statistics of whole images")
    return statistics.whole_mean, statistics.whole_std


def value_of_zero(scheme: Normalization, statistics: IntensityStatistics) -> float:
    """What the intensity 0 becomes where that is the same in all cases; else 0."""
    if scheme != "dataset_zscore":
        return 0.0
    mean, std = whole_statistics(statistics)
    return -mean / max(std, SMALLEST_DIVISOR)


def _mean_and_std(values: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Mean and population standard deviation in float64, plane by plane: no float64 copy of the whole."""
    lines = values.reshape(len(values), -1) if values.ndim > 1 else values.reshape(1, -1)
    mean = sum(float(line.sum(dtype=np.float64)) for line in lines) / values.size
    squares = (line.astype(np.float64) - mean for line in lines)
    return mean, float(np.sqrt(sum(float(line @ line) for line in squares) / values.size))
