"""References of a BIDS dataset, from its root and from its labels folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.references import find_references, read_reference
from autoseg.io.images import read_labels
from tests.interop.bids_files import Writer, ball


@pytest.mark.parametrize("below", ["", "derivatives", "derivatives/labels"])
def test_from_dataset_and_labels_folder(write: Writer, tmp_path: Path, below: str) -> None:
    write("site/sub-1/anat/sub-1_T2w.nii.gz")
    write("site/sub-2/anat/sub-2_T2w.nii.gz")
    write("site/derivatives/labels/sub-1/anat/sub-1_T2w_seg-manual.nii.gz", ball(1, 4))
    write("site/derivatives/labels/sub-1/anat/sub-1_T2w_lesion-manual.nii.gz", ball(2, 3))
    found = find_references(tmp_path / "site" / below)
    assert list(found) == ["sub-1_T2w"]
    assert found["sub-1_T2w"].domain == "site"
    np.testing.assert_array_equal(read_reference(found["sub-1_T2w"], {"seg": 1, "lesion": 2}), ball(1, 4) + ball(2, 3))
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"datasets": {"site": {"labels": {"cord": "*_seg-manual"}}}}))
    assert find_references(tmp_path / "site" / below, recipe)["sub-1_T2w"].structures == ("cord",)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no labels were found"):
        find_references(tmp_path)
    with pytest.raises(BadInput, match="no such folder"):
        find_references(tmp_path / "absent")


def test_real_references(real_data: Path) -> None:
    root = real_data / "hippocampus-a"
    from_dataset = find_references(root)
    from_labels = find_references(root / "derivatives" / "labels")
    assert len(from_dataset) == len(from_labels) == 105
    assert from_labels["sub-007"] == from_dataset["sub-007_T1w"]
    read = read_reference(from_labels["sub-007"], {"background": 0, "posterior": 1, "anterior": 2})
    stored = read_labels(root / "derivatives/labels/sub-007/anat/sub-007_desc-manual_dseg.nii.gz")
    np.testing.assert_array_equal(read, np.choose(stored, [0, 2, 1]))
