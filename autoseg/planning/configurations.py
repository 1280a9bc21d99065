"""nnU-Net's configurations of a dataset: ``2d``, ``3d_fullres``, and ``3d_lowres`` with its cascade for large images.

Axes: the summary is in nnU-Net's (z, y, x); configurations are in working axes, which have the coarsest axis
in front (``Fitted.transpose``). Source: nnU-Net 2.8.1, ``ExperimentPlanner.plan_experiment``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autoseg.core.augmentation_spec import AugmentationSpec
from autoseg.core.plan import Configuration
from autoseg.planning.planners import Planner
from autoseg.planning.targets import (
    DatasetSummary,
    mask_normalization,
    normalization,
    resampled_shapes,
    target_spacing,
    transpose_forward,
)
from autoseg.planning.topology import PatchAndBatch, choose_patch_and_batch, network_spec

LOWRES_BELOW_SHARE = 0.25  # a patch with less of the median image has too little context
LOWRES_STEP = 1.03
LOWRES_LEAST_REDUCTION = 2  # in voxels of the median image


@dataclass(frozen=True)
class Fitted:
    """The configurations in working axes and what decided them.

    ``patches`` has the patch and batch by configuration name; ``largest_shape`` is the maximum over
    cases of the resampled crop, axis by axis.
    """

    transpose: tuple[int, int, int]
    configurations: dict[str, Configuration]
    patches: dict[str, PatchAndBatch]
    largest_shape: tuple[int, ...]
    dataset_voxels: float
    target_spacing_mm: tuple[float, ...]


@dataclass(frozen=True)
class _Room:
    """What a patch and batch must fit into, whatever the spacing."""

    summary: DatasetSummary
    planner: Planner
    memory_gb: float

    def fit(self, spacing_mm: Sequence[float], median_shape: Sequence[float], dataset_voxels: float) -> PatchAndBatch:
        num_labels = self.summary.num_labels
        return choose_patch_and_batch(
            spacing_mm, median_shape, dataset_voxels, num_labels, self.planner, self.memory_gb
        )


def fit_configurations(summary: DatasetSummary, planner: Planner, memory_gb: float) -> Fitted:
    """``2d``; unless the images are single slices ``3d_fullres``; for large ones ``3d_lowres`` and the cascade."""
    target, room = target_spacing(summary), _Room(summary, planner, memory_gb)
    transpose = transpose_forward(target)
    shapes = resampled_shapes(summary, target)[:, list(transpose)]
    spacing = tuple(float(s) for s in target[list(transpose)])
    median = tuple(float(size) or 1.0 for size in np.median(shapes, axis=0))
    voxels = math.prod(median) * summary.num_training
    patches = {"2d": room.fit(spacing[1:], median[1:], voxels)}
    made = {"2d": _configuration("2d", spacing[1:], median[1:], patches["2d"], room, batch_dice=True)}
    if median[0] != 1:
        fullres = room.fit(spacing, median, voxels)
        lowres = _lowres(fullres, spacing, median, room)
        if lowres is not None:
            made["3d_lowres"], patches["3d_lowres"] = lowres
        patches["3d_fullres"] = fullres
        made["3d_fullres"] = _configuration("3d_fullres", spacing, median, fullres, room, lowres is not None)
        if lowres is not None:
            update = {"name": "3d_cascade_fullres", "previous_stage": "3d_lowres"}
            made["3d_cascade_fullres"] = made["3d_fullres"].model_copy(update=update)
    largest = tuple(max(int(size), 1) for size in shapes.max(axis=0))
    return Fitted(transpose, made, patches, largest, voxels, spacing)


def _lowres(
    fullres: PatchAndBatch, spacing_mm: tuple[float, ...], median_shape: tuple[float, ...], room: _Room
) -> tuple[Configuration, PatchAndBatch] | None:
    """``3d_lowres`` where a full-resolution patch has too little context, else None.

    The spacing grows by 3 % at a time, of the fine axes first, until a patch covers a quarter of the
    median image; it is worth a configuration only if the image then has at most half of the voxels.
    """
    full, median = np.array(spacing_mm), np.array(median_shape)
    lowres, fitted = full.copy(), fullres
    shape, spacing = median_shape, spacing_mm
    full_voxels = voxels = float(np.prod(median))
    while math.prod(fitted.topology.patch_size) / voxels < LOWRES_BELOW_SHARE:
        finer = lowres.max() / lowres > 2
        lowres[finer if finer.any() else slice(None)] *= LOWRES_STEP
        reduced = full / lowres * median
        voxels = float(np.prod(reduced))
        shape = tuple(float(max(1, round(float(size)))) for size in reduced)
        spacing = tuple(float(s) for s in lowres)
        fitted = room.fit(spacing, shape, voxels * room.summary.num_training)
    if full_voxels / voxels < LOWRES_LEAST_REDUCTION:
        return None
    return _configuration("3d_lowres", spacing, shape, fitted, room, batch_dice=False), fitted


def _configuration(
    name: str,
    spacing_mm: tuple[float, ...],
    median_shape: tuple[float, ...],
    fitted: PatchAndBatch,
    room: _Room,
    batch_dice: bool,
) -> Configuration:
    channels, relative_size = room.summary.channels, room.summary.median_relative_size
    return Configuration(
        name=name,
        spacing_mm=spacing_mm,
        median_shape_voxels=median_shape,
        patch_size=fitted.topology.patch_size,
        batch_size=fitted.batch_size,
        batch_dice=batch_dice,
        normalization=tuple(normalization(channel) for channel in channels),
        mask_normalization=tuple(mask_normalization(channel, relative_size) for channel in channels),
        network=network_spec(fitted.topology, architecture=room.planner.architecture),
        augmentation=augmentation(fitted.topology.patch_size),
    )


def augmentation(patch_size: tuple[int, ...]) -> AugmentationSpec:
    """nnU-Net's rotation range and mirror axes for a 2D or 3D patch.

    A flat 3D patch (longest edge more than 3 times the first) is rotated in the plane only. An
    elongated 2D patch (aspect above 1.5) is rotated by at most 15 degrees, to stay inside the image.
    """
    axes = tuple(range(len(patch_size)))
    if len(patch_size) == 2:
        degrees = 15.0 if max(patch_size) / min(patch_size) > 1.5 else 180.0
        return AugmentationSpec(rotation_degrees=degrees, dummy_2d=False, mirror_axes=axes)
    flat = max(patch_size) / patch_size[0] > 3
    return AugmentationSpec(rotation_degrees=180.0 if flat else 30.0, dummy_2d=flat, mirror_axes=axes)
