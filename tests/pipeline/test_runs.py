"""What a training leaves beside its weights, and takes up again."""

import pytest

from autoseg.core.errors import BadInput
from autoseg.io.workspace import write_json
from autoseg.pipeline.runs import SPLIT_FILE, recorded_split
from autoseg.planning.folds import Fold


def test_the_split_is_read_back(tmp_path):
    assert recorded_split(tmp_path) is None
    write_json(tmp_path / SPLIT_FILE, {"train": ["a"], "val": ["b"]})
    assert recorded_split(tmp_path) == Fold(("a",), ("b",))
    write_json(tmp_path / SPLIT_FILE, {"train": ["a"], "val": ["b"], "test": ["c"]})
    assert recorded_split(tmp_path) == Fold(("a",), ("b",), ("c",))


@pytest.mark.parametrize("document", [[], {"train": ["a"]}])
def test_a_damaged_split_is_named(tmp_path, document):
    write_json(tmp_path / SPLIT_FILE, document)
    with pytest.raises(BadInput, match=r"split.json: does not list train and val cases"):
        recorded_split(tmp_path)
