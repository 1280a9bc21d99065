"""Which report is written, and where."""

import pytest

from autoseg.core.errors import BadInput
from autoseg.pipeline.report import report
from tests.pipeline.report_files import DATASET


def test_what_is_not_there_is_told_with_the_nearest_name(two_folds, tmp_path):
    workspace, _ = two_folds
    with pytest.raises(BadInput, match=r"Tyni: is no dataset or study .*did you mean Tiny\?"):
        report(workspace, "Tyni")
    with pytest.raises(BadInput, match=r"a report is a page; give a name that ends in \.html"):
        report(workspace, DATASET, configuration="3d_fullres", output=tmp_path / "page.pdf")


def test_a_case_that_cannot_be_read_is_said_and_the_others_are_shown(two_folds, tmp_path):
    workspace, cases = two_folds
    broken = workspace.model_folder(DATASET, "3d_fullres", "fold0") / "validation" / f"{cases[1]}.nii.gz"
    kept = broken.read_bytes()
    broken.write_bytes(kept[:50])
    try:
        made = report(workspace, DATASET, configuration="3d_fullres", num_cases=3, output=tmp_path / "r.html")
    finally:
        broken.write_bytes(kept)
    assert made.num_cases == 2
    assert made.problems[0].startswith(f"{broken}: the file is damaged")
