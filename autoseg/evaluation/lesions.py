"""How many lesions are found: sensitivity, positive predictive value and F1 of connected components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

CONNECTIVITY: Final = 6  # by faces, as ITK's connected components have it unless told otherwise
LARGEST_DROPPED_MM3 = 3.0
MIN_OVERLAP = 0.10
MAX_OUTSIDE = 0.70
SHARE_TO_CHECK = 0.65

Mask = npt.NDArray[np.bool_]
Table = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LesionScores:
    """Shares from 0 to 1, None where undefined, and the numbers of lesions that were compared."""

    lesion_sensitivity: float | None = None
    lesion_ppv: float | None = None
    lesion_f1: float | None = None
    num_predicted_lesions: int = 0
    num_reference_lesions: int = 0


def lesion_scores(prediction: Mask, reference: Mask, voxel_mm3: float) -> LesionScores:
    """Lesion-wise scores of two masks ``(X, Y, Z)``, as MSSEG 2016 has them (Commowick et al., Sci Rep 2018).

    A lesion is a component connected by faces that is larger than 3 mm3; smaller ones count as background. A lesion
    of the reference is detected if more than 10 % of it is covered by lesions of the prediction, and if these, taken
    from the largest overlap on until they make up 65 % of what is covered, each lie to at most 70 % outside all
    lesions of the reference. The sensitivity (SensL) is the share of reference lesions that are detected; the
    positive predictive value (PPVL) is the share of predicted lesions that are detected when the masks change their
    roles; F1 is the harmonic mean of both. The thresholds are those of ANIMA's animaSegPerfAnalyzer.

    Undefined: the sensitivity without a lesion in the reference, the predictive value without one in the prediction,
    F1 without any; with lesions in one mask only, or none detected, F1 is 0.
    """
    table = overlap_table(prediction, reference, voxel_mm3)
    num_reference, num_predicted = table.shape[0] - 1, table.shape[1] - 1
    sensitivity = num_detected(table) / num_reference if num_reference else None
    predictive = num_detected(table.T) / num_predicted if num_predicted else None
    total = (sensitivity or 0.0) + (predictive or 0.0)
    f1 = 2 * (sensitivity or 0.0) * (predictive or 0.0) / total if total else 0.0
    return LesionScores(
        lesion_sensitivity=sensitivity,
        lesion_ppv=predictive,
        lesion_f1=f1 if num_reference or num_predicted else None,
        num_predicted_lesions=num_predicted,
        num_reference_lesions=num_reference,
    )


def overlap_table(prediction: Mask, reference: Mask, voxel_mm3: float) -> Table:
    """``(1 + reference lesions, 1 + predicted lesions)`` voxel counts; row and column 0 are background."""
    (expected, num_expected), (found, num_found) = (_lesions(mask, voxel_mm3) for mask in (reference, prediction))
    pairs = expected.ravel() * (num_found + 1) + found.ravel()
    counts = np.bincount(pairs, minlength=(num_expected + 1) * (num_found + 1))
    return counts.reshape(num_expected + 1, num_found + 1).astype(np.int64)


def num_detected(table: Table) -> int:
    """How many of the lesions that the rows of ``table`` count are detected by those of the columns."""
    outside = table[0] / np.maximum(1, table.sum(axis=0))
    detected = 0
    for row in table[1:]:
        covered = int(row[1:].sum())
        if covered <= MIN_OVERLAP * row.sum():
            continue
        by_overlap = 1 + np.argsort(-row[1:], kind="stable")
        shares = np.cumsum(row[by_overlap]) / covered
        checked = by_overlap[: 1 + int(np.argmax(shares >= SHARE_TO_CHECK))]
        detected += bool((outside[checked] <= MAX_OUTSIDE).all())
    return detected


def _lesions(mask: Mask, voxel_mm3: float) -> tuple[npt.NDArray[np.int64], int]:
    """Components numbered from 1, those that are too small put to 0, and how many are left."""
    import cc3d

    components = cc3d.connected_components(np.ascontiguousarray(mask), connectivity=CONNECTIVITY)
    kept = np.bincount(components.ravel()) * voxel_mm3 > LARGEST_DROPPED_MM3
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0)
    return numbers[components], int(kept.sum())
