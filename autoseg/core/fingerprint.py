"""What was measured in a dataset: the only input of the planner.

All axes are canonical (X, Y, Z = right, anterior, superior); all lengths are millimetres.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from autoseg.core.document import Frozen
from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels

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
    """One case. ``box`` is the crop to nonzero voxels; ``orientation`` is that of the file.

    A dataclass with slots takes a kilobyte less than a model, and a fingerprint holds one of every case.
    """

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
    cases: tuple[CaseMeasurement, ...]
    intensities: tuple[IntensityStatistics, ...]  # one per channel
    domain_intensities: dict[str, tuple[IntensityStatistics, ...]]

    @property
    def median_relative_size_after_crop(self) -> float:
        """Median over cases of (voxels after crop) / (voxels before)."""
        return float(np.median([np.prod(case.shape_after_crop) / np.prod(case.shape) for case in self.cases]))


def read_fingerprint(text: str, source: str) -> Fingerprint:
    """Parse a fingerprint; BadInput names the first entry that is wrong."""
    try:
        return Fingerprint.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "document"
        raise BadInput(
            f"{source}: is no valid fingerprint ({where}: {first['msg']}); run `autoseg plan` again."
        ) from None
