"""What a recipe leaves to the dataset: values for each channel, spacing, and the size of the patch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from autoseg.core.fingerprint import Fingerprint, sizes_of
from autoseg.core.network_spec import MADE_TO_MEASURE, PublishedNetwork
from autoseg.core.plan import Configuration, Plan

_PER_CHANNEL = ("normalization", "mask_normalization")


def fit(
    document: Mapping[str, Any], plan: Plan, fingerprint: Fingerprint, axis_order: tuple[int, int, int]
) -> dict[str, Any]:
    """A configuration as JSON, written out but for what depends on the dataset.

    ``normalization`` and ``mask_normalization`` may be given once for all channels. The ``patch_size`` of a published
    network is ``"largest"``, which holds every case, or a size that is made smaller where it exceeds that; it is a
    multiple of what the network needs. A U-Net that is made to measure keeps what was planned.
    """
    fitted = dict(document)
    for key in _PER_CHANNEL:
        if not isinstance(fitted[key], list):
            fitted[key] = [fitted[key]] * len(plan.channels)
    network = fitted["network"]
    if not isinstance(network, dict) or network.get("name") in MADE_TO_MEASURE:
        return fitted
    if not _is_complete(fitted) or sorted(axis_order) != [0, 1, 2]:
        return fitted
    first = 3 - network["dimensions"]
    spacing, shapes = _grid(fitted, plan, fingerprint, axis_order)
    fitted["spacing_mm"] = spacing[first:]
    fitted["median_shape_voxels"] = np.maximum(np.median(shapes, axis=0), 1)[first:].tolist()
    if not fitted.get("candidates"):
        fitted["patch_size"] = _patch_size(fitted["patch_size"], shapes.max(axis=0)[first:], network["size_multiple"])
    return fitted


def _is_complete(fitted: Mapping[str, Any]) -> bool:
    """Whether all but the sizes is right; where it is not, the plan that is made of it says what is wrong."""
    try:
        network = PublishedNetwork.model_validate(fitted["network"])
        sizes = {key: network.size_multiple for key in ("patch_size", "spacing_mm", "median_shape_voxels")}
        Configuration.model_validate({**fitted, **sizes})
    except ValidationError:
        return False
    return True


def _grid(
    document: Mapping[str, Any], plan: Plan, fingerprint: Fingerprint, axis_order: Sequence[int]
) -> tuple[list[float], npt.NDArray[np.float64]]:
    """The spacing of the three working axes, and the shapes ``(cases, 3)`` of the cases at that spacing."""
    order = list(axis_order)
    sizes = sizes_of(fingerprint.cases)
    spacings = sizes.spacing_mm[:, order]
    measured = sizes.shape_after_crop if document["crop"] == "nonzero" else sizes.shape
    shapes = measured[:, order].astype(np.float64)
    spacing: list[float] = np.median(spacings, axis=0).tolist()
    if document["resized_shape"]:
        return spacing, np.array([document["resized_shape"]], np.float64)
    if document["native_spacing"]:
        return spacing, shapes
    planned = max(plan.configurations.values(), key=lambda one: (one.name == "3d_fullres", len(one.spacing_mm)))
    axes = plan.axis_order[3 - len(planned.spacing_mm) :]
    known = dict(zip(axes, planned.spacing_mm, strict=True))
    spacing = [known.get(axis, median) for axis, median in zip(order, spacing, strict=True)]
    return spacing, np.maximum(np.rint(spacings / np.array(spacing) * shapes), 1)


def _patch_size(given: Any, largest: npt.NDArray[np.float64], multiple: Sequence[int]) -> Any:
    """Holds ``largest``, or is what was given where that is smaller; what is no size is left to the plan to refuse."""
    enough = [-(-int(size) // step) * step for size, step in zip(largest, multiple, strict=True)]
    if given == "largest":
        return enough
    if not isinstance(given, list) or len(given) != len(enough) or not all(type(size) is int for size in given):
        return given
    return [min(size, most) for size, most in zip(given, enough, strict=True)]
