"""Parts of documents cannot be changed, and nothing unknown slips in."""

import pytest
from pydantic import ValidationError

from autoseg.core.document import Frozen, wrong_entries


class Size(Frozen):
    voxels: int


def test_a_part_cannot_be_changed():
    size = Size(voxels=3)
    with pytest.raises(ValidationError, match="frozen"):
        size.voxels = 4


def test_unknown_keys_are_refused():
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Size(voxels=3, voxel=4)


def test_what_is_wrong_is_told_with_its_place():
    with pytest.raises(ValidationError) as caught:
        Size.model_validate_json('{"voxels": "many", "voxel": 4}')
    first = "voxels: Input should be a valid integer, unable to parse string as an integer"
    assert wrong_entries(caught.value) == f"{first}; voxel: Extra inputs are not permitted"
    assert wrong_entries(caught.value, 1) == first
    with pytest.raises(ValidationError) as caught:
        Size.model_validate_json("[]")
    assert wrong_entries(caught.value).startswith("document: ")
