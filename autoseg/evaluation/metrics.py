"""How well a label map agrees with its reference, label by label: all families of scores of one case.

What the scores are, and what they are where a label is empty: ``autoseg.evaluation.scores``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.evaluation.lesions import lesion_scores
from autoseg.evaluation.scores import DEFAULT_FAMILIES, LabelMetrics, chosen_families
from autoseg.evaluation.skeletons import skeleton_scores
from autoseg.evaluation.surfaces import hausdorff_voxels, surface_scores

SLAB_VOXELS = 2**17

Mask = npt.NDArray[np.bool_]
Slices = tuple[slice, ...]


@dataclass(frozen=True)
class Counts:
    """Numbers of voxels: of the label in both maps, in each, and all voxels that have a reference."""

    shared: int
    predicted: int
    expected: int
    total: int


@dataclass(frozen=True)
class Grid:
    """What the distances of a case are measured with."""

    spacing_mm: Sequence[float]
    axial_axis: int
    tolerance_mm: float


def case_metrics(
    prediction: npt.NDArray[np.integer],
    reference: npt.NDArray[np.integer],
    spacing_mm: Sequence[float],
    labels: Labels,
    families: Collection[str] = DEFAULT_FAMILIES,
    tolerance_mm: float = 1.0,
    axial_axis: int = 2,
) -> dict[str, LabelMetrics]:
    """Score every foreground label or region of a case; the keys of the result are their names, in file order.

    ``prediction`` and ``reference`` are label maps of the same shape ``(X, Y, Z)``; ``spacing_mm`` is the voxel
    size along each axis (for a sheared affine its column norms: distances are then those of the unsheared grid);
    ``axial_axis`` is the axis from slice to slice, for ``skeleton``. Values that ``labels`` does not name count as
    background, and voxels whose reference is to be ignored do not count. ``families`` are keys of
    ``scores.FAMILIES``; ``overlap`` is always among them. Raises BadInput if the shapes differ or a family is unknown.
    """
    if prediction.shape != reference.shape:
        raise BadInput(
            f"The prediction has shape {prediction.shape} and its reference {reference.shape}: "
            "compare label maps on the same grid."
        )
    asked = chosen_families(families)
    spatial = asked != ("overlap",)
    values = labels.stored_values[1:]
    predicted, expected = _numbered(prediction, values), _numbered(reference, values)
    total = predicted.size
    if labels.ignore is not None:
        ignored = reference == labels.ignore
        predicted[ignored] = 0
        total -= int(np.count_nonzero(ignored))
    confusion = _confusion(predicted, expected, len(values) + 1)
    boxes = _joint_boxes(predicted, expected, len(values)) if spatial else []
    grid = Grid(spacing_mm, axial_axis, tolerance_mm)
    voxel_mm3 = float(np.prod(spacing_mm))
    result = {}
    for name, stored in labels.foreground.items():
        members = [values.index(value) + 1 for value in stored]
        counts = Counts(
            shared=int(confusion[np.ix_(members, members)].sum()),
            predicted=int(confusion[:, members].sum()),
            expected=int(confusion[members].sum()),
            total=total,
        )
        scores = _overlap(counts)
        if spatial and counts.predicted + counts.expected:
            box = _union([boxes[number - 1] for number in members])
            scores |= _spatial(np.isin(predicted[box], members), np.isin(expected[box], members), asked, grid)
        volumes_mm3 = counts.predicted * voxel_mm3, counts.expected * voxel_mm3
        result[name] = LabelMetrics(asked, *volumes_mm3, **scores)
    return result


def _overlap(counts: Counts) -> dict[str, Any]:
    """The scores that follow from the numbers of voxels."""
    union = counts.predicted + counts.expected - counts.shared
    if not union:
        return {}
    conformity = _ratio(counts.shared - (union - counts.shared), counts.shared)
    volume_error = _ratio(counts.predicted - counts.expected, counts.expected)
    return {
        "dice": _ratio(2 * counts.shared, counts.predicted + counts.expected),
        "iou": _ratio(counts.shared, union),
        "precision": _ratio(counts.shared, counts.predicted),
        "recall": _ratio(counts.shared, counts.expected),
        "specificity": _ratio(counts.total - union, counts.total - counts.expected),
        "conformity_percent": None if conformity is None else 100 * conformity,
        "volume_error_percent": None if volume_error is None else 100 * volume_error,
    }


def _spatial(prediction: Mask, reference: Mask, families: Collection[str], grid: Grid) -> dict[str, Any]:
    """The scores that need the masks ``(X, Y, Z)``, cut to their joint box; at least one is not empty."""
    scores: dict[str, Any] = {}
    if "lesions" in families:
        scores |= asdict(lesion_scores(prediction, reference, float(np.prod(grid.spacing_mm))))
    if not (prediction.any() and reference.any()):
        return scores | ({"nsd": 0.0} if "surface" in families else {})
    if "surface" in families:
        scores |= asdict(surface_scores(prediction, reference, grid.spacing_mm, grid.tolerance_mm))
    if "voxels" in families:
        scores["hd_voxels"] = hausdorff_voxels(prediction, reference)
    if "skeleton" in families:
        scores |= asdict(skeleton_scores(prediction, reference, grid.spacing_mm, grid.axial_axis))
    return scores


def _ratio(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None


def _numbered(label_map: npt.NDArray[np.integer], values: Sequence[int]) -> npt.NDArray[np.int32]:
    """``values[i]`` becomes ``i + 1``, every other value 0: the table's last entry catches all that is outside it.

    A few planes at a time, because the clipped indices take 8 bytes a voxel.
    """
    top = max(values, default=0)
    table = np.zeros(top + 2, np.int32)
    table[list(values)] = np.arange(1, len(values) + 1)
    result = np.empty(label_map.shape, np.int32)
    for planes in _slabs(label_map.shape):
        result[planes] = table[np.clip(label_map[planes].astype(np.int64), -1, top + 1)]
    return result


def _confusion(
    predicted: npt.NDArray[np.int32], expected: npt.NDArray[np.int32], num_classes: int
) -> npt.NDArray[np.int64]:
    """``(num_classes, num_classes)`` voxel counts, reference by prediction: one count for all labels.

    A few planes at a time, because bincount copies its input to int64.
    """
    counts = np.zeros(num_classes * num_classes, np.int64)
    for planes in _slabs(predicted.shape):
        pairs = expected[planes].ravel() * num_classes + predicted[planes].ravel()
        counts += np.bincount(pairs, minlength=counts.size)
    return counts.reshape(num_classes, num_classes)


def _slabs(shape: Sequence[int]) -> Iterator[slice]:
    """Slices of the first axis that together cover it, each of about ``SLAB_VOXELS`` voxels."""
    planes = max(1, SLAB_VOXELS // max(1, prod(shape[1:])))
    return (slice(start, start + planes) for start in range(0, shape[0], planes))


def _joint_boxes(
    predicted: npt.NDArray[np.int32], expected: npt.NDArray[np.int32], num_labels: int
) -> list[Slices | None]:
    """The smallest box around each label in both maps together; None for a label that neither has."""
    from scipy import ndimage

    found = zip(ndimage.find_objects(predicted, num_labels), ndimage.find_objects(expected, num_labels), strict=True)
    return [_union(pair) if any(pair) else None for pair in found]


def _union(boxes: Sequence[Slices | None]) -> Slices:
    """The smallest box around those that are not None."""
    return tuple(
        slice(min(line.start for line in lines), max(line.stop for line in lines))
        for lines in zip(*(box for box in boxes if box), strict=True)
    )
