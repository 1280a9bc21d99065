"""Logits on another grid, some planes at a time, for what needs their values and not only the largest.

A slab is planes of axis 0 and the logits ``(K, planes, *shape[1:])`` there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from autoseg.preprocessing.resample import Tap, taps_of

# One slab of one array: it stays in the cache of a core.
SLAB_BYTES = 2**21

Slab = tuple[slice, npt.NDArray[np.float32]]
Planes = tuple[int, int]  # from, and up to but not including


def slabs(shape: Sequence[int], channels: int, num_bytes: int = SLAB_BYTES) -> Iterator[slice]:
    """Planes of axis 0 of ``shape``, as many at a time as ``channels`` float32 arrays of them take ``num_bytes``."""
    planes = max(1, num_bytes // max(1, 4 * channels * shape[1] * shape[2]))
    return (slice(start, min(start + planes, shape[0])) for start in range(0, shape[0], planes))


def planes_in_turn(of_logits: Iterator[Slab], wanted: Iterable[Planes]) -> Iterator[npt.NDArray[np.float32]]:
    """The logits of each of ``wanted``, whose ends ascend, from slabs that come in order; a view or a copy.

    A slab is valid until the next one is asked for, and so is what is yielded. Of older slabs only those planes are
    kept that are wanted again. All slabs are asked for.
    """
    kept: list[tuple[int, npt.NDArray[np.float32]]] = []
    end = 0
    for start, stop in wanted:
        while end < stop:
            older = [(first, one) for first, one in kept if first + one.shape[1] > start]
            kept = [(max(first, start), one[:, max(0, start - first) :].copy()) for first, one in older]
            planes, slab = next(of_logits)
            kept.append((planes.start, slab))
            end = planes.stop
        inside = [one[:, max(0, start - first) : max(0, stop - first)] for first, one in kept]
        inside = [one for one in inside if one.shape[1]]
        yield inside[0] if len(inside) == 1 else np.concatenate(inside, axis=1)
    kept.clear()
    deque(of_logits, maxlen=0)


def planes_needed(taps: tuple[Tap, ...], planes: slice, size: int) -> Planes:
    """What the output ``planes`` are interpolated from, of ``size`` planes; with the next one, as all of them have."""
    places = taps[0].places[planes]
    return int(places[0]), min(size, int(places[-1]) + len(taps))


def shifted(taps: tuple[Tap, ...], planes: slice, start: int) -> tuple[Tap, ...]:
    """The taps of the output ``planes`` in input planes counted from ``start``."""
    return tuple(Tap(tap.places[planes] - start, tap.weights[planes]) for tap in taps)


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
