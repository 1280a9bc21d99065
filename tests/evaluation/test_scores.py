"""The catalogue and the fields of a label's scores say the same."""

from dataclasses import fields

import pytest

from autoseg.core.errors import BadInput
from autoseg.evaluation.scores import FAMILIES, SCORES, LabelMetrics, chosen_families, column_names, score_names


def test_every_score_is_in_one_family_and_a_field():
    names = score_names(FAMILIES)
    assert len(names) == len(SCORES) == sum(len(family) for family in FAMILIES.values())
    assert {"families", *column_names(FAMILIES)} == {field.name for field in fields(LabelMetrics)}


def test_units_of_titles_and_keys_agree():
    for ending, unit in (("_mm", "(mm)"), ("_percent", "(%)"), ("_voxels", "(voxels)")):
        assert {score.name.endswith(ending) == (unit in score.title) for score in SCORES.values()} == {True}


def test_families_come_in_order_with_overlap():
    assert chosen_families([]) == ("overlap",)
    assert chosen_families(["lesions", "surface", "overlap"]) == ("overlap", "surface", "lesions")
    with pytest.raises(BadInput, match="no family of scores called 'distance'"):
        chosen_families(["distance"])


def test_columns_of_families_that_nobody_asked_for_are_left_out():
    assert column_names(["overlap"])[-2:] == ("predicted_volume_mm3", "reference_volume_mm3")
    assert column_names(["lesions"])[-1] == "num_reference_lesions"
    assert "hd_mm" not in column_names(["overlap", "voxels"])
