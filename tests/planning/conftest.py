"""Fingerprints made by hand, for the tests of planning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from autoseg.core.fingerprint import CaseMeasurement, Fingerprint, IntensityStatistics
from autoseg.core.labels import Labels

STATISTICS = IntensityStatistics(mean=5, median=5, std=2, minimum=0, maximum=10, percentile_00_5=1, percentile_99_5=9)


@pytest.fixture
def make_measurement() -> Callable[..., CaseMeasurement]:
    """``make(name, shape, spacing_mm, orientation, volumes)``; shape and spacing are canonical (X, Y, Z)."""

    def make(
        name: str = "case0",
        shape: Sequence[int] = (30, 40, 50),
        spacing_mm: Sequence[float] = (1, 1, 1),
        orientation: str = "RAS",
        volumes: Mapping[str, float] | None = None,
    ) -> CaseMeasurement:
        x, y, z = shape
        a, b, c = spacing_mm
        return CaseMeasurement(
            name=name,
            domain="site",
            subject=name,
            orientation=orientation,
            shape=(x, y, z),
            spacing_mm=(a, b, c),
            box=((0, x), (0, y), (0, z)),
            label_volumes_mm3={"lesion": 10.0} if volumes is None else dict(volumes),
        )

    return make


@pytest.fixture
def make_fingerprint(make_measurement: Callable[..., CaseMeasurement]) -> Callable[..., Fingerprint]:
    """``make(shape, spacing_mm, num_cases, labels, channels)``: equal cases that are nonzero everywhere."""

    def make(
        shape: Sequence[int] = (30, 40, 50),
        spacing_mm: Sequence[float] = (1, 1, 1),
        num_cases: int = 1,
        labels: Mapping[str, int] | None = None,
        channels: tuple[str, ...] = ("T1w",),
    ) -> Fingerprint:
        return Fingerprint(
            dataset="Made",
            channels=channels,
            labels=Labels(values={"background": 0, "lesion": 1} if labels is None else dict(labels)),
            cases=tuple(make_measurement(f"case{i}", shape, spacing_mm) for i in range(num_cases)),
            intensities=(STATISTICS,) * len(channels),
            domain_intensities={"site": (STATISTICS,) * len(channels)},
        )

    return make
