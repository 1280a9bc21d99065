"""What is scored: the families of scores, their units, and the rule for labels that are not there.

The rule for empty labels, everywhere in autoseg, is ``EMPTY_LABEL_RULE``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from autoseg.core.errors import BadInput

EMPTY_LABEL_RULE = (
    "A label that is in neither the prediction nor the reference of a case is absent: it has no scores, is left out "
    "of all means, and is counted in num_absent. A label that is in the reference only is missed, one that is in the "
    "prediction only is spurious: Dice, IoU and NSD are 0, precision, recall and specificity are what they are where "
    "they are defined, the volume error is -100 % of a missed label and does not exist for a spurious one, no distance "
    "(HD, HD95, ASSD, SHD, SMD) exists, and the case is counted in num_missed or num_spurious. Conformity does not "
    "exist wherever not a single voxel agrees. SHD and SMD need a slice in which both maps have the label. Lesion F1 "
    "is 0 if only one map has lesions and does not exist if neither has; lesion sensitivity needs a lesion in the "
    "reference and lesion PPV one in the prediction. What does not exist is left out of its mean."
)


class Score(NamedTuple):
    """A score: its key in documents (with the unit), its title, digits to show, and which value is the best."""

    name: str
    title: str
    digits: int
    best: Literal["highest", "lowest", "zero"] = "highest"


FAMILIES: dict[str, tuple[Score, ...]] = {
    "overlap": (
        Score("dice", "Dice", 3),
        Score("iou", "IoU", 3),
        Score("precision", "Precision", 3),
        Score("recall", "Recall", 3),
        Score("specificity", "Specificity", 4),
        Score("conformity_percent", "Conformity (%)", 1),
        Score("volume_error_percent", "Volume error (%)", 1, "zero"),
    ),
    "surface": (
        Score("hd_mm", "HD (mm)", 2, "lowest"),
        Score("hd95_mm", "HD95 (mm)", 2, "lowest"),
        Score("assd_mm", "ASSD (mm)", 2, "lowest"),
        Score("nsd", "NSD", 3),
    ),
    "voxels": (Score("hd_voxels", "HD (voxels)", 2, "lowest"),),
    "skeleton": (Score("shd_mm", "SHD (mm)", 2, "lowest"), Score("smd_mm", "SMD (mm)", 2, "lowest")),
    "lesions": (
        Score("lesion_sensitivity", "Lesion sensitivity", 3),
        Score("lesion_ppv", "Lesion PPV", 3),
        Score("lesion_f1", "Lesion F1", 3),
    ),
}
DEFAULT_FAMILIES = ("overlap", "surface")
SCORES = {score.name: score for family in FAMILIES.values() for score in family}


@dataclass(frozen=True, slots=True)
class LabelMetrics:
    """The scores of one label in one case; None where a score is undefined (``EMPTY_LABEL_RULE``).

    With TP, FP, FN and TN the numbers of voxels (TN depends on how much of the image is background):

    - ``dice`` 2 TP / (2 TP + FP + FN), ``iou`` TP / (TP + FP + FN), 0 to 1;
    - ``precision`` TP / (TP + FP), also called positive predictive value (PPV), 0 to 1;
    - ``recall`` TP / (TP + FN), also called sensitivity or true positive rate (TPR), 0 to 1;
    - ``specificity`` TN / (TN + FP), also called true negative rate (TNR), 0 to 1;
    - ``conformity_percent`` 100 (1 - (FP + FN) / TP) (Chang et al., NeuroImage 2009): at most 100, no lower bound;
    - ``volume_error_percent`` 100 (predicted - reference) / reference, also called relative volume error (RVE).

    The others are those of ``surfaces``, ``skeletons`` and ``lesions``: distances in mm (``hd_voxels``: in voxels),
    shares from 0 to 1. Only those of ``families`` were looked for; no score of the others is in any document.
    """

    families: tuple[str, ...]
    predicted_volume_mm3: float
    reference_volume_mm3: float
    dice: float | None = None
    iou: float | None = None
    precision: float | None = None
    recall: float | None = None
    specificity: float | None = None
    conformity_percent: float | None = None
    volume_error_percent: float | None = None
    hd_mm: float | None = None
    hd95_mm: float | None = None
    assd_mm: float | None = None
    nsd: float | None = None
    hd_voxels: float | None = None
    shd_mm: float | None = None
    smd_mm: float | None = None
    lesion_sensitivity: float | None = None
    lesion_ppv: float | None = None
    lesion_f1: float | None = None
    num_predicted_lesions: int = 0
    num_reference_lesions: int = 0

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


def score_names(families: Iterable[str]) -> tuple[str, ...]:
    """The scores of these families, in the order of ``FAMILIES``."""
    asked = set(families)
    return tuple(score.name for family, scores in FAMILIES.items() if family in asked for score in scores)


def column_names(families: Iterable[str]) -> tuple[str, ...]:
    """What a document has of each label in each case: the scores, then volumes and numbers of lesions."""
    asked = set(families)
    lesions = ("num_predicted_lesions", "num_reference_lesions") if "lesions" in asked else ()
    return (*score_names(asked), "predicted_volume_mm3", "reference_volume_mm3", *lesions)


def chosen_families(asked: Iterable[str]) -> tuple[str, ...]:
    """``asked`` in the order of ``FAMILIES``, with ``overlap``, which costs nothing; BadInput for an unknown one."""
    names = {"overlap", *asked}
    if unknown := sorted(names - set(FAMILIES)):
        raise BadInput(f"metrics: there is no family of scores called {unknown[0]!r}; choose of {', '.join(FAMILIES)}.")
    return tuple(family for family in FAMILIES if family in names)
