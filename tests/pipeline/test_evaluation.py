"""Pairing predictions with references."""

import json
import os
import shutil

import nibabel
import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.pipeline.api import evaluate
from autoseg.pipeline.evaluation import evaluate_folders


@pytest.fixture
def predictions(tiny_bids, tmp_path):
    """The references themselves under the names of the images."""
    folder = tmp_path / "predictions"
    folder.mkdir()
    for path in tiny_bids.glob("derivatives/labels/sub-*/anat/*.nii.gz"):
        shutil.copy(path, folder / path.name.replace("_desc-manual_dseg", "_T1w"))
    (folder / "dseg.tsv").write_text("index\tname\n0\tbackground\n1\tshell\n2\tcore\n")
    return folder


def test_a_bids_dataset_is_the_reference(predictions, tiny_bids):
    summary = evaluate(predictions, tiny_bids)
    assert summary["mean"]["dice"] == 1
    assert summary["mean"]["hd95_mm"] == 0
    assert set(summary["labels"]) == {"shell", "core"}
    assert list(summary["domains"]) == ["tiny"]
    assert len(summary["cases"]) == 6
    assert json.loads((predictions / "evaluation.json").read_text()) == summary
    assert len((predictions / "evaluation.csv").read_text().splitlines()) == 1 + 6 * 2


def test_the_scores_of_each_case_are_in_the_documents_only(predictions, tiny_bids, tmp_path):
    returned = evaluate_folders(predictions, tiny_bids, tmp_path)
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert len(written.pop("cases")) == 6
    assert returned == written


def test_a_folder_whose_name_is_no_unicode(predictions, tiny_bids, tmp_path):
    strange = tmp_path / os.fsdecode(b"mesur\xe9")
    strange.mkdir()
    for number in range(70):  # more than are packed together
        shutil.copy(predictions / "sub-00_T1w.nii.gz", strange / f"case{number}.nii.gz")
    shutil.copy(predictions / "dseg.tsv", strange)
    assert evaluate_folders(strange, strange, tmp_path / "scores")["mean"]["num_cases"] == 70


def test_the_labels_of_a_converted_dataset_give_names_and_domains(predictions, converted, tmp_path):
    labels = converted / "datasets/Tiny/labelsTr"
    folder = tmp_path / "renamed"
    folder.mkdir()
    for path in predictions.glob("*.nii.gz"):
        shutil.copy(path, folder / path.name.replace("sub-", "tiny_sub-").replace("_T1w", "_T1w_0000"))
    summary = evaluate_folders(folder, labels, tmp_path / "scores", families=["overlap"])
    assert summary["mean"]["dice"] == 1
    assert list(summary["domains"]) == ["tiny"]
    assert (tmp_path / "scores/evaluation.json").is_file()


@pytest.mark.parametrize(
    ("table", "note"),
    [
        (b"patient\tage\nA\t50\n", ""),
        (b"case\tdomain\nM\xfcller\tx\n", "is no text in UTF-8"),
        (b'case\tdomain\n"' + b"x" * 200_000, "is no table"),
    ],
)
def test_a_table_of_other_cases_or_a_damaged_one_gives_no_domains(predictions, tmp_path, capsys, table, note):
    references = shutil.copytree(predictions, tmp_path / "study/labels")
    (tmp_path / "study/cases.tsv").write_bytes(table)
    assert list(evaluate_folders(predictions, references)["domains"]) == [""]
    said = " ".join(capsys.readouterr().err.split())
    assert note in said
    assert ("scores are not given by domain" in said) == bool(note)


def test_a_prediction_named_after_another_channel_finds_the_labels_of_its_scan(tmp_path):
    voxels = np.zeros((4, 5, 6), np.uint8)
    voxels[1:3, 1:3, 1:3] = 1
    for subject in ("sub-1", "sub-2"):
        for path in (
            f"site/{subject}/anat/{subject}_FLAIR.nii.gz",
            f"site/{subject}/anat/{subject}_T1w.nii.gz",
            f"site/derivatives/labels/{subject}/anat/{subject}_FLAIR_lesion-manual.nii.gz",
            f"predictions/{subject}_T1w.nii.gz",
        ):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / path)
    (tmp_path / "predictions/dseg.tsv").write_text("index\tname\n0\tbackground\n1\tlesion\n")
    summary = evaluate_folders(tmp_path / "predictions", tmp_path / "site")
    assert (summary["mean"]["dice"], summary["mean"]["num_cases"]) == (1, 2)


