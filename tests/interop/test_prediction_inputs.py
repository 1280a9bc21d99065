"""Which files a prediction takes."""

import os
import shutil

import imageio.v3 as iio
import numpy as np
import pytest
import SimpleITK

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.interop.prediction_inputs import Subset, find_inputs, is_bids, single_bids_dataset
from autoseg.interop.prediction_outputs import image_layout, refuse_to_write_over
from tests.io.other_formats import as_dicom


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(cases):
    return [[path.name for path in case.channels] for case in cases]


def test_files_and_folders_of_single_images(tmp_path):
    touch(tmp_path / "in/b.nii.gz", tmp_path / "in/a_T1w.nii", tmp_path / "in/notes.txt", tmp_path / "c.mha")
    cases, problems = find_inputs([tmp_path / "c.mha", tmp_path / "in"], ["T1w"])
    assert names(cases) == [["c.mha"], ["a_T1w.nii"], ["b.nii.gz"]]
    assert problems == []


def test_a_bids_dataset_gives_the_contrasts_of_the_model_and_no_labels(tmp_path):
    root = tmp_path / "site"
    touch(
        root / "sub-1/anat/sub-1_T1w.nii.gz",
        root / "sub-1/anat/sub-1_T2w.nii.gz",
        root / "sub-2/anat/sub-2_T2star.nii.gz",
        root / "derivatives/labels/sub-1/anat/sub-1_T2w_seg-manual.nii.gz",
    )
    assert is_bids(root)
    cases, _ = find_inputs([root], ["T2w/T2star"])
    assert names(cases) == [["sub-1_T2w.nii.gz"], ["sub-2_T2star.nii.gz"]]
    assert cases[0].domain == "site"
    with pytest.raises(BadInput, match=r"no image of the contrast FLAIR .*T1w, T2star, T2w"):
        find_inputs([root], ["FLAIR"])


def test_channels_come_in_the_order_of_the_model_and_an_incomplete_case_is_left_out(tmp_path):
    root = tmp_path / "site"
    touch(*(root / f"sub-1/anat/sub-1_{c}.nii.gz" for c in ("T1w", "FLAIR")), root / "sub-2/anat/sub-2_T1w.nii.gz")
    cases, problems = find_inputs([root], ["FLAIR", "T1w"])
    assert names(cases) == [["sub-1_FLAIR.nii.gz", "sub-1_T1w.nii.gz"]]
    assert len(problems) == 1
    assert "sub-2" in problems[0]
    assert "FLAIR is missing" in problems[0]


def test_numbered_channels_of_nnunet(tmp_path):
    touch(*(tmp_path / f"in/case{i}_000{c}.nii.gz" for i in (1, 2) for c in (1, 0)))
    cases, _ = find_inputs([tmp_path / "in"], ["FLAIR", "T1w"])
    assert names(cases) == [[f"case{i}_0000.nii.gz", f"case{i}_0001.nii.gz"] for i in (1, 2)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: [root / "absent"], "no such file or folder"),
        (lambda root: [root], "holds no images"),
    ],
)
def test_unusable_inputs_are_refused(tmp_path, make, message):
    with pytest.raises(BadInput, match=message):
        find_inputs(make(tmp_path), ["T1w"])


def test_a_name_without_a_channel_is_refused_for_a_model_of_several(tmp_path):
    touch(tmp_path / "scan.nii.gz")
    with pytest.raises(BadInput, match="tells no channel"):
        find_inputs([tmp_path / "scan.nii.gz"], ["FLAIR", "T1w"])


def test_dicom_series_are_cases_named_by_their_folders(tmp_path):
    touch(*(tmp_path / f"in/{name}/slice{i}.dcm" for name in ("sub-2", "sub-1") for i in (0, 1)), tmp_path / "in/x.mha")
    cases, problems = find_inputs([tmp_path / "in"], ["T1w"])
    assert [(case.name, case.channels) for case in cases] == [
        ("sub-1", (tmp_path / "in/sub-1",)),
        ("sub-2", (tmp_path / "in/sub-2",)),
        ("x", (tmp_path / "in/x.mha",)),
    ]
    assert problems == []
    cases, _ = find_inputs([tmp_path / "in/sub-1"], ["T1w"])
    assert [case.name for case in cases] == ["sub-1"]
    touch(tmp_path / "in/sub-1.nii.gz")
    cases, _ = find_inputs([tmp_path / "in"], ["T1w"])
    with pytest.raises(BadInput, match=r"sub-1\.nii\.gz: would be written to the same file"):
        refuse_to_write_over(cases, image_layout(tmp_path / "out", Labels(values={"background": 0, "a": 1})))


def test_dicom_series_of_several_contrasts_make_one_case(tmp_path):
    for contrast in ("T1w", "FLAIR"):
        as_dicom(SimpleITK.Image((4, 5, 3), SimpleITK.sitkInt16), tmp_path / f"in/sub-1_{contrast}")
    cases, _ = find_inputs([tmp_path / "in"], ["FLAIR", "T1w"])
    assert names(cases) == [["sub-1_FLAIR", "sub-1_T1w"]]


