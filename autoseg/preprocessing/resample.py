"""Change the voxel grid of images, label maps and logits; the extent stays, the number of voxels changes.

Both grids cover the same extent (half-pixel centres), and the outermost voxels continue beyond it. Output
voxel ``i`` of ``m`` lies at input coordinate ``(i + 0.5) * n / m - 0.5``, as in ``skimage.transform.resize``
and in torch's ``interpolate(align_corners=False)``. All functions resample slice by slice along ``separate_axis``,
where one is given, and take the nearest slice along that axis (nnU-Net v2, ``default_resampling.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from autoseg.core.geometry import Shape

Order = Literal[0, 1, 2, 3, 4, 5]  # of the spline

ANISOTROPY_THRESHOLD = 3.0
# Reach of a cubic spline: its prefilter decays by 0.27 a voxel, so what is dropped is below float32 noise.
NEGLIGIBLE_WEIGHT = 1e-9
ROWS_PER_BAND = 64
VOXELS_PER_VOTE = 1 << 16

Label = TypeVar("Label", bound=np.generic)


class Band(NamedTuple):
    """Rows ``rows`` of a resampling matrix, restricted to the columns ``columns`` where they are not zero."""

    rows: slice
    columns: slice
    weights: npt.NDArray[np.float32]


Corner = tuple[npt.NDArray[np.int16], npt.NDArray[np.float64]]  # labels and weights at one corner of many points


class Tap(NamedTuple):
    """One of the input voxels that each output voxel of an axis is interpolated from: its place and weight."""

    places: npt.NDArray[np.intp]
    weights: npt.NDArray[np.float64]


def separate_axis(spacing_mm: Sequence[float], new_spacing_mm: Sequence[float]) -> int | None:
    """The axis to resample on its own, or None.

    It is the coarsest axis of the current spacing if that spacing is anisotropic (max / min > 3), else of
    the new spacing if that is; None where two axes are equally coarse (nnU-Net v2).
    """
    for spacing in (spacing_mm, new_spacing_mm):
        if max(spacing) / min(spacing) > ANISOTROPY_THRESHOLD:
            coarsest = [axis for axis, value in enumerate(spacing) if value == max(spacing)]
            return coarsest[0] if len(coarsest) == 1 else None
    return None


def resample_image(
    image: npt.NDArray[np.float32], shape_out: Sequence[int], order: Order = 3, separate_axis: int | None = None
) -> npt.NDArray[np.float32]:
    """Spline interpolation of ``(C, *shape)`` to ``(C, *shape_out)``.

    Equals ``skimage.transform.resize(mode="edge", anti_aliasing=False)`` of each channel (of each slice
    across ``separate_axis``), clipped to its input range: a spline is a tensor product, so one matrix per
    axis gives the same result at a tenth of the cost.
    """
    shape_in, shape_out = image.shape[1:], tuple(int(size) for size in shape_out)
    if shape_in == shape_out:
        return np.ascontiguousarray(image)
    result = np.empty((len(image), *shape_out), np.float32)
    for channel, target in zip(image, result, strict=True):
        target[...] = _resample_channel(channel, shape_out, order, separate_axis)
    return result


def resample_labels(
    labels: npt.NDArray[np.int16], shape_out: Sequence[int], separate_axis: int | None = None
) -> npt.NDArray[np.int16]:
    """Linear interpolation of every label's indicator, then the label with the largest value.

    Equals ``resize_segmentation(order=1)`` of batchgenerators 0.25.5 to the last bit: a tie goes to the
    nearest voxel's label if that is among the tied, else to the smallest. Only the labels of the up to
    eight voxels around a point can win, so the cost does not depend on the number of labels.
    """
    shape_in, shape_out = labels.shape, tuple(int(size) for size in shape_out)
    if shape_in == shape_out:
        return labels.copy()
    taps = [taps_of(n, m, axis == separate_axis) for axis, (n, m) in enumerate(zip(shape_in, shape_out, strict=True))]
    nearest = [nearest_places(n, m) for n, m in zip(labels.shape, shape_out, strict=True)]
    result = first_tap(labels, taps)
    flat = np.ascontiguousarray(labels).reshape(-1)
    for where in mixed_voxels(labels, taps):
        corners = [(flat.take(index, mode="clip"), weight) for index, weight in corners_of(where, taps, labels.shape)]
        middle = flat[_flat_index([line[axis] for line, axis in zip(nearest, where, strict=True)], labels.shape)]
        result[where] = _vote(corners, middle)
    return result


def _resample_channel(
    channel: npt.NDArray[np.float32], shape_out: Shape, order: Order, separate: int | None
) -> npt.NDArray[np.float32]:
    """One channel ``(*shape)``, clipped to its range or, with a separate axis, to the range of each slice."""
    if separate is not None and shape_out[separate] < channel.shape[separate]:
        channel = channel.take(nearest_places(channel.shape[separate], shape_out[separate]), axis=separate)
    in_slice = tuple(axis for axis in range(channel.ndim) if axis != separate)
    low = channel.min(axis=in_slice, keepdims=True)
    high = channel.max(axis=in_slice, keepdims=True)
    resampled = channel
    for axis in sorted(in_slice, key=lambda axis: shape_out[axis] / channel.shape[axis]):
        if shape_out[axis] != channel.shape[axis]:
            resampled = along_axis(resampled, axis, shape_out[axis], order)
    if resampled is not channel and order > 1:
        np.clip(resampled, low, high, out=resampled)
    if separate is not None and shape_out[separate] > channel.shape[separate]:
        resampled = resampled.take(nearest_places(channel.shape[separate], shape_out[separate]), axis=separate)
    return resampled


def along_axis(values: npt.NDArray[np.float32], axis: int, size: int, order: Order) -> npt.NDArray[np.float32]:
    """``values`` with ``size`` voxels along ``axis``."""
    before, after = values.shape[:axis], values.shape[axis + 1 :]
    # (rows, axis) for the last axis and (batch, axis, columns) for the others: a matrix product either way.
    flat = np.ascontiguousarray(values).reshape(-1, values.shape[axis], *((int(np.prod(after)),) if after else ()))
    result = np.empty((flat.shape[0], size, *flat.shape[2:]), np.float32)
    for rows, columns, weights in bands_of(values.shape[axis], size, order):
        if after:
            np.matmul(weights, flat[:, columns], out=result[:, rows])
        else:
            np.matmul(flat[:, columns], weights.T, out=result[:, rows])
    return result.reshape(*before, size, *after)


@lru_cache(maxsize=64)
def bands_of(size_in: int, size_out: int, order: Order) -> tuple[Band, ...]:
    """The ``(size_out, size_in)`` matrix of one axis in bands of rows, made by resampling the identity."""
    from scipy.ndimage import zoom

    identity = np.eye(size_in)
    matrix = zoom(identity, (size_out / size_in, 1), order=order, mode="nearest", grid_mode=True)
    if matrix.shape[0] != size_out:
        raise ValueError(f"resampling {size_in} to {size_out} voxels gave {matrix.shape[0]}")
    bands = []
    for start in range(0, size_out, ROWS_PER_BAND):
        rows = slice(start, min(start + ROWS_PER_BAND, size_out))
        used = np.flatnonzero(np.abs(matrix[rows]).max(axis=0) > NEGLIGIBLE_WEIGHT)
        columns = slice(int(used[0]), int(used[-1]) + 1)
        bands.append(Band(rows, columns, np.ascontiguousarray(matrix[rows, columns], np.float32)))
    return tuple(bands)


def _coordinates(size_in: int, size_out: int) -> npt.NDArray[np.float64]:
    """Where the output voxels lie in input voxels; the order of operations is scipy's, so equal to the last bit."""
    return (np.arange(size_out, dtype=np.float64) + 0.5) * (size_in / size_out) - 0.5


