"""Changing the label map of a previous stage, so that the next stage does not trust it blindly.

nnU-Net's two transforms of a cascade, with its probabilities: a random morphological operation of labels, and
the loss of a connected component. They work on the label map (indices) instead of one channel a label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import ndimage

P_OPERATIONS = 0.4
P_LOSSES = 0.2
P_LABEL = 0.5  # of either, once it is drawn
LARGEST_RADIUS = 8
LARGEST_LOST_SHARE = 0.15  # of the patch

Indices = npt.NDArray[np.int16]
Mask = npt.NDArray[np.bool_]
OperationName = Literal["dilation", "erosion", "closing", "opening"]


@dataclass(frozen=True)
class Operation:
    """A morphological operation of one label with a ball of ``radius`` voxels."""

    label: int
    name: OperationName
    radius: int


@dataclass(frozen=True)
class Loss:
    """One of the small components of a label vanishes: the one at this ``place`` (0 to 1) in their row."""

    label: int
    place: float


@dataclass(frozen=True)
class PreviousDrawn:
    """All choices for one sample, in the order in which they are applied."""

    operations: tuple[Operation, ...]
    losses: tuple[Loss, ...]


def draw(num_labels: int, random: np.random.Generator) -> PreviousDrawn:
    """The choices for labels 1..``num_labels``."""

    def chosen(probability: float) -> list[int]:
        if random.random() >= probability:
            return []
        return [int(label) + 1 for label in random.permutation(num_labels) if random.random() < P_LABEL]

    names = get_args(OperationName)
    return PreviousDrawn(
        operations=tuple(
            Operation(label, names[int(random.integers(len(names)))], int(random.integers(1, LARGEST_RADIUS + 1)))
            for label in chosen(P_OPERATIONS)
        ),
        losses=tuple(Loss(label, random.random()) for label in chosen(P_LOSSES)),
    )


def apply(drawn: PreviousDrawn, indices: Indices) -> Indices:
    """``(*patch)`` -> a changed copy."""
    indices = indices.copy()
    for operation in drawn.operations:
        before = indices == operation.label
        if before.any():
            after = morphology(before, operation.name, operation.radius)
            indices[before & ~after] = 0
            indices[after] = operation.label
    for loss in drawn.losses:
        # Full connectivity: a component holds together by corners too.
        components, number = ndimage.label(indices == loss.label, np.ones((3,) * indices.ndim))
        sizes = np.bincount(components.ravel(), minlength=number + 1)[1:]
        small = np.flatnonzero(sizes < LARGEST_LOST_SHARE * indices.size) + 1
        if small.size:
            indices[components == small[int(loss.place * small.size)]] = 0
    return indices


def morphology(mask: Mask, name: OperationName, radius: int) -> Mask:
    """By distances: the cost does not grow with the radius. What lies beyond the patch has no say."""
    if name == "dilation":
        return _dilated(mask, radius)
    if name == "erosion":
        return ~_dilated(~mask, radius)
    if name == "closing":
        return ~_dilated(~_dilated(mask, radius), radius)
    return _dilated(~_dilated(~mask, radius), radius)


def _dilated(mask: Mask, radius: int) -> Mask:
    if not mask.any():
        return mask
    grown: Mask = ndimage.distance_transform_edt(~mask) <= radius
    return grown
