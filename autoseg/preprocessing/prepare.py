"""From an image as stored to a prepared case, and from logits back to labels on the stored grid.

The order is nnU-Net's (v2, ``default_preprocessor.py``): reorient, crop (there to the nonzero voxels), (N4,)
normalise, resample. ``undo`` turns back what ``apply`` did to the grid, in reverse order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from autoseg.core.case import Case, Image, SpatialTrace
from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import IntensityStatistics
from autoseg.core.geometry import box_shape, box_slices, working_axes
from autoseg.core.labels import Labels
from autoseg.core.plan import Configuration, Normalization, Plan
from autoseg.preprocessing.bias_field import correct_bias_field
from autoseg.preprocessing.case_grid import crop_box, prepared_grid
from autoseg.preprocessing.intensity import normalize, normalized_planes
from autoseg.preprocessing.resample import (
    resample_image,
    resample_labels,
    separate_axis,
)
from autoseg.preprocessing.resample_logits import resample_logits_to_labels
from autoseg.preprocessing.resample_planes import planes_at_a_time, resample_planes

Voxel = TypeVar("Voxel", bound=np.generic)

# Smaller channels are normalised and resampled as a whole, which takes three float32 copies and fewer passes.
LARGE_CHANNEL_VOXELS = 2**25

GRID_FIELDS = ("crop", "native_spacing", "resized_shape")
USED_STATISTICS = {
    "ct": {"mean", "std", "percentile_00_5", "percentile_99_5"},
    "dataset_zscore": {"whole_mean", "whole_std"},
}

WITHOUT_BIAS_FIELD = ("ct", "rgb_0_1")  # normalisations of images that no coil has made
PREPARATION_VERSION = 2  # raise it when apply gives other arrays for the same input


def apply(
    name: str,
    image: Image,
    labels: npt.NDArray[np.integer] | None,
    plan: Plan,
    configuration: Configuration,
    previous: npt.NDArray[np.integer] | None = None,
) -> Case:
    """Prepare a case: ``image`` ``(C, X, Y, Z)`` and ``labels`` ``(X, Y, Z)`` or None, both as stored;
    those of the case are indices (``core.labels``). ``previous`` is the label map of a previous stage, as stored.

    The result is in working axes, on the grid of ``case_grid.prepared_grid``; in 2D, axis 0 keeps its spacing and
    size unless every case is resized.
    BadInput if the channels or shapes are not those of the plan.
    """
    _check(name, image, labels, previous, plan, configuration)
    reorientation = working_axes(image.affine, plan.axis_order, plan.orientation)
    voxels = reorientation.apply(image.voxels)
    spacing = tuple(image.spacing_mm[axis] for axis in reorientation.axes)
    nonzero = _nonzero(voxels)
    box = crop_box(nonzero, spacing, configuration)
    shape, target = prepared_grid(box, spacing, configuration)
    resized = configuration.resized_shape is not None
    trace = SpatialTrace(image.shape, reorientation, box, shape, spacing, target, not resized)
    separate = None if resized else separate_axis(spacing, target)

    cropped, before = (
        None if label_map is None else _encoded(name, reorientation.apply(label_map)[box_slices(box)], plan.labels)
        for label_map in (labels, previous)
    )
    inside = _mark_outside(nonzero[box_slices(box)], cropped, before, any(configuration.mask_normalization))
    del nonzero
    prepared = np.empty((len(voxels), *shape), np.float32)
    for number, channel in enumerate(voxels):
        mask = inside if configuration.mask_normalization[number] else None
        scheme, statistics = configuration.normalization[number], plan.intensities[number]
        inner = channel[box_slices(box)]
        if configuration.bias_field_correction and scheme not in WITHOUT_BIAS_FIELD:
            inner = correct_bias_field(inner, spacing)
        _prepare_channel(inner, scheme, statistics, mask, separate, prepared[number])

    def on_grid(indices: npt.NDArray[np.int16] | None) -> npt.NDArray[np.int16] | None:
        return None if indices is None else resample_labels(indices, shape, separate)

    return Case(name, prepared, on_grid(cropped), trace, on_grid(before))


def _prepare_channel(
    inner: npt.NDArray[Any],
    scheme: Normalization,
    statistics: IntensityStatistics,
    mask: npt.NDArray[np.bool_] | None,
    separate: int | None,
    result: npt.NDArray[np.float32],
) -> None:
    """Normalise and resample into ``result``; a large channel some planes at a time."""
    if max(inner.size, result.size) <= LARGE_CHANNEL_VOXELS or separate not in (None, 0):
        normalized = normalize(inner, scheme, statistics, mask)
        result[...] = resample_image(normalized[None], result.shape, separate_axis=separate)[0]
        return
    planes = normalized_planes(inner, scheme, statistics, mask, planes_at_a_time(inner.shape))
    resample_planes(planes, inner.shape, result, flat=separate == 0)


def undo(logits: npt.NDArray[np.float32], trace: SpatialTrace, labels: Labels) -> npt.NDArray[np.integer]:
    """The value of every stored voxel ``(X, Y, Z)`` from ``logits`` ``(K, *trace.resampled_shape)``.

    Resampled to the crop linearly, then decided (the largest; of regions, what is positive), then pasted into
    background (0) and reoriented. Probabilities give the same labels where nothing is resampled and no region is.
    """
    if logits.shape[1:] != tuple(trace.resampled_shape):
        raise ValueError(f"logits of shape {logits.shape} do not fit the prepared shape {trace.resampled_shape}")
    indices = resample_logits_to_labels(logits, box_shape(trace.box), axis_back(trace), labels.written_indices)
    return undo_labels(indices, trace, labels)


def axis_back(trace: SpatialTrace) -> int | None:
    """The axis that is resampled on its own on the way back to the crop, or None."""
    return separate_axis(trace.resampled_spacing_mm, trace.spacing_mm) if trace.anisotropic_by_slices else None


def undo_labels(indices: npt.NDArray[np.integer], trace: SpatialTrace, labels: Labels) -> npt.NDArray[np.integer]:
    """The part of ``undo`` that follows resampling: indices in the box -> values ``(X, Y, Z)`` as stored."""
    return undo_box(labels.decode(indices), trace)


def undo_box(cropped: npt.NDArray[Voxel], trace: SpatialTrace) -> npt.NDArray[Voxel]:
    """Any values in the box, 0 around it, reoriented: ``(X, Y, Z)`` as stored."""
    whole = np.zeros(tuple(trace.stored_shape[axis] for axis in trace.reorientation.axes), cropped.dtype)
    whole[box_slices(trace.box)] = cropped
    return np.ascontiguousarray(trace.reorientation.undo(whole))


def settings_key(plan: Plan, configuration: Configuration, sources: Sequence[str]) -> str:
    """A SHA-256 (hex) of all that decides the prepared arrays of a case, and of nothing else.

    ``sources`` identify the files of the case, such as their checksums.
    """
    document = {
        "version": PREPARATION_VERSION,
        "orientation": plan.orientation,
        "axis_order": plan.axis_order,
        "label_values": [*plan.labels.stored_values, plan.labels.ignore],
        "spacing_mm": configuration.spacing_mm,
        "normalization": configuration.normalization,
        "mask_normalization": configuration.mask_normalization,
        "bias_field_correction": configuration.bias_field_correction,
        "statistics": [
            plan.intensities[number].model_dump(include=USED_STATISTICS[scheme])
            for number, scheme in enumerate(configuration.normalization)
            if scheme in USED_STATISTICS
        ],
        "sources": list(sources),
    }
    # Named only where they differ from nnU-Net's: what is stored of other cases stays valid.
    grid = configuration.model_dump(include=set(GRID_FIELDS), exclude_defaults=True)
    document |= grid | ({"patch_size": configuration.patch_size} if configuration.crop == "centre" else {})
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _encoded(name: str, stored: npt.NDArray[Any], labels: Labels) -> npt.NDArray[np.int16]:
    try:
        return labels.encode(stored)
    except ValueError as error:
        raise BadInput(f"{name}: the label map {error}; correct it, or name the value in dataset.json.") from None


def _check(
    name: str,
    image: Image,
    labels: npt.NDArray[np.integer] | None,
    previous: npt.NDArray[np.integer] | None,
    plan: Plan,
    configuration: Configuration,
) -> None:
    schemes = configuration.normalization
    if len(image.voxels) != len(schemes):
        raise BadInput(
            f"{name}: the image has {len(image.voxels)} channel(s) and the plan needs {len(schemes)}; "
            "give one file for each channel of the plan."
        )
    for what, label_map in (("labels have", labels), ("labels of the previous stage have", previous)):
        if label_map is not None and label_map.shape != image.shape:
            raise BadInput(
                f"{name}: the {what} the shape {label_map.shape} and the image {image.shape}; "
                "resample the labels to the grid of the image."
            )
    for channel, scheme, of_channel in zip(image.voxels, schemes, plan.intensities, strict=True):
        if scheme == "dataset_zscore" and (of_channel.whole_mean is None or of_channel.whole_std is None):
            raise BadInput(
                f"{name}: the plan has no mean and deviation of whole images, which dataset_zscore needs; "
                "run `autoseg plan` again."
            )
        if scheme == "rgb_0_1" and (channel.min() < 0 or channel.max() > 255):
            raise BadInput(
                f"{name}: an RGB channel has values outside 0..255; rename the channel in the dataset if it is not RGB."
            )


def _nonzero(voxels: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Where any channel of ``(C, *shape)`` is not zero."""
    nonzero: npt.NDArray[np.bool_] = voxels[0] != 0
    for channel in voxels[1:]:
        nonzero |= channel != 0
    return nonzero


