"""Fingerprint in, plan out: nnU-Net's rules for ``2d`` and ``3d_fullres``, and ``full_volume``.

Axes: the fingerprint is canonical (X, Y, Z). nnU-Net works in (z, y, x) and ties are resolved by
that order, so the planner reverses the axes, applies nnU-Net's rules, and brings the coarsest axis to
the front (``transpose_forward``). Hence ``axis_order[i] = 2 - transpose_forward[i]`` is the canonical
axis of working axis ``i``, and every entry of the plan is in working axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import Fingerprint
from autoseg.core.plan import AugmentationSpec, Configuration, Plan
from autoseg.planning.explain import explain, recommend
from autoseg.planning.full_volume import full_volume
from autoseg.planning.mirroring import without_opposites
from autoseg.planning.targets import (
    DatasetSummary,
    mask_normalization,
    normalization,
    resampled_shapes,
    summarize,
    target_spacing,
    transpose_forward,
)
from autoseg.planning.topology import MemoryReference, PatchAndBatch, choose_patch_and_batch, network_spec

LOWRES_BELOW_SHARE = 0.25  # a patch with less of the median image has too little context
LOWRES_STEP = 1.03


@dataclass(frozen=True)
class Planner:
    """The constants in which planners differ: the memory references by number of dimensions."""

    references: dict[int, MemoryReference]

    @property
    def memory_gb(self) -> float:
        """The memory that the planner aims at unless told otherwise."""
        return self.references[3].memory_gb


PLANNERS = {"default": Planner({3: MemoryReference(560e6, 2, 8), 2: MemoryReference(85e6, 12, 8)})}


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


def make_plan(
    fingerprint: Fingerprint, planner: str = "default", memory_gb: float | None = None, file_ending: str = ".nii.gz"
) -> Plan:
    """Decide everything about a dataset from its fingerprint.

    ``memory_gb`` is the memory for training (the planner's own reference if None); ``file_ending`` that
    of the dataset's files. Raises BadInput for an unknown planner, an empty fingerprint or too little memory.
    """
    if planner not in PLANNERS:
        raise BadInput(f"--planner {planner}: there is no such planner; choose one of {', '.join(PLANNERS)}.")
    if not fingerprint.cases:
        raise BadInput(f"{fingerprint.dataset}: the dataset has no training cases; add images with labels.")
    memory_gb = PLANNERS[planner].memory_gb if memory_gb is None else memory_gb
    if not memory_gb > 0:
        raise BadInput(f"--memory {memory_gb:g}GB: the memory must be positive; give a size such as 8GB.")
    summary = summarize(fingerprint)
    fitted = fit_configurations(summary, PLANNERS[planner], memory_gb)
    axis_order = axis_order_of(fitted.transpose)
    configurations, decisions = dict(fitted.configurations), []
    if "3d_fullres" in configurations:
        whole, decision = full_volume(
            configurations["3d_fullres"], fitted.largest_shape, fitted.dataset_voxels, summary.num_classes, memory_gb
        )
        decisions.append(decision)
        if whole is not None:
            configurations["full_volume"] = whole
    configurations, mirroring = without_opposites(configurations, list(fingerprint.labels.foreground), axis_order)
    decisions += mirroring
    recommended, recommendation = recommend(configurations, fitted.target_spacing_mm)
    return Plan(
        dataset=fingerprint.dataset,
        planner=planner,
        channels=fingerprint.channels,
        labels=fingerprint.labels,
        file_ending=file_ending,
        axis_order=axis_order,
        intensities=fingerprint.intensities,
        configurations=configurations,
        recommended=recommended,
        decisions=(
            *explain(summary, fitted.target_spacing_mm, axis_order, fitted.configurations, fitted.patches, memory_gb),
            *decisions,
            recommendation,
        ),
    )


def axis_order_of(transpose: Sequence[int]) -> tuple[int, int, int]:
    """The canonical axis of each working axis, from nnU-Net's ``transpose_forward`` of (z, y, x)."""
    first, second, third = (2 - axis for axis in transpose)
    return first, second, third


def fit_configurations(summary: DatasetSummary, planner: Planner, memory_gb: float) -> Fitted:
    """``2d`` and, unless the images are single slices, ``3d_fullres``, as nnU-Net configures them."""
    target = target_spacing(summary)
    transpose = transpose_forward(target)
    shapes = resampled_shapes(summary, target)[:, list(transpose)]
    spacing = tuple(float(s) for s in target[list(transpose)])
    median = tuple(float(size) for size in np.median(shapes, axis=0))
    voxels = math.prod(median) * summary.num_training
    patches = {"2d": _fit(spacing[1:], median[1:], voxels, summary, planner, memory_gb)}
    configurations = {"2d": _configuration("2d", spacing[1:], median[1:], patches["2d"], summary, batch_dice=True)}
    if median[0] != 1:
        fitted = _fit(spacing, median, voxels, summary, planner, memory_gb)
        lowres = _lowres_exists(fitted, spacing, median, summary, planner, memory_gb)
        patches["3d_fullres"] = fitted
        configurations["3d_fullres"] = _configuration("3d_fullres", spacing, median, fitted, summary, lowres)
    largest = tuple(int(size) for size in shapes.max(axis=0))
    return Fitted(transpose, configurations, patches, largest, voxels, spacing)


def _fit(
    spacing_mm: Sequence[float],
    median_shape: Sequence[float],
    dataset_voxels: float,
    summary: DatasetSummary,
    planner: Planner,
    memory_gb: float,
) -> PatchAndBatch:
    reference = planner.references[len(spacing_mm)]
    return choose_patch_and_batch(spacing_mm, median_shape, dataset_voxels, summary.num_classes, reference, memory_gb)


def _configuration(
    name: str,
    spacing_mm: tuple[float, ...],
    median_shape: tuple[float, ...],
    fitted: PatchAndBatch,
    summary: DatasetSummary,
    batch_dice: bool,
) -> Configuration:
    return Configuration(
        name=name,
        spacing_mm=spacing_mm,
        median_shape_voxels=median_shape,
        patch_size=fitted.topology.patch_size,
        batch_size=fitted.batch_size,
        batch_dice=batch_dice,
        normalization=tuple(normalization(channel) for channel in summary.channels),
        mask_normalization=tuple(
            mask_normalization(channel, summary.median_relative_size) for channel in summary.channels
        ),
        network=network_spec(fitted.topology),
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


def _lowres_exists(
    fullres: PatchAndBatch,
    spacing_mm: tuple[float, ...],
    median_shape: tuple[float, ...],
    summary: DatasetSummary,
    planner: Planner,
    memory_gb: float,
) -> bool:
    """Whether nnU-Net would add a ``3d_lowres``, which decides the batch Dice of ``3d_fullres``.

    The spacing grows by 3 % at a time until a patch covers a quarter of the median image; the result
    must have at most half of the voxels.
    """
    full, median = np.array(spacing_mm), np.array(median_shape)
    lowres, patch = full.copy(), fullres.topology.patch_size
    voxels = float(np.prod(median))
    while math.prod(patch) / voxels < LOWRES_BELOW_SHARE:
        finer = lowres.max() / lowres > 2
        lowres[finer if finer.any() else slice(None)] *= LOWRES_STEP
        voxels = float(np.prod(full / lowres * median))
        shape = [float(max(1, round(float(size)))) for size in full / lowres * median]
        spacing = tuple(float(s) for s in lowres)
        patch = _fit(spacing, shape, voxels * summary.num_training, summary, planner, memory_gb).topology.patch_size
    return float(np.prod(median)) / voxels >= 2
