"""Logits on another grid, some planes at a time, for what needs their values and not only the largest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from autoseg.preprocessing.resample import Tap, taps_of

# One slab of one array: it stays in the cache of a core.
SLAB_BYTES = 2**21


def slabs(shape: Sequence[int], channels: int) -> Iterator[slice]:
    """Planes of axis 0 of ``shape``, as many at a time as ``channels`` float32 arrays of them take ``SLAB_BYTES``."""
    planes = max(1, SLAB_BYTES // max(1, 4 * channels * shape[1] * shape[2]))
    return (slice(start, min(start + planes, shape[0])) for start in range(0, shape[0], planes))


def resample_logits_slab(
    logits: npt.NDArray[np.float32], shape_out: Sequence[int], planes: slice, separate_axis: int | None = None
) -> npt.NDArray[np.float32]:
    """``planes`` of axis 0 of ``(K, *shape)`` on a grid of ``shape_out``: ``(K, planes, *shape_out[1:])``.

    Linear interpolation, and the nearest slice along ``separate_axis`` (``resample.resample_logits_to_labels``
    takes the largest of these). A view of ``logits`` where nothing is resampled.
    """
    sizes = list(zip(logits.shape[1:], shape_out, strict=True))
    taps = [taps_of(n, m, axis == separate_axis) for axis, (n, m) in enumerate(sizes)]
    taps[0] = tuple(Tap(tap.places[planes], tap.weights[planes]) for tap in taps[0])
    slab = logits[:, planes] if sizes[0][0] == sizes[0][1] else _interpolated(logits, 1, taps[0])
    for axis in (1, 2):
        if sizes[axis][0] != sizes[axis][1]:
            slab = _interpolated(slab, axis + 1, taps[axis])
    return slab


def _interpolated(values: npt.NDArray[np.float32], axis: int, taps: tuple[Tap, ...]) -> npt.NDArray[np.float32]:
    along = [1] * values.ndim
    along[axis] = -1
    first, *others = (values.take(tap.places, axis=axis, mode="clip") for tap in taps)
    for tap, part in zip(taps[1:], others, strict=True):
        first *= taps[0].weights.astype(np.float32).reshape(along)
        part *= tap.weights.astype(np.float32).reshape(along)
        first += part
    return first
