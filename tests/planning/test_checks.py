"""One dataset for each warning, and one without any."""

from __future__ import annotations

import pytest

from autoseg.planning.checks import check_fingerprint


def test_a_sound_dataset_has_no_warnings(make_fingerprint) -> None:
    assert check_fingerprint(make_fingerprint(num_cases=10)) == []


def test_no_cases(make_fingerprint) -> None:
    assert check_fingerprint(make_fingerprint(num_cases=0)) == ["The dataset has no training cases."]


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"shape": (30, 40, 10), "spacing_mm": (1, 1, 5)}, "down-up spacing of odd differs more than 2 times"),
        ({"spacing_mm": (0.4, 1, 1), "shape": (75, 40, 50)}, "left-right spacing of odd"),
        ({"shape": (30, 140, 50)}, "back-front field of view of odd differs more than 3 times"),
        ({"volumes": {"lesion": 0.0}}, "There is no foreground in odd"),
        ({"orientation": "LPS"}, "different orientations (RAS: 9, LPS: 1)"),
    ],
)
def test_one_odd_case(make_fingerprint, make_measurement, changed, complaint: str) -> None:
    whole = make_fingerprint(num_cases=9)
    odd = whole.model_copy(update={"cases": (*whole.cases, make_measurement("odd", **changed))})
    (warning,) = check_fingerprint(odd)
    assert complaint in warning


def test_a_label_that_never_occurs(make_fingerprint) -> None:
    labels = {"background": 0, "lesion": 1, "tumour": 2}
    (warning,) = check_fingerprint(make_fingerprint(num_cases=9, labels=labels))
    assert warning.startswith("Label tumour (value 2) occurs in no case")


def test_a_constant_channel(make_fingerprint) -> None:
    whole = make_fingerprint(num_cases=9)
    constant = whole.intensities[0].model_copy(update={"minimum": 3.0, "maximum": 3.0})
    (warning,) = check_fingerprint(whole.model_copy(update={"domain_intensities": {"site": (constant,)}}))
    assert warning.startswith("Channel T1w is constant (3) in the foreground of site")


def test_few_subjects(make_fingerprint) -> None:
    (warning,) = check_fingerprint(make_fingerprint(num_cases=2))
    assert warning.startswith("The dataset has few subjects (2)")
