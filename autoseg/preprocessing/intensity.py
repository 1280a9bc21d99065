"""Intensity normalisation of one channel (schemes and constants of nnU-Net v2, ``preprocessing/normalization``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.core.fingerprint import IntensityStatistics
from autoseg.core.plan import Normalization

SMALLEST_DIVISOR = 1e-8

Slabs = Callable[[], Iterable[npt.NDArray[np.float32]]]  # contiguous, made anew at each call


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
    _scale(result, scheme, statistics, _own(scheme, lambda: (inside,)))
    if mask is not None:
        result[~mask] = 0
    return result


def normalized_planes(
    channel: npt.NDArray[np.float32],
    scheme: Normalization,
    statistics: IntensityStatistics,
    mask: npt.NDArray[np.bool_] | None,
    planes_at_a_time: int,
) -> Callable[[slice], npt.NDArray[np.float32]]:
    """What gives planes of axis 0 of the result of ``normalize``, bit for bit, without the whole of it.

    Without a mask nothing larger than ``planes_at_a_time`` is made.
    """

    def inside() -> Iterator[npt.NDArray[np.float32]]:
        if mask is not None:
            yield np.asarray(channel[mask], np.float32)
            return
        for start in range(0, len(channel), planes_at_a_time):
            yield np.array(channel[start : start + planes_at_a_time], np.float32, order="C")

    own = _own(scheme, inside)

    def normalized(planes: slice) -> npt.NDArray[np.float32]:
        result = np.array(channel[planes], np.float32, order="C")
        _scale(result, scheme, statistics, own)
        if mask is not None:
            result[~mask[planes]] = 0
        return result

    return normalized


def _own(scheme: Normalization, slabs: Slabs) -> tuple[Any, Any] | None:
    """The statistics of the channel itself that ``scheme`` needs: mean and deviation, or the range."""
    if scheme == "zscore":
        return _mean_and_std(slabs)
    if scheme == "rescale_0_1":
        ends = [(slab.min(), slab.max()) for slab in slabs() if slab.size]
        return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else None
    return None


def _scale(
    result: npt.NDArray[np.float32],
    scheme: Normalization,
    statistics: IntensityStatistics,
    own: tuple[Any, Any] | None,
) -> None:
    """In place."""
    if scheme == "zscore" and own is not None:
        mean, std = own
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
    elif scheme == "rescale_0_1" and own is not None:
        low, high = own
        result -= low
        result /= max(high - low, np.float32(SMALLEST_DIVISOR))
    elif scheme == "rgb_0_1":
        result /= np.float32(255)


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


def _mean_and_std(slabs: Slabs) -> tuple[float, float] | None:
    """Mean and population standard deviation in float64, plane by plane: no float64 copy of the whole."""

    def lines() -> Iterator[npt.NDArray[np.float32]]:
        for values in slabs():
            yield from values.reshape(len(values), -1) if values.ndim > 1 and values.size else values.reshape(1, -1)

    mean, size = 0.0, 0
    for line in lines():
        mean, size = mean + float(line.sum(dtype=np.float64)), size + line.size
    if not size:
        return None
    mean /= size
    squares = (line.astype(np.float64) - mean for line in lines())
    return mean, float(np.sqrt(sum(float(line @ line) for line in squares) / size))
