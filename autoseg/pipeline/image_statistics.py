"""The intensities of an image, and whether its values look like those of a label map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.io.images import INTEGER_TOLERANCE

MOST_LABELS = 1024
LARGEST_LABEL = np.iinfo(np.uint16).max  # that a label map can hold
SAME_NEIGHBOURS = 0.5
_SAMPLE = 10_000
_WIDEST_RANGE = 2**16

Counts = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]  # ascending values and how many voxels have each


@dataclass(frozen=True)
class Intensities:
    """Of the finite voxels of one channel; None where there are none. ``sd`` divides by n."""

    minimum: float | None
    percentile_01: float | None
    median: float | None
    percentile_99: float | None
    maximum: float | None
    mean: float | None
    sd: float | None
    share_zero: float | None
    num_not_finite: int


def whole_number_counts(voxels: npt.NDArray[Any]) -> Counts | None:
    """The values of ``(X, Y, Z)`` and their voxels, if all are whole numbers (to 1e-3) in a range of 65536; else None.

    Percentiles and labels then follow from a histogram, in a fraction of the time of sorting.
    """
    flat = voxels.ravel(order="K")
    if flat.dtype.kind == "f":
        sample = flat[:: max(1, flat.size // _SAMPLE)]
        if not (_are_whole(sample) and _are_whole(flat)):
            return None
    if not flat.size or float(flat.max()) - float(flat.min()) >= _WIDEST_RANGE:
        return None
    lowest = int(np.rint(flat.min()))
    numbers = (np.rint(flat) if flat.dtype.kind == "f" else flat).astype(np.int64) - lowest
    counts = np.bincount(numbers)
    values = np.flatnonzero(counts)
    return values + lowest, counts[values].astype(np.int64)


def intensities(voxels: npt.NDArray[Any], counts: Counts | None) -> Intensities:
    """The statistics of one channel ``(X, Y, Z)``; ``counts`` are those of ``whole_number_counts``."""
    if counts is not None:
        values, numbers = counts[0].astype(np.float64), counts[1]
        low, median, high = (_percentile(values, numbers, share) for share in (0.01, 0.5, 0.99))
        mean = float(np.average(values, weights=numbers))
        sd = float(np.sqrt(np.average((values - mean) ** 2, weights=numbers)))
        zero = float(numbers[values == 0].sum() / numbers.sum())
        return Intensities(float(values[0]), low, median, high, float(values[-1]), mean, sd, zero, 0)
    flat = voxels.ravel(order="K")
    finite = np.isfinite(flat)
    bad = int(flat.size - np.count_nonzero(finite))
    flat = flat[finite] if bad else flat
    if not flat.size:
        return Intensities(None, None, None, None, None, None, None, None, bad)
    low, median, high = (float(value) for value in np.percentile(flat, (1, 50, 99)))
    mean, sd = float(flat.mean(dtype=np.float64)), float(flat.std(dtype=np.float64))
    zero = 1 - np.count_nonzero(flat) / flat.size
    return Intensities(float(flat.min()), low, median, high, float(flat.max()), mean, sd, zero, bad)


def looks_like_labels(voxels: npt.NDArray[Any], counts: Counts | None) -> bool:
    """Whether ``(X, Y, Z)`` looks like a label map.

    That is: whole numbers from 0 on, no more than 1024 different ones, and of neighbours that are both not 0 at least
    half are equal. An image of few grey values has noise, so that its neighbours mostly differ.
    """
    if counts is None or counts[0][0] < 0 or counts[0][-1] > LARGEST_LABEL or len(counts[0]) > MOST_LABELS:
        return False
    pairs = equal = 0
    for axis in range(voxels.ndim):
        one, other = np.moveaxis(voxels, axis, 0)[:-1], np.moveaxis(voxels, axis, 0)[1:]
        both = (one != 0) & (other != 0)
        pairs += int(np.count_nonzero(both))
        equal += int(np.count_nonzero(both & (one == other)))
    return equal >= SAME_NEIGHBOURS * pairs


def _are_whole(values: npt.NDArray[Any]) -> bool:
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.abs(values - np.rint(values)) <= INTEGER_TOLERANCE))  # NaN and infinity are not


def _percentile(values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], share: float) -> float:
    """As ``numpy.percentile`` has it: linear between the two nearest of the sorted voxels."""
    ends = np.cumsum(counts)
    place = share * (ends[-1] - 1)
    low, high = (
        float(values[np.searchsorted(ends, index, side="right")]) for index in (np.floor(place), np.ceil(place))
    )
    return low + (high - low) * float(place - np.floor(place))
