"""How well a label map agrees with its reference: overlap, volume and surface distance.

The rule for empty labels, everywhere in autoseg, is ``EMPTY_LABEL_RULE``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels

EMPTY_LABEL_RULE = (
    "A label that is in neither the prediction nor the reference of a case is absent: it has no scores, is left out "
    "of all means, and is counted in num_absent. A label that is in the reference only is missed, one that is in the "
    "prediction only is spurious: Dice, IoU and NSD are 0, precision and recall are 0 where they are defined, HD95 "
    "and ASSD do not exist and are left out of their means, and the case is counted in num_missed or num_spurious."
)
SLAB_VOXELS = 2**17
ROUNDING_MM = 1e-6  # sums of squared spacings may round a distance that equals the tolerance to just above it

Mask = npt.NDArray[np.bool_]
Slices = tuple[slice, ...]


@dataclass(frozen=True)
class SurfaceScores:
    """HD95 and ASSD in millimetres; NSD is a share from 0 to 1."""

    hd95_mm: float
    assd_mm: float
    nsd: float


@dataclass(frozen=True)
class LabelMetrics:
    """The scores of one label in one case; None where a score is undefined (``EMPTY_LABEL_RULE``).

    ``volume_error`` is (predicted - reference) / reference; Dice, IoU, precision, recall and NSD go from 0 to 1.
    """

    dice: float | None
    iou: float | None
    precision: float | None
    recall: float | None
    hd95_mm: float | None
    assd_mm: float | None
    nsd: float | None
    volume_error: float | None
    predicted_volume_mm3: float
    reference_volume_mm3: float

    @property
    def absent(self) -> bool:
        """Nothing to find, nothing found."""
        return self.predicted_volume_mm3 == 0 and self.reference_volume_mm3 == 0

    @property
    def missed(self) -> bool:
        """Something to find, nothing found."""
        return self.predicted_volume_mm3 == 0 and self.reference_volume_mm3 > 0

    @property
    def spurious(self) -> bool:
        """Nothing to find, something found."""
        return self.predicted_volume_mm3 > 0 and self.reference_volume_mm3 == 0


def case_metrics(
    prediction: npt.NDArray[np.integer],
    reference: npt.NDArray[np.integer],
    spacing_mm: Sequence[float],
    labels: Labels,
    surface: bool = True,
    tolerance_mm: float = 1.0,
) -> dict[str, LabelMetrics]:
    """Score every foreground label or region of a case; the keys of the result are their names, in file order.

    ``prediction`` and ``reference`` are label maps of the same shape ``(X, Y, Z)``; ``spacing_mm`` is the voxel
    size along each axis (for a sheared affine its column norms: distances are then those of the unsheared grid).
    Values that ``labels`` does not name count as background, and so does the prediction where the reference is to
    be ignored. Without ``surface``, HD95, ASSD and NSD are None. Raises BadInput if the shapes differ.
    """
    if prediction.shape != reference.shape:
        raise BadInput(
            f"The prediction has shape {prediction.shape} and its reference {reference.shape}: "
            "compare label maps on the same grid."
        )
    values = labels.stored_values[1:]
    predicted, expected = _numbered(prediction, values), _numbered(reference, values)
    if labels.ignore is not None:
        predicted[reference == labels.ignore] = 0
    confusion = _confusion(predicted, expected, len(values) + 1)
    boxes = _joint_boxes(predicted, expected, len(values)) if surface else []
    voxel_mm3 = float(np.prod(spacing_mm))
    result = {}
    for name, stored in labels.foreground.items():
        members = [values.index(value) + 1 for value in stored]
        shared = int(confusion[np.ix_(members, members)].sum())
        num_expected, num_predicted = int(confusion[members].sum()), int(confusion[:, members].sum())
        scores = None
        if surface and num_expected and num_predicted:
            box = _union([boxes[number - 1] for number in members])
            masks = [np.isin(numbers[box], members) for numbers in (predicted, expected)]
            scores = surface_scores(masks[0], masks[1], spacing_mm, tolerance_mm)
        nsd = scores.nsd if scores else 0.0 if surface and num_expected + num_predicted else None
        result[name] = LabelMetrics(
            dice=_ratio(2 * shared, num_expected + num_predicted),
            iou=_ratio(shared, num_expected + num_predicted - shared),
            precision=_ratio(shared, num_predicted),
            recall=_ratio(shared, num_expected),
            hd95_mm=scores.hd95_mm if scores else None,
            assd_mm=scores.assd_mm if scores else None,
            nsd=nsd,
            volume_error=_ratio(num_predicted - num_expected, num_expected),
            predicted_volume_mm3=num_predicted * voxel_mm3,
            reference_volume_mm3=num_expected * voxel_mm3,
        )
    return result


def surface_scores(
    prediction: Mask, reference: Mask, spacing_mm: Sequence[float], tolerance_mm: float = 1.0
) -> SurfaceScores:
    """Distances between the surfaces of two masks of the same shape ``(X, Y, Z)``, neither of them empty.

    A surface is the voxels of a mask with a face neighbour outside it or outside the array; a distance is that
    from the centre of a surface voxel to the closest centre of the other surface, in millimetres. HD95 is the
    larger of the two directed 95th percentiles (linear interpolation); ASSD is the mean over the distances of both
    directions pooled; NSD is the share of the pooled distances that are at most ``tolerance_mm`` (Nikolov et al.,
    JMIR 2021, with voxels in place of surface elements). These are the definitions of MONAI.

    The cost grows with the array: cut it to the joint bounding box first, which changes nothing.
    """
    from scipy import ndimage

    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in (prediction, reference)]
    to_prediction, to_reference = (
        ndimage.distance_transform_edt(~surface, sampling=spacing_mm) for surface in surfaces
    )
    directed = [to_reference[surfaces[0]], to_prediction[surfaces[1]]]
    pooled = np.concatenate(directed)
    return SurfaceScores(
        hd95_mm=max(float(np.percentile(distances, 95)) for distances in directed),
        assd_mm=float(pooled.mean()),
        nsd=float((pooled <= tolerance_mm + ROUNDING_MM).mean()),
    )


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
