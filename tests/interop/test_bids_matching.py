"""Labels and images of one dataset."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.bids_conversion import Conversion, plan_conversion
from autoseg.interop.bids_matching import Matched, Request, match_dataset
from autoseg.interop.conversion_recipe import DatasetRecipe
from tests.interop.bids_files import LABELS, Writer, ball, spine_site


def sentences(conversion: Conversion) -> dict[str, str]:
    return {problem.file.name: problem.sentence for problem in conversion.problems}


def match(root: Path, **request: object) -> Matched:
    defaults = {"name": "site", "contrasts": (), "channels": (), "recipe": DatasetRecipe()}
    return match_dataset(root, Request(**(defaults | request)))


def test_labels_folder_goes_before_other_derivatives(write: Writer, tmp_path: Path) -> None:
    spine_site(write, "site", subjects=1)
    write("site/derivatives/automatic/sub-1/anat/sub-1_T2w_label-rootlets_dseg.nii.gz", ball(1, 2))
    write(f"site/{LABELS}/sub-1/anat/sub-1_T2w_label-discs_dlabel.nii.gz", ball(1, 2))
    matched = match(tmp_path / "site")
    assert matched.cases[0].labels.structures == ("seg",)
    assert "1 label files outside derivatives/labels are not used" in matched.notes[0]
    assert "T2w_label-discs_dlabel (1)" in matched.notes[1]
    both = DatasetRecipe(labels={"rootlets": "derivatives/automatic/*", "cord": "*_seg-manual"})
    assert set(match(tmp_path / "site", recipe=both).cases[0].labels.structures) == {"rootlets", "cord"}


def test_runs_of_one_session_are_cases_of_their_own(write: Writer, tmp_path: Path) -> None:
    for run in (1, 2):
        for contrast in ("T1w", "T2w"):
            write(f"site/sub-1/anat/sub-1_run-{run}_{contrast}.nii.gz")
        write(f"site/{LABELS}/sub-1/anat/sub-1_run-{run}_T1w_seg-manual.nii.gz", ball(1, 3))
    matched = match(tmp_path / "site", channels=("T1w", "T2w"))
    assert [case.name for case in matched.cases] == ["site_sub-1_run-1", "site_sub-1_run-2"]
    assert matched.counts == {"site": (4, 2)}


def test_an_ambiguous_label_is_said(write: Writer, tmp_path: Path) -> None:
    for contrast in ("T1w", "T2w"):
        write(f"site/sub-1/anat/sub-1_{contrast}.nii.gz")
    write(f"site/{LABELS}/sub-1/anat/sub-1_desc-manual_dseg.nii.gz", ball(1, 3))
    matched = match(tmp_path / "site")
    assert not matched.cases
    assert "several images" in matched.problems[0].sentence
    assert [case.contrast for case in match(tmp_path / "site", contrasts=("T2w",)).cases] == ["T2w"]


def test_channels(write: Writer, tmp_path: Path) -> None:
    for number, contrasts in ((1, ("FLAIR", "T1w")), (2, ("FLAIR", "T1w")), (3, ("FLAIR",))):
        for contrast in contrasts:
            write(f"ms/sub-{number}/ses-x/anat/sub-{number}_ses-x_{contrast}.nii.gz")
        path = f"ms/{LABELS}/sub-{number}/ses-x/anat/sub-{number}_ses-x_FLAIR_lesion-manual.nii.gz"
        write(path, ball(1, 3))
    shifted = np.diag([1.0, 1.0, 2.0, 1.0])
    shifted[0, 3] = 5
    write("ms/sub-2/ses-x/anat/sub-2_ses-x_T1w.nii.gz", affine=shifted)
    conversion = plan_conversion([tmp_path / "ms"], channels=["T1w", "FLAIR"])
    (case,) = conversion.cases
    assert (case.name, case.session, case.contrast) == ("ms_sub-1_ses-x", "ses-x", "T1w,FLAIR")
    assert [path.name for path in case.images] == ["sub-1_ses-x_T1w.nii.gz", "sub-1_ses-x_FLAIR.nii.gz"]
    assert "5 mm away" in sentences(conversion)["sub-2_ses-x_FLAIR.nii.gz"]
    assert "has no T1w" in sentences(conversion)["sub-3_ses-x_FLAIR.nii.gz"]
    with pytest.raises(BadInput, match="exclude each other"):
        plan_conversion([tmp_path / "ms"], channels=["T1w"], contrasts=["FLAIR"])


def test_header_problems_and_unmatched_files(write: Writer, tmp_path: Path) -> None:
    spine_site(write, "site", subjects=1)
    write("site/sub-2/anat/sub-2_T2w.nii.gz")  # no labels
    write(f"site/{LABELS}/sub-3/anat/sub-3_T2w_seg-manual.nii.gz", ball(0, 1))  # no image
    write("site/sub-4/anat/sub-4_T2w.nii.gz")
    write(f"site/{LABELS}/sub-4/anat/sub-4_T2w_seg-manual.nii.gz", np.zeros((6, 5, 3)))
    write("site/sub-5/anat/sub-5_T2w.nii.gz", np.zeros((6, 5, 4, 2)))
    write(f"site/{LABELS}/sub-5/anat/sub-5_T2w_seg-manual.nii.gz", ball(0, 1))
    conversion = plan_conversion([tmp_path / "site"])
    assert [case.name for case in conversion.cases] == ["site_sub-1_T2w"]
    said = sentences(conversion)
    assert said["sub-2_T2w.nii.gz"].startswith("no label file")
    assert said["sub-3_T2w_seg-manual.nii.gz"].startswith("no image")
    assert "6x5x3 is not the 6x5x4" in said["sub-4_T2w_seg-manual.nii.gz"]
    assert "4D with 2 volumes" in said["sub-5_T2w.nii.gz"]


def test_a_name_that_is_no_text_is_told(write: Writer, tmp_path: Path) -> None:
    spine_site(write, "site", subjects=1)
    strange = os.fsdecode(b"sub-2_acq-\xe9_T2w")
    for name in (f"site/sub-2/anat/{strange}.nii.gz", f"site/{LABELS}/sub-2/anat/{strange}_seg-manual.nii.gz"):
        (tmp_path / name).parent.mkdir(parents=True)
        try:
            (tmp_path / name).touch()
        except OSError:
            pytest.skip("this file system takes text only")
    matched = match(tmp_path / "site")
    assert [case.name for case in matched.cases] == ["site_sub-1_T2w"]
    ((file, sentence),) = ((problem.file, problem.sentence) for problem in matched.problems)
    assert file.name == f"{strange}.nii.gz"
    assert sentence == "its name, or that of a folder, is no text in UTF-8; rename it."
