"""Parts of documents cannot be changed, and nothing unknown slips in."""

import pytest
from pydantic import ValidationError

from autoseg.core.document import Frozen


class Size(Frozen):
    voxels: int


def test_a_part_cannot_be_changed():
    size = Size(voxels=3)
    with pytest.raises(ValidationError, match="frozen"):
        size.voxels = 4


def test_unknown_keys_are_refused():
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Size(voxels=3, voxel=4)
