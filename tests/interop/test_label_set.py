"""Which labels a merged dataset has."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.bids_conversion import Conversion, plan_conversion, summary_rows
from tests.interop.bids_files import LABELS, Writer, ball, spine_site


def sentences(conversion: Conversion) -> dict[str, str]:
    return {problem.file.name: problem.sentence for problem in conversion.problems}


def test_contrasts_become_domains_and_rare_labels_are_dropped_loudly(write: Writer, tmp_path: Path) -> None:
    spine_site(write, "site", contrast="T2w")
    spine_site(write, "site", contrast="T2star")
    write("site/sub-1/anat/sub-1_T1w.nii.gz")
    for number in (1, 2):
        write(f"site/{LABELS}/sub-{number}/anat/sub-{number}_T2star_gmseg-manual.nii.gz", ball(2, 3))
    conversion = plan_conversion([tmp_path / "site"])
    assert [row[0] for row in summary_rows(conversion)] == ["site_T2star", "site_T2w"]
    assert {case.subject for case in conversion.cases} == {"site/sub-1", "site/sub-2"}  # one person, one fold
    assert list(conversion.labels) == ["background", "seg"]
    assert "gmseg is dropped" in conversion.notes[0]
    assert "site_T2w (0 of 2 cases)" in conversion.notes[0]
    assert any("T1w" in note for note in conversion.notes[1:])
    only = plan_conversion([tmp_path / "site"], contrasts=["T2star"])
    assert list(only.labels) == ["background", "gmseg", "seg"]
    assert {case.domain for case in only.cases} == {"site"}


def test_a_case_without_a_required_label_is_left_out(write: Writer, tmp_path: Path) -> None:
    spine_site(write, "site", subjects=3)
    for number in (1, 3):
        write(f"site/{LABELS}/sub-{number}/anat/sub-{number}_T2w_lesion-manual.nii.gz", ball(2, 3))
    conversion = plan_conversion([tmp_path / "site"])
    assert [case.subject for case in conversion.cases] == ["site/sub-1", "site/sub-3"]
    assert sentences(conversion) == {
        "sub-2_T2w.nii.gz": "its labels lack lesion; add a label file for it or exclude it."
    }


def test_nothing_in_common(write: Writer, tmp_path: Path) -> None:
    spine_site(write, "a")
    write("b/sub-1/anat/sub-1_T2w.nii.gz")
    write(f"b/{LABELS}/sub-1/anat/sub-1_T2w_lesion-manual.nii.gz", ball(1, 2))
    with pytest.raises(BadInput, match="a has seg; b has lesion"):
        plan_conversion([tmp_path / "a", tmp_path / "b"])