def nearest_places(size_in: int, size_out: int) -> npt.NDArray[np.intp]:
    """The input voxel nearest to each output voxel of an axis."""
    return np.floor(_coordinates(size_in, size_out) + 0.5).astype(np.intp).clip(0, size_in - 1)


def taps_of(size_in: int, size_out: int, take_nearest: bool) -> tuple[Tap, ...]:
    """One tap where nothing is interpolated, else two; the index of the first is never the larger."""
    if take_nearest or size_in == size_out:
        return (Tap(nearest_places(size_in, size_out), np.ones(size_out)),)
    coordinates = _coordinates(size_in, size_out)
    lower = np.floor(coordinates).astype(np.intp)
    weight = 1 - (coordinates - lower)
    return Tap(lower.clip(0), weight), Tap((lower + 1).clip(max=size_in - 1), 1 - weight)


def first_tap(labels: npt.NDArray[Label], taps: Sequence[tuple[Tap, ...]]) -> npt.NDArray[Label]:
    """The label at the first tap of every output voxel: the answer wherever all taps agree."""
    for axis, axis_taps in enumerate(taps):
        labels = labels.take(axis_taps[0].places, axis=axis, mode="clip")
    return labels


def mixed_voxels(
    labels: npt.NDArray[np.generic], taps: Sequence[tuple[Tap, ...]]
) -> Iterator[tuple[npt.NDArray[np.intp], ...]]:
    """Output voxels whose taps hold different labels, as index arrays of at most ``VOXELS_PER_VOTE``."""
    mixed = np.zeros(labels.shape, bool)
    for axis, axis_taps in enumerate(taps):
        if len(axis_taps) == 2:
            before, here = np.moveaxis(labels, axis, 0), np.moveaxis(mixed, axis, 0)
            # A box of voxels is mixed if either half is, or if the halves differ.
            here[:-1] |= here[1:] | (before[:-1] != before[1:])
    planes, rows, columns = (axis_taps[0].places for axis_taps in taps)
    for number, plane in enumerate(planes):
        flags = mixed[plane].take(rows, axis=0, mode="clip").take(columns, axis=1, mode="clip")
        row, column = flags.nonzero()
        for start in range(0, row.size, VOXELS_PER_VOTE):
            chunk = slice(start, start + VOXELS_PER_VOTE)
            yield np.full(row[chunk].size, number), row[chunk], column[chunk]