def test_a_colour_picture_holds_all_channels_of_its_case(tmp_path):
    for name, shape in (("a.png", (5, 6, 3)), ("b_0000.png", (5, 6, 3)), ("c_0000.png", (5, 6))):
        iio.imwrite(tmp_path / name, np.zeros(shape, np.uint8))
    (tmp_path / "d.png").write_bytes(b"no picture")
    cases, problems = find_inputs([tmp_path], ["red", "green", "blue"])
    assert names(cases) == [["a.png"], ["b_0000.png"]]
    assert len(problems) == 2
    assert "d.png: the file is damaged" in problems[0]
    assert "the channel green, blue is missing" in problems[1]


def test_pictures_beside_images_are_not_inputs(tmp_path):
    touch(tmp_path / "scan.nii.gz", tmp_path / "scan.png")
    assert names(find_inputs([tmp_path], ["T1w"])[0]) == [["scan.nii.gz"]]


def test_participants_and_sessions_are_chosen_with_or_without_their_prefix(tmp_path):
    root = tmp_path / "site"
    touch(*(root / f"sub-{i}/ses-{s}/anat/sub-{i}_ses-{s}_T1w.nii.gz" for i in (1, 2, 3) for s in ("a", "b")))
    cases, _ = find_inputs([root], ["T1w"], Subset(("1", "sub-3"), ("ses-b",)))
    assert [case.name for case in cases] == ["sub-1_ses-b_T1w", "sub-3_ses-b_T1w"]
    with pytest.raises(BadInput, match=r"site: has no sub-7, sub-9 \(there is: sub-1, sub-2, sub-3\)"):
        find_inputs([root], ["T1w"], Subset(("9", "1", "sub-7")))
    with pytest.raises(BadInput, match=r"has no ses-c \(there is: ses-a, ses-b\)"):
        find_inputs([root], ["T1w"], Subset(sessions=("c",)))
    touch(root / "sub-4/ses-d/anat/sub-4_ses-d_T1w.nii.gz")
    with pytest.raises(BadInput, match="none of these participants in these sessions"):
        find_inputs([root], ["T1w"], Subset(("1",), ("d",)))


def test_only_one_bids_dataset_alone_is_one(tmp_path):
    touch(tmp_path / "site/sub-1/anat/sub-1_T1w.nii.gz", tmp_path / "folder/x.nii")
    assert single_bids_dataset([tmp_path / "site"]) == (tmp_path / "site").resolve()
    for inputs in ([tmp_path / "folder"], [tmp_path / "site"] * 2, [tmp_path / "folder/x.nii"], [tmp_path / "none"]):
        assert single_bids_dataset(inputs) is None


def test_contrasts_with_entities(tmp_path):
    root = tmp_path / "site"
    stems = [f"sub-1_acq-{acq}_echo-{echo}_flip-1_MEGRE" for acq in "ab" for echo in (1, 2, 3)]
    touch(*(root / f"sub-1/anat/{stem}.nii.gz" for stem in stems))
    cases, problems = find_inputs([root], ["echo-3_MEGRE", "echo-1_MEGRE"])
    assert problems == []
    assert names(cases) == [[f"{stems[i]}.nii.gz" for i in pair] for pair in ((2, 0), (5, 3))]
    cases, _ = find_inputs([root], ["acq-b_echo-2_MEGRE"])
    assert names(cases) == [[f"{stems[4]}.nii.gz"]]


def test_images_of_a_bids_dataset_that_cannot_be_used_are_told(tmp_path, monkeypatch):
    root = tmp_path / "site"
    touch(
        root / "sub-1/anat/sub-1_T1w.nii",
        root / "sub-1/anat/sub-1_T1w.nii.gz",
        root / "sub-1/anat/sub-1_T2w.nii",
        root / "sub-1/anat/sub-1_T2w.nii.gz",
        root / "sub-2/anat/sub-1_T1w.nii.gz",
        root / "sub-3/ses-a/anat/sub-3_ses-a_T1w.nii.gz",
        root / "derivatives/labels/sub-1/anat/sub-9_T1w_seg.nii.gz",
    )
    cases, problems = find_inputs([root], ["T1w"])
    assert names(cases) == [["sub-1_T1w.nii"], ["sub-3_ses-a_T1w.nii.gz"]]
    twice, moved = sorted(problems)
    assert twice == f"{root}/sub-1/anat/sub-1_T1w.nii.gz: it has the same name as sub-1_T1w.nii; remove one of the two."
    assert moved.startswith(f"{root}/sub-2/anat/sub-1_T1w.nii.gz: its name says sub-1 and it lies in sub-2")
    assert find_inputs([root], ["T1w"], Subset(("1",)))[1] == [twice]
    assert find_inputs([root], ["T1w"], Subset(("3",)))[1] == []
    listed = os.scandir

    def refuse(folder):
        if str(folder).endswith("/sub-3/ses-a"):
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert "sub-3/ses-a: the folder cannot be listed" in find_inputs([root], ["T1w"])[1][-1]
    for name in ("sub-1", "sub-2"):
        shutil.rmtree(root / name)
    with pytest.raises(BadInput, match="sub-3/ses-a: the folder cannot be listed"):
        find_inputs([root], ["T1w"])


def test_an_image_whose_name_is_no_text_is_predicted(tmp_path):
    name = os.fsdecode(b"sub-1_acq-\xe9_T1w.nii.gz")
    try:
        touch(tmp_path / "site/sub-1/anat" / name)
    except OSError:
        pytest.skip("this file system takes text only")
    cases, problems = find_inputs([tmp_path / "site"], ["T1w"])
    assert (names(cases), problems) == ([[name]], [])