def _mark_outside(
    nonzero: npt.NDArray[np.bool_],
    labels: npt.NDArray[np.int16] | None,
    previous: npt.NDArray[np.int16] | None,
    masked: bool,
) -> npt.NDArray[np.bool_] | None:
    """-1 in both maps, in place, where they are background and the image is outside; the mask of a normalisation.

    As in nnU-Net, a labelled voxel belongs to that mask although the image is zero there; without labels, one that the
    previous stage has found. None where nothing needs the mask.
    """
    maps = [one for one in (labels, previous) if one is not None]
    if not maps and not masked:
        return None
    inside = _inside(nonzero)
    for label_map in maps:
        label_map[(label_map == 0) & ~inside] = -1
    return maps[0] >= 0 if maps else inside


def _inside(nonzero: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The nonzero region with its holes filled: zeros that no path over faces joins to a border of the array.

    Everything where there is no nonzero voxel. Components take a sixth of the time of scipy's ``binary_fill_holes``.
    """
    import cc3d

    if not nonzero.any():
        return np.ones_like(nonzero)
    borders = [nonzero.take(end, axis) for axis in range(nonzero.ndim) for end in (0, -1)]
    if all(border.all() for border in borders):
        return np.ones_like(nonzero)
    components, number = cc3d.connected_components(~nonzero, connectivity=6, return_N=True)
    filled = np.ones(number + 1, np.bool_)
    for axis in range(nonzero.ndim):
        for end in (0, -1):
            filled[components.take(end, axis)] = False
    filled[0] = True  # what is not zero
    inside: npt.NDArray[np.bool_] = filled[components]
    return inside