def test_a_prediction_of_another_size_is_left_out_with_a_sentence(predictions, tiny_bids):
    path = predictions / "sub-00_T1w.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5), np.uint8), np.eye(4)), path)
    summary = evaluate(predictions, tiny_bids)
    assert len(summary["cases"]) == 5
    assert "sub-00_T1w.nii.gz" in summary["problems"][0]


def test_nothing_to_compare_is_said(predictions, tiny_bids, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(BadInput, match="holds no segmentations"):
        evaluate_folders(empty, tiny_bids)
    shutil.copy(predictions / "sub-00_T1w.nii.gz", empty / "other.nii.gz")
    shutil.copy(predictions / "dseg.tsv", empty)
    with pytest.raises(BadInput, match="none of its 1 files has a reference"):
        evaluate_folders(empty, tiny_bids)
    with pytest.raises(BadInput, match="no such folder"):
        evaluate_folders(predictions, tmp_path / "absent")


def test_error_maps_show_what_is_wrong_on_the_grid_of_the_reference(predictions, tiny_bids, tmp_path):
    path = predictions / "sub-00_T1w.nii.gz"
    reference = nibabel.load(path)
    voxels = np.asarray(reference.dataobj).copy()
    changed = np.zeros_like(voxels)
    core, background = np.argwhere(voxels == 2), np.argwhere(voxels == 0)
    for value, place, error in ((0, core[0], 1), (1, core[1], 3), (2, background[0], 2)):
        voxels[tuple(place)], changed[tuple(place)] = value, error
    nibabel.save(nibabel.Nifti1Image(voxels, reference.affine), path)
    evaluate_folders(predictions, tiny_bids, tmp_path / "scores", error_maps=tmp_path / "errors")
    written = sorted(file.name for file in (tmp_path / "errors").iterdir())
    assert written == ["dseg.tsv", *(f"sub-{number:02d}_T1w.nii.gz" for number in range(6))]
    errors = nibabel.load(tmp_path / "errors/sub-00_T1w.nii.gz")
    assert np.array_equal(np.asarray(errors.dataobj), changed)
    assert np.allclose(errors.affine, reference.affine)
    assert not np.asarray(nibabel.load(tmp_path / "errors/sub-01_T1w.nii.gz").dataobj).any()
    assert "3\twrong label" in (tmp_path / "errors/dseg.tsv").read_text()


def test_error_maps_do_not_land_on_segmentations_or_among_references(predictions, tiny_bids, tmp_path):
    before = sorted(predictions.iterdir())
    for folder in (predictions, predictions / "../predictions", tiny_bids / "derivatives/errors"):
        with pytest.raises(BadInput, match="choose another folder for the error maps"):
            evaluate_folders(predictions, tiny_bids, tmp_path / "scores", error_maps=folder)
    assert sorted(predictions.iterdir()) == before
    assert not (tiny_bids / "derivatives/errors").exists()


def test_slices_of_skeletons_are_axial_whatever_the_axis_order_of_the_file(tmp_path):
    """A bar from foot to head, stored with the slices first; the other one is 3 mm to its side."""
    to_ras = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [4, 0, 0, 0], [0, 0, 0, 1]], float)
    voxels = np.zeros((5, 20, 20), np.uint8)
    for folder, side in (("predictions", 10), ("references", 13)):
        moved = voxels.copy()
        moved[:, 4:16, side] = 1
        (tmp_path / folder).mkdir()
        nibabel.save(nibabel.Nifti1Image(moved, to_ras), tmp_path / folder / "case.nii.gz")
    (tmp_path / "predictions/dseg.tsv").write_text("index\tname\n0\tbackground\n1\tline\n")
    summary = evaluate_folders(tmp_path / "predictions", tmp_path / "references", families=["skeleton", "lesions"])
    assert summary["mean"]["shd_mm"] == pytest.approx(3)
    assert summary["mean"]["lesion_f1"] == 0
    assert "hd95_mm" not in summary["mean"]
    assert (tmp_path / "predictions/evaluation.csv").read_text().splitlines()[0].endswith("num_reference_lesions")


def test_an_unknown_family_ends_it_before_any_case(predictions, tiny_bids):
    with pytest.raises(BadInput, match="no family of scores called 'distances'"):
        evaluate_folders(predictions, tiny_bids, families=["distances"])
