"""The fingerprint document."""

import pytest
from pydantic import ValidationError

from autoseg.core.fingerprint import CaseMeasurement, Fingerprint, sizes_of
from autoseg.core.labels import Labels


def case(name, box):
    return CaseMeasurement(
        name=name,
        domain="site",
        subject=name,
        orientation="RAS",
        shape=(10, 10, 10),
        spacing_mm=(1, 1, 1),
        box=box,
        label_volumes_mm3={},
    )


def test_sizes_after_the_crop():
    cases = (
        case("a", ((0, 10), (0, 10), (0, 10))),
        case("b", ((2, 7), (0, 10), (5, 10))),
        case("c", ((0, 10), (0, 10), (0, 5))),
    )
    fingerprint = Fingerprint(
        dataset="D",
        channels=("T1w",),
        labels=Labels(values={"ball": 1}),
        cases=cases,
        intensities=(),
        domain_intensities={},
    )
    assert cases[1].shape_after_crop == (5, 10, 5)
    sizes = sizes_of(fingerprint.cases)
    assert sizes.median_relative_size_after_crop == 0.5
    assert sizes.shape_after_crop.tolist() == [[10, 10, 10], [5, 10, 5], [10, 10, 5]]
    assert Fingerprint.model_validate_json(fingerprint.model_dump_json()) == fingerprint


def test_unknown_entries_are_refused():
    with pytest.raises(ValidationError):
        Fingerprint.model_validate({"dataset": "D", "colour": "red"})
