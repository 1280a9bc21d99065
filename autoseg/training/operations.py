"""The augmentation of a recipe: its operations in their order, drawn first and applied afterwards.

A patch is ``(*patch)``, with the axes of the network. Labels are moved so that a voxel keeps exactly one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
import torch

from autoseg.core import augmentation_spec as spec
from autoseg.preprocessing.resample import resample_labels
from autoseg.training import transforms
from autoseg.training.augmentation import Noise
from autoseg.training.elastic import OUTSIDE, Deformation, deform
from autoseg.training.spatial import Floats, Labels

TRIES = 10  # to find a box that fits into the plane


@dataclass(frozen=True)
class Flip:
    """The axes that are reversed, counted from the last: -1, -2."""

    axes: tuple[int, ...]


@dataclass(frozen=True)
class Rotation:
    """Of the plane of the last two axes."""

    radians: float


@dataclass(frozen=True)
class Enlargement:
    """The part ``(start, stop)`` of the last two axes that is enlarged to the patch."""

    rows: tuple[int, int]
    columns: tuple[int, int]


@dataclass(frozen=True)
class Shift:
    """Per channel, in shares of its largest value."""

    shares: tuple[float, ...]


Drawn = Flip | Rotation | Enlargement | Deformation | Shift | Noise


def draw(
    operations: Sequence[spec.Operation], patch_size: Sequence[int], num_channels: int, random: np.random.Generator
) -> tuple[Drawn, ...]:
    """The choices for one sample: what happens, in order."""
    happening = (operation for operation in operations if random.random() < operation.p)
    return tuple(_drawn(operation, patch_size, num_channels, random) for operation in happening)


def apply(drawn: Sequence[Drawn], image: Floats, labels: Labels, zeros: Sequence[float]) -> tuple[Floats, Labels]:
    """Image ``(C, *patch)``, which is overwritten, and labels ``(maps, *patch)`` -> the same, changed.

    ``zeros`` is the value of each channel where there is nothing: what the normalisation makes of an intensity of 0.
    The labels are -1 there.
    """
    for one in drawn:
        if isinstance(one, Flip):
            image, labels = np.flip(image, one.axes), np.flip(labels, one.axes)
        elif isinstance(one, Rotation):
            image, labels = _rotated(one, np.ascontiguousarray(image), np.ascontiguousarray(labels), zeros)
        elif isinstance(one, Enlargement):
            image, labels = _enlarged(one, image, labels)
        elif isinstance(one, Deformation):
            image, labels = deform(one, np.ascontiguousarray(image), np.ascontiguousarray(labels), zeros)
        elif isinstance(one, Shift):
            for channel, share, zero in zip(image, one.shares, zeros, strict=True):
                channel += np.float32(share * (channel.max() - zero))
        else:
            transforms.add_noise(image, one.standard_deviation, one.seed)
    return np.ascontiguousarray(image), np.ascontiguousarray(labels)


def _drawn(
    operation: spec.Operation, patch_size: Sequence[int], num_channels: int, random: np.random.Generator
) -> Drawn:
    if isinstance(operation, spec.Mirror):
        return Flip((operation.axis - len(patch_size),))
    if isinstance(operation, spec.Rotate):
        return Rotation(float(np.deg2rad(random.uniform(-operation.degrees, operation.degrees))))
    if isinstance(operation, spec.ResizedCrop):
        return _draw_enlargement(operation, patch_size[-2], patch_size[-1], random)
    if isinstance(operation, spec.Elastic):
        return _draw_deformation(operation, patch_size, random)
    if isinstance(operation, spec.ChannelShift):
        return Shift(tuple(random.uniform(-operation.share, operation.share) for _ in range(num_channels)))
    if isinstance(operation, spec.GaussianNoise):
        return Noise(random.uniform(*operation.deviation), _seed(random))
    return Flip(((-2, -1), (-1,), (-2,))[int(random.integers(3))])  # both together leave the last but one


def _draw_enlargement(operation: spec.ResizedCrop, rows: int, columns: int, random: np.random.Generator) -> Enlargement:
    """A box that fits, or after ten tries the square in the middle."""
    for _ in range(TRIES):
        area, aspect = rows * columns * random.uniform(*operation.area), random.uniform(*operation.aspect)
        sides = round(sqrt(area / aspect)), round(sqrt(area * aspect))
        height, width = sides if random.random() < 0.5 else sides[::-1]
        if 1 <= height <= rows and 1 <= width <= columns:
            top, left = int(random.integers(rows - height + 1)), int(random.integers(columns - width + 1))
            return Enlargement((top, top + height), (left, left + width))
    side = min(rows, columns)
    top, left = (rows - side) // 2, (columns - side) // 2
    return Enlargement((top, top + side), (left, left + side))


def _draw_deformation(operation: spec.Elastic, patch_size: Sequence[int], random: np.random.Generator) -> Deformation:
    """In voxels one pair of values for all axes; in sizes of the axes a pair for each."""
    if operation.relative:
        sigmas = tuple(size * random.uniform(*operation.sigma) for size in patch_size)
        alphas = tuple(size * random.uniform(*operation.alpha) for size in patch_size)
    else:
        sigmas = (random.uniform(*operation.sigma),) * len(patch_size)
        alphas = (random.uniform(*operation.alpha),) * len(patch_size)
    seed = _seed(random)
    label_seed = _seed(random) if operation.independent_labels else None
    nearest, continued = operation.interpolation == "nearest", operation.border == "nearest"
    return Deformation(sigmas, alphas, seed, label_seed, nearest, continued)


def _seed(random: np.random.Generator) -> int:
    return int(random.integers(2**63))


def _rotated(rotation: Rotation, image: Floats, labels: Labels, zeros: Sequence[float]) -> tuple[Floats, Labels]:
    """Around the middle of the plane, each voxel the nearest of those before."""
    rows, columns = image.shape[-2:]
    down, right = np.arange(rows) - (rows - 1) / 2, np.arange(columns) - (columns - 1) / 2
    cosine, sine = np.cos(rotation.radians), np.sin(rotation.radians)
    row = np.floor(np.add.outer(cosine * down, -sine * right) + rows / 2).astype(np.int32).reshape(-1)
    column = np.floor(np.add.outer(sine * down, cosine * right) + columns / 2).astype(np.int32).reshape(-1)
    outside = (row < 0) | (row >= rows) | (column < 0) | (column >= columns)
    place = np.where(outside, 0, row * columns + column)

    def moved(planes: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        return planes.reshape(-1, rows * columns).take(place, axis=1)

    turned_image = moved(image).reshape(len(image), -1, rows * columns)
    turned_labels = moved(labels)
    for channel, zero in zip(turned_image, zeros, strict=True):
        channel[:, outside] = zero
    turned_labels[:, outside] = OUTSIDE
    return turned_image.reshape(image.shape), turned_labels.reshape(labels.shape)  # type: ignore[return-value]


def _enlarged(enlargement: Enlargement, image: Floats, labels: Labels) -> tuple[Floats, Labels]:
    """Linear; of labels that with the largest weight (``preprocessing.resample``)."""
    rows, columns = image.shape[-2:]
    part = (..., slice(*enlargement.rows), slice(*enlargement.columns))
    small, few = np.ascontiguousarray(image[part]), labels[part]
    planes = torch.from_numpy(small.reshape(-1, 1, *small.shape[-2:]))
    large = torch.nn.functional.interpolate(planes, (rows, columns), mode="bilinear").numpy().reshape(image.shape)
    maps = few.reshape(-1, *few.shape[-2:])
    return large, resample_labels(maps, (len(maps), rows, columns)).reshape(labels.shape)
