"""What looks wrong in a fingerprint, in words, before anybody spends hours on training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from autoseg.core.fingerprint import CaseMeasurement, Fingerprint, sizes_of
from autoseg.core.packed import Packed

OUTLIER_RATIO = 2.0  # of the median spacing
SIZE_RATIO = 3.0  # of the median field of view
FEWEST_CASES = 5
_AXES = ("left-right", "back-front", "down-up")
_NAMES_SHOWN = 3


def check_fingerprint(fingerprint: Fingerprint) -> list[str]:
    """Warnings, one sentence each; empty when nothing looks wrong."""
    cases = fingerprint.cases
    if not cases:
        return ["The dataset has no training cases."]
    subjects: set[str] = set()
    labels: set[str] = set()  # that occur
    without_foreground: list[int] = []
    orientations: Counter[str] = Counter()
    for place, case in enumerate(cases):
        if len(subjects) < FEWEST_CASES:
            subjects.add(case.subject)
        labels.update(label for label, volume_mm3 in case.label_volumes_mm3.items() if volume_mm3 > 0)
        if not any(case.label_volumes_mm3.values()):
            without_foreground.append(place)
        orientations[case.orientation] += 1
    return [
        *_few_cases(len(subjects)),
        *_outliers(cases),
        *_labels(fingerprint, labels, without_foreground),
        *_intensities(fingerprint),
        *_orientations(orientations),
    ]


def _few_cases(subjects: int) -> list[str]:
    if subjects >= FEWEST_CASES:
        return []
    return [f"The dataset has few subjects ({subjects}): the measured accuracy will be uncertain."]


def _outliers(cases: Packed[CaseMeasurement]) -> list[str]:
    spacing, _, shape = sizes_of(cases)
    extent = spacing * shape
    warnings = []
    for what, values, limit in (("spacing", spacing, OUTLIER_RATIO), ("field of view", extent, SIZE_RATIO)):
        median = np.median(values, axis=0)
        far = (values > limit * median) | (values * limit < median)
        for axis in range(3):
            places = np.flatnonzero(far[:, axis]).tolist()
            if places:
                warnings.append(
                    f"The {_AXES[axis]} {what} of {_listed(cases, places)} differs more than {limit:g} times from the "
                    f"median of {median[axis]:g} mm: check the header."
                )
    return warnings


def _labels(fingerprint: Fingerprint, there: set[str], without_foreground: Sequence[int]) -> list[str]:
    warnings = []
    for label, values in fingerprint.labels.foreground.items():
        if label not in there:
            listed = ", ".join(map(str, values))
            warnings.append(f"Label {label} (value {listed}) occurs in no case: it cannot be learned.")
    if without_foreground:
        listed = _listed(fingerprint.cases, without_foreground)
        warnings.append(f"There is no foreground in {listed}: correct if nothing is to be found there.")
    return warnings


def _intensities(fingerprint: Fingerprint) -> list[str]:
    return [
        f"Channel {channel} is constant ({statistics.minimum:g}) in the foreground of {domain}: check the images."
        for domain, per_channel in fingerprint.domain_intensities.items()
        for channel, statistics in zip(fingerprint.channels, per_channel, strict=True)
        if statistics.minimum == statistics.maximum
    ]


def _orientations(counts: Counter[str]) -> list[str]:
    if len(counts) == 1:
        return []
    listed = ", ".join(f"{code}: {count}" for code, count in counts.most_common())
    return [f"The files are stored in different orientations ({listed}); autoseg aligns them by their headers."]


def _listed(cases: Packed[CaseMeasurement], places: Sequence[int]) -> str:
    shown = ", ".join(cases[place].name for place in places[:_NAMES_SHOWN])
    return shown if len(places) <= _NAMES_SHOWN else f"{shown} and {len(places) - _NAMES_SHOWN} more"
