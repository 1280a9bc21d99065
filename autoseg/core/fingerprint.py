"""What was measured in a dataset: the only input of the planner.

All axes are canonical (X, Y, Z = right, anterior, superior); all lengths are millimetres.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from autoseg.core.document import Frozen
from autoseg.core.labels import Labels
from autoseg.core.packed import Packed

SCHEMA_VERSION = 1
Number = Annotated[float, Field(allow_inf_nan=False)]


class IntensityStatistics(Frozen):
    """Intensities of foreground voxels (label > 0), pooled over cases; those called ``whole`` are of all voxels."""

    mean: Number
    median: Number
    std: Number
    minimum: Number
    maximum: Number
    percentile_00_5: Number
    percentile_99_5: Number
    whole_mean: Number | None = None  # None where a foreign plan does not tell
    whole_std: Number | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class CaseMeasurement:
    """One case. ``box`` is the crop to nonzero voxels; ``orientation`` is that of the file."""

    name: str
    domain: str
    subject: str
    orientation: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    box: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    label_volumes_mm3: dict[str, float]
    # Of each channel (``trained_ranges.INTENSITY_QUANTILES``); empty in fingerprints that did not measure them.
    intensity_quantiles: tuple[tuple[float, ...], ...] = ()

    @property
    def shape_after_crop(self) -> tuple[int, int, int]:
        """Size of the crop in voxels."""
        (a, b), (c, d), (e, f) = self.box
        return b - a, d - c, f - e


class Fingerprint(Frozen):
    """The measurements of a dataset."""

    schema_version: int = SCHEMA_VERSION
    dataset: str
    channels: tuple[str, ...]
    labels: Labels
    cases: Packed[CaseMeasurement]
    intensities: tuple[IntensityStatistics, ...]  # one per channel
    domain_intensities: dict[str, tuple[IntensityStatistics, ...]]


class Sizes(NamedTuple):
    """Of all cases, ``(N, 3)`` each, in canonical axes; shapes are in voxels."""

    spacing_mm: npt.NDArray[np.float64]
    shape: npt.NDArray[np.int64]
    shape_after_crop: npt.NDArray[np.int64]

    @property
    def median_relative_size_after_crop(self) -> float:
        """Median over cases of (voxels after crop) / (voxels before)."""
        return float(np.median(self.shape_after_crop.prod(axis=1) / self.shape.prod(axis=1)))


def sizes_of(cases: Iterable[CaseMeasurement]) -> Sizes:
    """In one pass: each unpacks every case."""
    spacing, shape, after_crop = array("d"), array("q"), array("q")
    for case in cases:
        spacing.extend(case.spacing_mm)
        shape.extend(case.shape)
        after_crop.extend(case.shape_after_crop)
    return Sizes(*(np.asarray(values).reshape(-1, 3) for values in (spacing, shape, after_crop)))
