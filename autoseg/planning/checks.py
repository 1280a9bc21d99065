"""What looks wrong in a fingerprint, in words, before anybody spends hours on training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from autoseg.core.fingerprint import CaseMeasurement, Fingerprint

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
    return [
        *_few_cases(cases),
        *_outliers(cases),
        *_labels(fingerprint),
        *_intensities(fingerprint),
        *_orientations(cases),
    ]


def _few_cases(cases: Sequence[CaseMeasurement]) -> list[str]:
    subjects = len({case.subject for case in cases})
    if subjects >= FEWEST_CASES:
        return []
    return [f"The dataset has few subjects ({subjects}): the measured accuracy will be uncertain."]


def _outliers(cases: Sequence[CaseMeasurement]) -> list[str]:
    spacing = np.array([case.spacing_mm for case in cases])
    extent = spacing * np.array([case.shape_after_crop for case in cases])
    warnings = []
    for what, values, limit in (("spacing", spacing, OUTLIER_RATIO), ("field of view", extent, SIZE_RATIO)):
        median = np.median(values, axis=0)
        far = (values > limit * median) | (values * limit < median)
        for axis in range(3):
            names = [case.name for case, outlier in zip(cases, far[:, axis], strict=True) if outlier]
            if names:
                warnings.append(
                    f"The {_AXES[axis]} {what} of {_listed(names)} differs more than {limit:g} times from the "
                    f"median of {median[axis]:g} mm: check the header."
                )
    return warnings


def _labels(fingerprint: Fingerprint) -> list[str]:
    warnings = []
    for label, values in fingerprint.labels.foreground.items():
        if not any(case.label_volumes_mm3.get(label, 0) > 0 for case in fingerprint.cases):
            listed = ", ".join(map(str, values))
            warnings.append(f"Label {label} (value {listed}) occurs in no case: it cannot be learned.")
    empty = [case.name for case in fingerprint.cases if not any(case.label_volumes_mm3.values())]
    if empty:
        warnings.append(f"There is no foreground in {_listed(empty)}: correct if nothing is to be found there.")
    return warnings


def _intensities(fingerprint: Fingerprint) -> list[str]:
    return [
        f"Channel {channel} is constant ({statistics.minimum:g}) in the foreground of {domain}: check the images."
        for domain, per_channel in fingerprint.domain_intensities.items()
        for channel, statistics in zip(fingerprint.channels, per_channel, strict=True)
        if statistics.minimum == statistics.maximum
    ]


def _orientations(cases: Sequence[CaseMeasurement]) -> list[str]:
    counts = Counter(case.orientation for case in cases)
    if len(counts) == 1:
        return []
    listed = ", ".join(f"{code}: {count}" for code, count in counts.most_common())
    return [f"The files are stored in different orientations ({listed}); autoseg aligns them by their headers."]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    return shown if len(names) <= _NAMES_SHOWN else f"{shown} and {len(names) - _NAMES_SHOWN} more"
