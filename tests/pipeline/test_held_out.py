"""Held-out cases, read back."""

import pytest

from autoseg.core.errors import BadInput
from autoseg.pipeline.held_out import held_out, read_evaluation
from tests.pipeline.report_files import DATASET


def test_cases_of_all_folds_come_with_their_fold_and_segmentation(two_folds):
    workspace, cases = two_folds
    found = held_out(workspace, workspace.read_dataset(DATASET), "3d_fullres", ("fold0", "fold1", "fold2"))
    assert [row["case"] for row in found.rows] == cases
    assert found.folds == dict(zip(cases, ["fold0"] * 3 + ["fold1"] * 3, strict=True))
    assert all(path.is_file() for path in found.segmentations.values())
    assert found.drawn_scores == ("dice", "hd95_mm")
    assert not found.trained_on_its_cases


@pytest.mark.parametrize(
    "text", ["{}", "[]", '{"cases": [{"case": "a"}]}', '{"cases": [{"case": 1, "domain": 2, "labels": 3}]}']
)
def test_what_is_no_evaluation_is_refused(tmp_path, text):
    path = tmp_path / "evaluation.json"
    path.write_text(text)
    with pytest.raises(BadInput, match="is no evaluation; validate or evaluate again"):
        read_evaluation(path)
