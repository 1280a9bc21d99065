"""A large channel on another grid, some planes of axis 0 at a time: the input is given and the result taken by planes.

Equal to ``resample.resample_image``, bit for bit: the same matrix products in the same order. That one makes two more
arrays of the size of the channel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from autoseg.preprocessing.resample import Order, along_axis, bands_of, nearest_places

SLAB_BYTES = 2**26  # of input planes that are given at a time, and of results

Array = npt.NDArray[np.float32]
Given = Callable[[slice], Array]  # planes of axis 0, contiguous and the caller's own


def planes_at_a_time(shape: Sequence[int]) -> int:
    """How many planes of a float32 array of ``shape`` take ``SLAB_BYTES``; at least 2: BLAS takes 1 another way."""
    return max(2, SLAB_BYTES // (4 * shape[1] * shape[2]))


def resample_planes(given: Given, shape: Sequence[int], result: Array, order: Order = 3, flat: bool = False) -> None:
    """Spline interpolation of the channel ``(*shape)`` that ``given`` gives, into ``result``.

    ``flat``: slice by slice across axis 0, the nearest along it (``separate_axis=0``).
    """
    sizes = list(zip(shape, result.shape, strict=True))
    resized = [axis for axis, (before, after) in enumerate(sizes) if before != after]
    if flat:
        return _slice_by_slice(given, shape, result, [axis for axis in resized if axis], order)
    if not resized:
        for planes in _slabs(shape):
            result[planes] = given(planes)
        return None
    in_turn = sorted(resized, key=lambda axis: sizes[axis][1] / sizes[axis][0])
    low, high = _range(given, shape) if order > 1 else (-np.inf, np.inf)
    first = in_turn[: in_turn.index(0)] if 0 in in_turn else in_turn
    then = in_turn[len(first) + 1 :]

    def given_in_part(planes: slice) -> Array:
        values = given(planes)
        for axis in first:
            values = along_axis(values, axis, result.shape[axis], order)
        return values

    for planes, values in _along_first(given_in_part, shape, result, order):
        for axis in then:
            values = along_axis(values, axis, result.shape[axis], order)
        if order > 1:
            np.clip(values, low, high, out=values)
        result[planes] = values
    return None


def _along_first(given: Given, shape: Sequence[int], result: Array, order: Order) -> Iterator[tuple[slice, Array]]:
    """Planes of the result of resampling axis 0; each input plane is asked for once."""
    if shape[0] == len(result):
        yield from ((planes, given(planes)) for planes in _slabs(shape))
        return
    kept, start = None, 0
    for rows, columns, weights in bands_of(shape[0], len(result), order):
        if kept is None:
            kept, start = given(columns), columns.start
        elif columns.stop > start + len(kept):
            still = kept[max(0, columns.start - start) :]
            fresh = given(slice(max(columns.start, start + len(kept)), columns.stop))
            kept, start = np.concatenate((still, fresh)), columns.start
            del still, fresh
        taken = kept[columns.start - start : columns.stop - start]
        yield rows, np.matmul(weights, taken.reshape(1, len(taken), -1))[0].reshape(-1, *taken.shape[1:])


def _slice_by_slice(given: Given, shape: Sequence[int], result: Array, axes: Sequence[int], order: Order) -> None:
    places = nearest_places(shape[0], len(result)) if shape[0] != len(result) else np.arange(shape[0])
    for planes in _slabs(result.shape):
        wanted = places[planes]
        start = int(wanted[0])
        values = given(slice(start, int(wanted[-1]) + 1))
        used, repeated = np.unique(wanted - start, return_inverse=True)
        values = values if len(used) == len(values) else values[used]
        if axes:
            low, high = values.min(axis=(1, 2), keepdims=True), values.max(axis=(1, 2), keepdims=True)
            for axis in sorted(axes, key=lambda axis: result.shape[axis] / shape[axis]):
                values = along_axis(values, axis, result.shape[axis], order)
            if order > 1:
                np.clip(values, low, high, out=values)
        result[planes] = values if len(values) == len(wanted) else values[repeated]


def _slabs(shape: Sequence[int]) -> Iterator[slice]:
    """Planes that cover ``shape``; the last ones join those before rather than being a single one."""
    step = planes_at_a_time(shape)
    starts = list(range(0, shape[0], step))
    if len(starts) > 1 and shape[0] - starts[-1] == 1:
        starts.pop()
    yield from (slice(start, stop) for start, stop in zip(starts, [*starts[1:], shape[0]], strict=True))


def _range(given: Given, shape: Sequence[int]) -> tuple[float, float]:
    ends = [(values.min(), values.max()) for values in map(given, _slabs(shape))]
    return min(low for low, _ in ends), max(high for _, high in ends)
