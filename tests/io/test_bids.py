"""The index of a BIDS dataset: names only, so the files here are empty."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autoseg.core.errors import BadInput
from autoseg.core.packed import BLOCK
from autoseg.io.bids import (
    BidsFile,
    contrast_of,
    has_contrast,
    index_dataset,
    index_labels,
    name_endings,
    parse_name,
    stem_without_contrast,
)


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def parsed(stem: str) -> BidsFile:
    file = parse_name(Path(f"{stem}.nii.gz"))
    assert file is not None
    return file


@pytest.mark.parametrize(
    ("stem", "contrast", "image_stem", "label_part"),
    [
        ("sub-1_T1w", "T1w", "sub-1_T1w", ""),
        ("sub-1_ses-2_acq-ax_run-1_T2w", "T2w", "sub-1_ses-2_acq-ax_run-1_T2w", ""),
        ("sub-1_T2star_gmseg-manual", "T2star", "sub-1_T2star", "gmseg-manual"),
        ("sub-1_ses-2_T2w_label-SC_seg", "T2w", "sub-1_ses-2_T2w", "label-SC_seg"),
        ("sub-1_T2w_desc-manual_dseg", "T2w", "sub-1_T2w", "desc-manual_dseg"),
        ("sub-1_T1w_label-anterior_mask", "T1w", "sub-1_T1w", "label-anterior_mask"),
        ("sub-1_acq-a_desc-manual_dseg", "", "sub-1_acq-a", "desc-manual_dseg"),
        ("sub-1_space-T2w_label-SC_mask", "", "sub-1", "space-T2w_label-SC_mask"),
        ("sub-1_dseg", "", "sub-1", "dseg"),
        ("sub-1_lesion-manual", "", "sub-1", "lesion-manual"),
        ("sub-1_seg-manual", "", "sub-1", "seg-manual"),
    ],
)
def test_parse_name(stem: str, contrast: str, image_stem: str, label_part: str) -> None:
    file = parsed(stem)
    assert (file.contrast, file.image_stem, file.label_part) == (contrast, image_stem, label_part)
    assert file.session == ("ses-2" if "ses-2" in stem else "")


@pytest.mark.parametrize(
    "name", ["T1w.nii.gz", "sub-1.nii.gz", "sub-_T1w.nii.gz", "sub-1__T1w.nii.gz", "sub-1_T1w.mgz"]
)
def test_names_that_say_nothing(name: str) -> None:
    assert parse_name(Path(name)) is None


def test_index(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "sub-1/anat/sub-1_T1w.nii.gz",
        "sub-1/anat/sub-1_T1w.json",
        "sub-1/anat/sub-1_T1w_seg-manual.nii.gz",
        "sub-2/ses-a/dwi/sub-2_ses-a_dwi.nii",
        "sub-2/.hidden/sub-2_T1w.nii.gz",
        "sourcedata/sub-3/anat/sub-3_T1w.nii.gz",
        "derivatives/labels/sub-1/anat/sub-1_T1w_lesion-manual.nii.gz",
        "derivatives/other/sub-1/anat/sub-1_desc-preproc_T1w.nii.gz",
        "derivatives/code/sub-1/anat/sub-1_T1w_lesion-manual.nii.gz",
    )
    index = index_dataset(tmp_path)
    assert [file.stem for file in index.images] == ["sub-1_T1w", "sub-2_ses-a_dwi"]
    assert [file.stem for file in index.labels] == ["sub-1_T1w_seg-manual", "sub-1_T1w_lesion-manual"]
    assert index.problems == ()
    assert name_endings(index.labels) == "T1w_seg-manual (1), T1w_lesion-manual (1)"
    assert [file.stem for file in index_labels(tmp_path / "derivatives").labels] == ["sub-1_T1w_lesion-manual"]


def test_problems_are_said(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "sub-1/anat/sub-1_T1w.nii.gz",
        "sub-1/anat/sub-1_T1w.nii",
        "sub-1/anat/sub-2_T1w.nii.gz",
        "sub-1/anat/strange.nii.gz",
        "derivatives/labels/sub-1/anat/sub-2_T1w_seg-manual.nii.gz",
    )
    index = index_dataset(tmp_path)
    assert [file.path.name for file in index.images] == ["sub-1_T1w.nii"]
    sentences = {path.name: sentence for path, sentence in index.problems}
    assert sorted(sentences) == [
        "strange.nii.gz",
        "sub-1_T1w.nii.gz",
        "sub-2_T1w.nii.gz",
        "sub-2_T1w_seg-manual.nii.gz",
    ]
    assert "its name says sub-2 and it lies in sub-1" in sentences["sub-2_T1w_seg-manual.nii.gz"]


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such folder"):
        index_dataset(tmp_path / "absent")
    touch(tmp_path, "scans/a.nii.gz")
    with pytest.raises(BadInput, match="here is scans"):
        index_dataset(tmp_path)
    touch(tmp_path, "site-a/sub-1/anat/sub-1_T1w.nii.gz")
    with pytest.raises(BadInput, match="holds some; give them by name: site-a"):
        index_dataset(tmp_path)


def test_real_datasets(real_data: Path) -> None:
    counts = {"hippocampus-a": (105, 105), "hippocampus-b": (35, 70), "ms-brain": (6, 2), "spinal-cord": (3, 4)}
    for name, expected in counts.items():
        index = index_dataset(real_data / name)
        assert (len(index.images), len(index.labels), index.problems) == (*expected, ())


@pytest.mark.parametrize(
    ("stem", "wanted", "expected"),
    [
        ("sub-1_T2w", "T2w", True),
        ("sub-1_acq-ax_T2w", "T2w", True),
        ("sub-1_acq-ax_run-1_T2w", "run-1_acq-ax_T2w", True),
        ("sub-1_acq-sag_T2w", "acq-ax_T2w", False),
        ("sub-1_T1w", "T2w", False),
        ("sub-1_part-mag_T2star", "T2star", True),
        ("sub-1_part-phase_T2star", "T2star", False),
        ("sub-1_echo-1_part-phase_T2star", "echo-1_T2star", False),
        ("sub-1_echo-1_part-phase_T2star", "part-phase_T2star", True),
    ],
)
def test_contrasts_with_entities(stem: str, wanted: str, expected: bool) -> None:
    image = parsed(stem)
    assert has_contrast(image, wanted) is expected
    assert has_contrast(image, contrast_of(image))
    if expected:
        assert stem_without_contrast(image, wanted) == "_".join(t for t in stem.split("_") if t not in wanted)


def test_what_cannot_be_listed_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz", "sub-2/anat/sub-2_T1w.nii.gz")
    listed = os.scandir

    def refuse(folder: str) -> object:
        if str(folder).endswith("sub-1/anat"):
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    index = index_dataset(tmp_path)
    assert [file.stem for file in index.images] == ["sub-2_T1w"]
    ((folder, sentence),) = index.problems
    assert folder == tmp_path / "sub-1/anat"
    assert "cannot be listed (Permission denied)" in sentence


def test_a_name_that_is_no_text_is_kept_as_it_is(tmp_path: Path) -> None:
    for number in range(BLOCK):  # as many as are packed together
        touch(tmp_path, f"sub-1/anat/sub-1_run-{number}_T1w.nii.gz")
    name = os.fsdecode(b"sub-1_acq-\xe9_T1w.nii.gz")
    try:
        (tmp_path / "sub-1/anat" / name).touch()
    except OSError:
        pytest.skip("this file system takes text only")
    index = index_dataset(tmp_path)
    assert len(index.images) == BLOCK + 1
    assert name in [file.path.name for file in index.images]
    assert index.problems == ()