def corners_of(
    where: tuple[npt.NDArray[np.intp], ...], taps: Sequence[tuple[Tap, ...]], shape_in: Shape
) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]]:
    """Flat input index and weight of each corner around the output voxels ``where``, last axis fastest."""
    for corner in product(*taps):
        index = _flat_index([tap.places[axis] for tap, axis in zip(corner, where, strict=True)], shape_in)
        weight = np.ones(where[0].size)
        for tap, axis in zip(corner, where, strict=True):
            weight *= tap.weights[axis]
        yield index, weight


def _flat_index(index: Sequence[npt.NDArray[np.intp]], shape: Shape) -> npt.NDArray[np.intp]:
    return (index[0] * shape[1] + index[1]) * shape[2] + index[2]


def _score(corners: Sequence[Corner], label: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    """The weight of the corners that hold ``label``, summed in scipy's order, so that ties are scipy's ties."""
    total = np.zeros(label.size)
    for value, weight in corners:
        total += weight * (value == label)
    return total


def _vote(corners: Sequence[Corner], nearest: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """The label with the largest weight: ``nearest`` if it is among the largest, else the smallest of them."""
    winner = nearest.copy()
    best = _score(corners, nearest)
    # Most points end here: nothing beats more than half of the weight.
    open_votes = np.flatnonzero(best < 0.5 + NEGLIGIBLE_WEIGHT)
    corners = [(value[open_votes], weight[open_votes]) for value, weight in corners]
    best, nearest_best = best[open_votes], best[open_votes]
    leader = nearest[open_votes]
    for label, _ in corners:
        score = _score(corners, label)
        better = (score > best) | ((score == best) & (label < leader))
        best, leader = np.where(better, score, best), np.where(better, label, leader)
    winner[open_votes] = np.where(nearest_best == best, nearest[open_votes], leader)
    return winner
