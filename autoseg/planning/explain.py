"""The decisions of a plan in words and numbers, and the recommendation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from autoseg.core.plan import Configuration, Decision, Plan
from autoseg.planning.configurations import LOWRES_BELOW_SHARE, LOWRES_LEAST_REDUCTION, Fitted
from autoseg.planning.planners import RESIDUAL, Planner
from autoseg.planning.targets import (
    ANISOTROPY,
    MASK_BELOW_RELATIVE_SIZE,
    DatasetSummary,
    mask_normalization,
    normalization,
)
from autoseg.planning.topology import PatchAndBatch

CONFIGURATION_HEADER = ("configuration", "patch (voxels)", "batch", "spacing (mm)", "network")
FEWEST_SLICES = 12  # fewer than this, and a 3D network cannot pool across them
_AXIS_NAMES = ("left-right", "back-front", "down-up")


def explain(
    summary: DatasetSummary, fitted: Fitted, axis_order: tuple[int, int, int], planner: Planner, memory_gb: float
) -> list[Decision]:
    """One Decision each for spacing, axes, normalisation, a residual network, and what makes each configuration."""
    spacing_mm = fitted.target_spacing_mm
    decisions = [_spacing(summary, spacing_mm, axis_order), _axes(spacing_mm, axis_order), _normalization(summary)]
    if planner.architecture == RESIDUAL:
        decisions.append(_residual_network(planner))
    for name, configuration in fitted.configurations.items():
        if configuration.previous_stage is not None:
            decisions.append(_cascade(configuration))
            continue
        if name == "3d_lowres":
            decisions.append(_lowres(configuration, fitted.configurations["3d_fullres"]))
        decisions += _patch_and_batch(configuration, fitted.patches[name], planner.share_of_data, memory_gb)
        if name != "2d":
            decisions.append(_batch_dice(configuration))
    if "3d_fullres" in fitted.configurations and "3d_lowres" not in fitted.configurations:
        decisions.append(_no_lowres(fitted.configurations["3d_fullres"]))
    return decisions


def configuration_rows(plan: Plan) -> list[tuple[str, ...]]:
    """One row for each configuration of a plan, under CONFIGURATION_HEADER."""
    return [
        (
            name + (" (recommended)" if name == plan.recommended else ""),
            " x ".join(map(str, one.patch_size)),
            str(one.batch_size),
            " x ".join(f"{side:.4g}" for side in one.spacing_mm),
            one.network.describe(),
        )
        for name, one in plan.configurations.items()
    ]


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
        if "3d_lowres" in configurations:
            reason += (
                "; 3d_lowres and 3d_cascade_fullres see more of the case at once, and only cross-validation tells "
                "whether that is worth their two trainings"
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


def _residual_network(planner: Planner) -> Decision:
    blocks = ", ".join(str(count) for count in planner.architecture.encoder_blocks[:4])
    reason = (
        f"this planner was asked for: {blocks} residual blocks in the first stages and {planner.memory_gb:g} GB unless "
        f"told otherwise, for more accuracy and a longer training than the plain U-Net"
    )
    return Decision(what="network", choice=planner.architecture.network, reason=reason)


def _lowres(lowres: Configuration, fullres: Configuration) -> Decision:
    reason = (
        f"a 3d_fullres patch covers {_coverage(fullres):.1%} of the median case, less than {LOWRES_BELOW_SHARE:.0%}; "
        f"at this spacing a patch covers {_coverage(lowres):.0%}"
    )
    return Decision(what="3d_lowres spacing", choice=f"{_times(lowres.spacing_mm)} mm", reason=reason)


def _no_lowres(fullres: Configuration) -> Decision:
    share = _coverage(fullres)
    if share >= LOWRES_BELOW_SHARE:
        reason = (
            f"a 3d_fullres patch covers {min(share, 1):.0%} of the median case, enough context "
            f"(needed below {LOWRES_BELOW_SHARE:.0%})"
        )
    else:
        reason = (
            f"a 3d_fullres patch covers {share:.1%} of the median case, but the image that gives it "
            f"{LOWRES_BELOW_SHARE:.0%} has not even {LOWRES_LEAST_REDUCTION} times fewer voxels"
        )
    return Decision(what="3d_lowres", choice="left out", reason=reason)


def _cascade(configuration: Configuration) -> Decision:
    return Decision(
        what=configuration.name,
        choice=f"3d_fullres after {configuration.previous_stage}",
        reason=f"the label map of {configuration.previous_stage} enters as further channels and gives the context "
        f"that a patch lacks",
    )


def _coverage(configuration: Configuration) -> float:
    """The share of the voxels of the median case that a patch has; above 1 if it is larger."""
    return math.prod(configuration.patch_size) / math.prod(configuration.median_shape_voxels)


def _patch_and_batch(
    configuration: Configuration, fitted: PatchAndBatch, share_of_data: float, memory_gb: float
) -> Iterable[Decision]:
    name, median, patch = configuration.name, configuration.median_shape_voxels, configuration.patch_size
    multiple = _times(configuration.network.size_multiple)
    if all(p >= m for p, m in zip(patch, median, strict=True)):
        reason = f"holds the median case of {_times(median)} voxels, rounded up to multiples of {multiple}"
    else:
        share = _coverage(configuration)
        reason = f"{share:.0%} of the median case of {_times(median)} voxels, as much as {memory_gb:g} GB allow"
    yield Decision(what=f"{name} patch", choice=_times(patch), reason=reason)
    of_data = "all voxels" if share_of_data == 1 else f"{100 * share_of_data:g} % of the voxels"
    if fitted.batch_that_fits <= fitted.batch_of_data_share:
        reason = f"fills {memory_gb:g} GB"
    else:
        reason = f"{of_data} of the dataset, where {fitted.batch_that_fits} would fit in {memory_gb:g} GB"
    if configuration.batch_size > min(fitted.batch_that_fits, fitted.batch_of_data_share):
        reason = f"the smallest batch; {fitted.batch_of_data_share} would be {of_data} of the dataset"
    yield Decision(what=f"{name} batch", choice=str(configuration.batch_size), reason=reason)


def _batch_dice(configuration: Configuration) -> Decision:
    share = _coverage(configuration)
    choice = "over the batch" if configuration.batch_dice else "per sample"
    reason = f"a patch covers {min(share, 1):.0%} of the median case"
    if configuration.batch_dice:
        reason += ", so a structure is often cut or absent in it"
    return Decision(what=f"{configuration.name} Dice loss", choice=choice, reason=reason)


def _times(values: Iterable[float]) -> str:
    return " x ".join(f"{value:.6g}" for value in values)
