"""Cases that are unlike the others of their domain, before anything is trained on them.

Each quantity is compared on the scale on which differences are alike (``planning.input_ranges``): lengths and volumes
by their logarithm, intensities by ``asinh``. On it a value x is unlike the others if its modified z-score

    M = (x - median) / (1.4826 MAD),   MAD = median of |x - median|,

is above 3.5 in size (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993, p. 11 f.: 1.4826 makes the MAD of
a normal distribution its standard deviation) and x is more than a factor of 1.1 from the median. Where at least half of
the values agree within that factor, as spacings do, so that the MAD says nothing, 1.4826 MAD gives way to 1.2533 times
the mean of |x - median|, which is the standard deviation of a normal distribution too: then at most 22 % of the values
can be outliers, and two protocols of similar frequency are none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autoseg.core.fingerprint import CaseMeasurement, Fingerprint
from autoseg.core.trained_ranges import INTENSITY_QUANTILES, numbers
from autoseg.planning.case_profile import profile_of_case
from autoseg.planning.input_ranges import contrast_scales, to_measure

LARGEST_SCORE = 3.5
LEAST_FACTOR = 1.1
FEWEST_CASES = 10
MAD_TO_SD = 1.4826
MEAN_DEVIATION_TO_SD = 1.2533
MEDIAN = INTENSITY_QUANTILES.index(0.5)
AXES = ("left-right", "back-front", "down-up")
RULE = (
    f"A case is marked where a quantity is more than {LARGEST_SCORE:g} robust standard deviations (1.4826 times the "
    f"median absolute deviation) and a factor of {LEAST_FACTOR:g} from the median of its domain (Iglewicz and Hoaglin "
    f"1993); domains of fewer than {FEWEST_CASES} cases are not judged."
)

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Outlier:
    """A quantity in which a case is unlike its domain, with the median of the domain; ``score`` is M.

    ``kind`` is ``spacing``, ``size``, ``intensity`` or ``volume``, ``which`` the axis, channel or label. The unit of a
    spacing or size is mm, of a volume ml.
    """

    case: str
    domain: str
    kind: str
    which: str
    value: float
    median: float
    score: float


def find_outliers(fingerprint: Fingerprint, by_domain: bool = True) -> list[Outlier]:
    """The outliers of all cases, the most unlike first; compared within each domain, or all cases with one another.

    What is compared: spacing and size (mm) along each axis, the median intensity of each channel (of nonzero voxels),
    and the volume of each label where it is there. Groups of fewer than ``FEWEST_CASES`` are not judged: of 5 normal
    values 5.4 % are outliers by chance, of 10 1.6 %, of 20 0.6 %, of 100 0.1 % (simulated).
    """
    groups: dict[str, list[CaseMeasurement]] = {}
    for case in fingerprint.cases:
        groups.setdefault(case.domain if by_domain else "", []).append(case)
    found = [outlier for cases in groups.values() for outlier in _of_group(cases, fingerprint)]
    return sorted(found, key=lambda outlier: -abs(outlier.score))  # stable


def modified_z_scores(values: Values) -> Values:
    """M of each of ``values`` ``(N,)``, as the module says; 0 where it is no outlier by the factor, NaN of NaN.

    All 0 where fewer than ``FEWEST_CASES`` values are known.
    """
    known = np.isfinite(values)
    scores = np.where(known, 0.0, np.nan)
    if known.sum() < FEWEST_CASES:
        return scores
    deviations = values - np.median(values[known])
    sizes = np.abs(deviations[known])
    scale = MAD_TO_SD * float(np.median(sizes))
    if LARGEST_SCORE * scale < np.log(LEAST_FACTOR):
        scale = MEAN_DEVIATION_TO_SD * float(sizes.mean())
    far = known & (np.abs(deviations) > np.log(LEAST_FACTOR))
    scores[far] = deviations[far] / scale
    return scores


def _of_group(cases: Sequence[CaseMeasurement], fingerprint: Fingerprint) -> Iterable[Outlier]:
    for kind, which, values, measures in _quantities(cases, fingerprint):
        scores = modified_z_scores(measures)
        median = float(np.median(values[np.isfinite(measures)])) if np.isfinite(measures).any() else np.nan
        for place in np.flatnonzero(np.abs(scores) > LARGEST_SCORE).tolist():
            case = cases[place]
            yield Outlier(
                case.name, case.domain, kind, which, float(values[place]), median, float(scores[place])
            )  # fmt: skip


def _quantities(
    cases: Sequence[CaseMeasurement], fingerprint: Fingerprint
) -> Iterable[tuple[str, str, Values, Values]]:
    """Kind, which, the values ``(cases,)`` and the same on the scale on which they are compared."""
    profiles = [profile_of_case(case) for case in cases]
    for kind, lengths in (
        ("spacing", np.array([profile.spacing_mm for profile in profiles])),
        ("size", np.array([profile.field_of_view_mm for profile in profiles])),
    ):
        for place, axis in enumerate(AXES):
            yield kind, axis, lengths[:, place], np.log(lengths[:, place])
    if all(profile.intensities for profile in profiles):  # fingerprints of old versions have none
        values = np.array([numbers(profile) for profile in profiles])
        measures = to_measure(values, contrast_scales(values))
        for number, channel in enumerate(fingerprint.channels):
            place = 2 * len(AXES) + number * len(INTENSITY_QUANTILES) + MEDIAN
            yield "intensity", channel, values[:, place], measures[:, place]
    for label in fingerprint.labels.foreground:
        volumes = np.array([case.label_volumes_mm3.get(label, 0.0) for case in cases]) / 1000
        logarithms = np.log(volumes, where=volumes > 0, out=np.full(len(volumes), np.nan))
        yield "volume", label, volumes, logarithms
