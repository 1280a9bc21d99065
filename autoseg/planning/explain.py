"""The decisions of a plan in words and numbers, and the recommendation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from autoseg.core.plan import Configuration, Decision
from autoseg.planning.targets import (
    ANISOTROPY,
    MASK_BELOW_RELATIVE_SIZE,
    DatasetSummary,
    mask_normalization,
    normalization,
)
from autoseg.planning.topology import PatchAndBatch

FEWEST_SLICES = 12  # fewer than this, and a 3D network cannot pool across them
_AXIS_NAMES = ("left-right", "back-front", "down-up")


def explain(
    summary: DatasetSummary,
    spacing_mm: tuple[float, ...],
    axis_order: tuple[int, int, int],
    configurations: Mapping[str, Configuration],
    patches: Mapping[str, PatchAndBatch],
    memory_gb: float,
) -> list[Decision]:
    """One Decision each for spacing, axes, normalisation, and patch, batch and Dice of every configuration."""
    decisions = [_spacing(summary, spacing_mm, axis_order), _axes(spacing_mm, axis_order), _normalization(summary)]
    for name, configuration in configurations.items():
        decisions += _patch_and_batch(name, configuration, patches[name], memory_gb)
        if name != "2d":
            decisions.append(_batch_dice(configuration))
    return decisions


def recommend(configurations: Mapping[str, Configuration], spacing_mm: tuple[float, ...]) -> tuple[str, Decision]:
    """The configuration to train first, and why.

    ``spacing_mm`` is the target in working axes. ``full_volume`` is never recommended: it needs a
    narrower network or smaller batch for the same memory; it is offered for its one-pass prediction.
    """
    ratio = max(spacing_mm) / min(spacing_mm)
    fullres = configurations.get("3d_fullres")
    if fullres is None:
        choice, reason = "2d", "the images are single slices"
    elif ratio >= ANISOTROPY:
        choice = "2d"
        reason = (
            f"slices are {max(spacing_mm):g} mm apart and {min(spacing_mm):g} mm fine in the plane, a ratio of "
            f"{ratio:.1f} (2d from {ANISOTROPY:g} on): neighbouring slices say little about each other"
        )
    elif fullres.median_shape_voxels[0] < FEWEST_SLICES:
        choice = "2d"
        reason = (
            f"the median case has {fullres.median_shape_voxels[0]:g} slices (2d below {FEWEST_SLICES}), "
            f"too few for a 3D network"
        )
    else:
        choice = "3d_fullres"
        reason = (
            f"voxels are near isotropic (ratio {ratio:.1f}, 2d from {ANISOTROPY:g} on) and the median case has "
            f"{fullres.median_shape_voxels[0]:g} slices, so a 3D network uses the context of all directions"
        )
        if "full_volume" in configurations:
            reason += "; full_volume predicts in one pass but trains on fewer, larger samples"
    return choice, Decision(what="recommended", choice=choice, reason=reason)


def _spacing(summary: DatasetSummary, spacing_mm: tuple[float, ...], axis_order: tuple[int, int, int]) -> Decision:
    cases = len(summary.spacings_mm)
    if cases == 1:
        reason = "the spacing of the only case"
    elif np.ptp(summary.spacings_mm, axis=0).max() == 0:
        reason = f"all {cases} cases have it"
    else:
        reason = f"the median of {cases} cases"
        of_axis = summary.spacings_mm[:, 2 - axis_order[0]]
        if not math.isclose(float(np.median(of_axis)), spacing_mm[0], rel_tol=1e-6):
            reason += (
                f", but across the thick slices the 10th percentile ({np.median(of_axis):g} mm is the median), "
                f"to keep the finer cases' detail"
            )
    return Decision(what="target spacing", choice=f"{_times(spacing_mm)} mm", reason=reason)


def _axes(spacing_mm: tuple[float, ...], axis_order: tuple[int, int, int]) -> Decision:
    first = _AXIS_NAMES[axis_order[0]]
    even = max(spacing_mm) - min(spacing_mm) == 0
    reason = (
        "all axes have the same spacing, and ties go to down-up"
        if even
        else f"{first} has the coarsest spacing, {spacing_mm[0]:g} mm"
    )
    return Decision(what="slice axis", choice=first, reason=f"{reason}; 2d cuts its slices across it")


def _normalization(summary: DatasetSummary) -> Decision:
    chosen = [f"{channel}: {normalization(channel)}" for channel in summary.channels]
    masked = any(mask_normalization(channel, summary.median_relative_size) for channel in summary.channels)
    reason = f"by the names of the channels; the crop to nonzero voxels keeps {summary.median_relative_size:.0%}"
    reason += (
        f" of the median image, less than {MASK_BELOW_RELATIVE_SIZE:.0%}: z-scores use nonzero voxels only"
        if masked
        else " of the median image: statistics over the whole crop"
    )
    return Decision(what="normalization", choice=", ".join(chosen), reason=reason)


def _patch_and_batch(
    name: str, configuration: Configuration, fitted: PatchAndBatch, memory_gb: float
) -> Iterable[Decision]:
    median, patch = configuration.median_shape_voxels, configuration.patch_size
    multiple = _times(configuration.network.size_multiple)
    if all(p >= m for p, m in zip(patch, median, strict=True)):
        reason = f"holds the median case of {_times(median)} voxels, rounded up to multiples of {multiple}"
    else:
        share = math.prod(patch) / math.prod(median)
        reason = f"{share:.0%} of the median case of {_times(median)} voxels, as much as {memory_gb:g} GB allow"
    yield Decision(what=f"{name} patch", choice=_times(patch), reason=reason)
    if fitted.batch_that_fits <= fitted.batch_of_data_share:
        reason = f"fills {memory_gb:g} GB"
    else:
        reason = f"5 % of the voxels of the dataset, where {fitted.batch_that_fits} would fit in {memory_gb:g} GB"
    if configuration.batch_size > min(fitted.batch_that_fits, fitted.batch_of_data_share):
        reason = f"the smallest batch; {fitted.batch_of_data_share} would be 5 % of the voxels of the dataset"
    yield Decision(what=f"{name} batch", choice=str(configuration.batch_size), reason=reason)


def _batch_dice(configuration: Configuration) -> Decision:
    share = math.prod(configuration.patch_size) / math.prod(configuration.median_shape_voxels)
    choice = "over the batch" if configuration.batch_dice else "per sample"
    reason = f"a patch covers {min(share, 1):.0%} of the median case"
    if configuration.batch_dice:
        reason += ", so a structure is often cut or absent in it"
    return Decision(what=f"{configuration.name} Dice loss", choice=choice, reason=reason)


def _times(values: Iterable[float]) -> str:
    return " x ".join(f"{value:.6g}" for value in values)
