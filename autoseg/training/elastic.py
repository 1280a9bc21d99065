"""Elastic deformation: every voxel shows what lies at a randomly moved point.

A patch is ``(*patch)``, with the axes of the network; points are in its voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from autoseg.training.spatial import (
    POINTS_AT_ONCE,
    Floats,
    Labels,
    Points,
    cell_labels,
    largest_weight,
    linear,
    take,
)

OUTSIDE = -1  # in place of a label, beyond the patch
Field = list[Floats]


@dataclass(frozen=True)
class Deformation:
    """Per axis the standard deviation of the smoothing and the factor after it, in voxels, and what follows from them.

    ``seed`` draws the noise; ``label_seed`` that of another field for the labels. ``nearest``: interpolation.
    ``continued``: what lies beyond the patch is its border, and noise is mirrored there; else both are zero.
    """

    sigmas: tuple[float, ...]
    alphas: tuple[float, ...]
    seed: int
    label_seed: int | None
    nearest: bool
    continued: bool


def displacements(deformation: Deformation, seed: int, shape: Sequence[int]) -> Field:
    """By how many voxels each point is moved, per axis ``shape``: smoothed noise, uniform in -1..1.

    Equals ``alpha * scipy.ndimage.gaussian_filter(noise, sigma)``, an isotropic filter for each axis.
    """
    random, fields = np.random.default_rng(seed), []
    for sigma, alpha in zip(deformation.sigmas, deformation.alphas, strict=True):
        noise = random.random(tuple(shape), np.float32)
        noise *= 2
        noise -= 1
        ndimage.gaussian_filter(noise, sigma, output=noise, mode="reflect" if deformation.continued else "constant")
        noise *= np.float32(alpha)
        fields.append(noise)
    return fields


def deform(deformation: Deformation, image: Floats, labels: Labels, zeros: Sequence[float]) -> tuple[Floats, Labels]:
    """Image ``(C, *patch)`` and labels ``(maps, *patch)``, moved; ``zeros`` is what each channel holds beyond.

    A label is the nearest one or, with linear interpolation, the one with the largest weight, so that a voxel
    has one label as before.
    """
    shape = image.shape[1:]
    field = displacements(deformation, deformation.seed, shape)
    other = field if deformation.label_seed is None else displacements(deformation, deformation.label_seed, shape)
    moved_image, moved_labels = np.empty(image.shape, np.float32), np.empty(labels.shape, labels.dtype)
    flat_image, flat_labels = image.reshape(len(image), -1), labels.reshape(len(labels), -1)
    cells = [] if deformation.nearest else [cell_labels(one) for one in labels]
    rows = max(1, POINTS_AT_ONCE // prod(shape[1:]))
    for first in range(0, shape[0], rows):
        slab = slice(first, min(first + rows, shape[0]))
        points, outside = _points_at(field, slab, shape, deformation)
        for voxels, moved, zero in zip(flat_image, moved_image, zeros, strict=True):
            values = take(voxels, points.voxel) if deformation.nearest else linear(voxels, points)
            values[outside] = zero
            moved[slab] = values.reshape(moved[slab].shape)
        if other is not field:
            points, outside = _points_at(other, slab, shape, deformation)
        for number, (values_of, moved_map) in enumerate(zip(flat_labels, moved_labels, strict=True)):
            if deformation.nearest:
                indices = take(values_of, points.voxel)
            else:
                indices = largest_weight(values_of, cells[number], points)
            indices[outside] = OUTSIDE
            moved_map[slab] = indices.reshape(moved_map[slab].shape)
    return moved_image, moved_labels


def _points_at(
    field: Field, slab: slice, shape: Sequence[int], deformation: Deformation
) -> tuple[Points, npt.NDArray[np.bool_]]:
    """The moved points of a slab of the patch (along its first axis), and which of them lie beyond it."""
    size = (slab.stop - slab.start, *shape[1:])
    voxel, outside = np.zeros(prod(size), np.int32), np.zeros(prod(size), np.bool_)
    beyond, steps = [], [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    for axis, (moved, extent, step) in enumerate(zip(field, shape, steps, strict=True)):
        line = np.arange(slab.start, slab.stop) if axis == 0 else np.arange(extent)
        along = [1] * len(shape)
        along[axis] = -1
        position = (moved[slab] + line.astype(np.float32).reshape(along)).reshape(-1)
        if not deformation.continued:
            outside |= (position < 0) | (position > extent - 1)
        if deformation.nearest:
            position += np.float32(0.5)
        np.clip(position, 0, extent - 1, out=position)
        before = np.floor(position)
        if not deformation.nearest:
            np.minimum(before, max(0, extent - 2), out=before)  # the cell of the last voxel is that of the one before
            beyond.append(position - before)
        voxel += before.astype(np.int32) * np.int32(step)
    return Points(voxel, beyond, steps), outside
