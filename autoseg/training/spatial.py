"""Rotation and scaling of a patch: which part of a case it needs, and interpolation at the moved points.

A matrix ``(d, d)`` moves the last ``d`` axes of a patch: the voxel ``i`` of the patch shows the point
``centre + matrix @ (i - (patch_size - 1) / 2)`` of the case. Axes before them are not moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import floor, prod
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from autoseg.core.geometry import Box, Shape

# Arrays over so many points stay in the cache of a core, torch does not split them over several, and memory does
# not grow with the patch.
POINTS_AT_ONCE = 2**15
MIXED = np.int16(np.iinfo(np.int16).min)  # no label
Matrix = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int16]
Value = TypeVar("Value", bound=np.generic)


@dataclass(frozen=True)
class Window:
    """What is read for a patch: ``box`` in voxels of the case, and the centre of the patch in voxels of the box."""

    box: Box
    centre: tuple[float, ...]


@dataclass(frozen=True)
class Points:
    """Points in an array: flat index of the voxel before each on every axis, and how far beyond it each is (0 to 1)."""

    voxel: npt.NDArray[np.int32]  # (points,)
    beyond: list[Floats]  # per axis (points,)
    steps: list[int]  # per axis, from a voxel to the next in the flat array

    @property
    def corners(self) -> list[int]:
        """From ``voxel`` to the corners of its cell, the last axis fastest."""
        return [sum(corner) for corner in product(*((0, step) for step in self.steps))]


def window(matrix: Matrix | None, patch_size: Sequence[int], around: Box, shape: Shape) -> Window:
    """What a patch in the middle of ``around`` needs of a case of ``shape``; all three have the axes of the patch.

    Without a matrix it is the patch itself (the half voxel of an odd difference rounded as in nnU-Net). With
    one it is the box of the moved points and their neighbours; where that leaves the case, two voxels of
    padding are enough, since all further ones hold the same.
    """
    box = [
        (start + (stop - start) // 2 - size // 2, start + (stop - start) // 2 - size // 2 + size)
        for (start, stop), size in zip(around, patch_size, strict=True)
    ]
    centre = [(start + stop - 1) / 2 for start, stop in around]
    if matrix is not None:
        first = len(patch_size) - len(matrix)
        reach = np.abs(matrix) @ ((np.array(patch_size[first:]) - 1) / 2)
        for axis, distance in enumerate(reach.tolist(), first):
            start = min(max(floor(centre[axis] - distance), -2), shape[axis])
            stop = max(min(floor(centre[axis] + distance) + 2, shape[axis] + 2), start + 2)
            box[axis] = (start, stop)
    return Window(tuple(box), tuple(c - start for c, (start, _) in zip(centre, box, strict=True)))


def resample(
    image: Floats, labels: Labels, matrix: Matrix, centre: Sequence[float], patch_size: Sequence[int]
) -> tuple[Floats, Labels]:
    """Image ``(C, *box)`` and labels ``(*box)`` of a window -> ``(C, *patch_size)`` and ``(*patch_size)``.

    Labels may have an axis more in front, of several maps.

    The image is interpolated linearly; a label is the one with the largest linear weight, of equals the nearest.
    """
    dimensions = len(matrix)
    box, size = image.shape[-dimensions:], tuple(patch_size[-dimensions:])
    flat_image, flat_labels = image.reshape(-1, prod(box)), labels.reshape(-1, prod(box))
    cells = [cell_labels(plane.reshape(box)) for plane in flat_labels]
    moved_image = np.empty((len(flat_image), *size), np.float32)
    moved_labels = np.empty((len(flat_labels), *size), labels.dtype)
    rows = max(1, POINTS_AT_ONCE // prod(size[1:]))
    for first in range(0, size[0], rows):
        slab = slice(first, min(first + rows, size[0]))
        points = _points(matrix, centre[-dimensions:], size, slab, box)
        for voxels, moved in zip(flat_image, moved_image, strict=True):
            moved[slab] = linear(voxels, points).reshape(moved[slab].shape)
        for values, of_cells, moved_values in zip(flat_labels, cells, moved_labels, strict=True):
            moved_values[slab] = largest_weight(values, of_cells, points).reshape(moved_values[slab].shape)
    maps = labels.shape[: labels.ndim - len(patch_size)]
    return moved_image.reshape(len(image), *patch_size), moved_labels.reshape(*maps, *patch_size)


def _points(matrix: Matrix, centre: Sequence[float], size: Shape, slab: slice, box: Shape) -> Points:
    """The points of a slab of the patch (along its first moved axis) in an array of the shape ``box``."""
    offsets = [np.arange(n) - (n - 1) / 2 for n in size]
    offsets[0] = offsets[0][slab]
    steps = [prod(box[axis + 1 :]) for axis in range(len(box))]
    voxel = np.zeros(prod(len(line) for line in offsets), np.int32)
    beyond = []
    for row, middle, extent, step in zip(matrix, centre, box, steps, strict=True):
        *others, last = (weight * line for weight, line in zip(row, offsets, strict=True))
        sums = np.array(middle)
        for line in others:
            sums = np.add.outer(sums, line)
        position = np.add.outer(sums.astype(np.float32), last.astype(np.float32)).reshape(-1)
        # Only a box cut short has points outside, and there its outer two layers are padding.
        np.maximum(position, 0, out=position)
        np.minimum(position, extent - 1.001, out=position)
        before = np.floor(position)
        position -= before
        voxel += before.astype(np.int32) * np.int32(step)
        beyond.append(position)
    return Points(voxel, beyond, steps)


def linear(voxels: Floats, points: Points) -> Floats:
    """Linear interpolation of a flat array, one axis after the other."""
    values = [take(voxels[corner:], points.voxel) for corner in points.corners]
    for beyond in reversed(points.beyond):
        pairs = zip(values[::2], values[1::2], strict=True)
        values = []
        for before, after in pairs:
            after -= before
            after *= beyond
            after += before
            values.append(after)
    return values[0]


def largest_weight(labels: Labels, cells: Labels, points: Points) -> Labels:
    """The label with the largest linear weight; weights are summed only in cells whose corners differ."""
    result = take(cells, points.voxel)
    where = np.flatnonzero(result == MIXED)
    if where.size:
        voxel = points.voxel[where]
        beyond = [part[where] for part in points.beyond]
        corners = np.stack([take(labels[corner:], voxel) for corner in points.corners])
        weights = np.stack([reduce(np.multiply, shares) for shares in product(*((1 - part, part) for part in beyond))])
        for part, step in zip(beyond, points.steps, strict=True):
            voxel += (part >= 0.5) * np.int32(step)  # now the nearest
        result[where] = _vote(corners, weights, take(labels, voxel))
    return result


def _vote(corners: Labels, weights: Floats, nearest: Labels) -> Labels:
    """Per column the label of the largest summed weight: ``nearest`` unless another exceeds it.

    ``corners`` and ``weights`` are ``(corners, points)``; the cost does not depend on the number of labels.
    """
    best = np.where(corners == nearest, weights, 0).sum(axis=0)
    open_votes = np.flatnonzero(best < 0.5)  # nothing exceeds a half
    corners, weights, best = corners[:, open_votes], weights[:, open_votes], best[open_votes]
    leader = nearest[open_votes]
    for label in corners:
        score = np.where(corners == label, weights, 0).sum(axis=0)
        better = score > best
        best, leader = np.where(better, score, best), np.where(better, label, leader)
    winner = nearest.copy()
    winner[open_votes] = leader
    return winner


def cell_labels(labels: Labels) -> Labels:
    """Flat: the label of the cell that begins at a voxel (it and its next neighbours on all axes), or MIXED."""
    low = high = labels
    for axis in range(labels.ndim):
        before = (slice(None),) * axis + (slice(None, -1),)
        after = (slice(None),) * axis + (slice(1, None),)
        low, high = np.minimum(low[before], low[after]), np.maximum(high[before], high[after])
    cells = np.full(labels.shape, MIXED)
    cells[(slice(None, -1),) * labels.ndim] = np.where(low == high, low, MIXED)
    return cells.reshape(-1)


def take(values: npt.NDArray[Value], index: npt.NDArray[np.int32]) -> npt.NDArray[Value]:
    """``values[index]`` of a flat array, three times as fast as numpy."""
    taken: npt.NDArray[Value] = torch.index_select(torch.from_numpy(values), 0, torch.from_numpy(index)).numpy()
    return taken
