"""The raw dataset on disk: links, endings, provenance, cases left out, replacement of an older one."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.bids_conversion import convert, plan_conversion
from autoseg.interop.raw_layout import CASES_COLUMNS
from autoseg.io.images import read_image, read_labels
from autoseg.io.workspace import Workspace
from tests.interop.bids_files import Writer, ball

LABELS = "site/derivatives/labels"


def add(
    write: Writer, number: int, ending: str = ".nii.gz", dtype: str = "uint8", **image: object
) -> tuple[Path, Path]:
    anat = f"sub-{number}/anat/sub-{number}_T2w"
    return (
        write(f"site/{anat}{ending}", **image),
        write(f"{LABELS}/{anat}_seg-manual{ending}", ball(1, 4), dtype=dtype),
    )


def test_links_and_provenance(write: Writer, tmp_path: Path) -> None:
    image, labels = add(write, 1)
    add(write, 2, dtype="float32")
    seen: list[tuple[int, int, str]] = []
    folder = tmp_path / "workspace/datasets/Cord"
    before = sorted(path for path in (tmp_path / "site").rglob("*"))
    report = convert(plan_conversion([tmp_path / "site"]), folder, "Cord", lambda *step: seen.append(step))
    assert seen == [(1, 2, "site_sub-1_T2w"), (2, 2, "site_sub-2_T2w")]
    assert (folder / "imagesTr/site_sub-1_T2w_0000.nii.gz").readlink() == image
    assert (folder / "labelsTr/site_sub-1_T2w.nii.gz").readlink() == labels
    rewritten = folder / "labelsTr/site_sub-2_T2w.nii.gz"  # stored as float: written as uint8
    assert not rewritten.is_symlink()
    assert nibabel.load(rewritten).get_data_dtype() == np.uint8
    np.testing.assert_array_equal(read_labels(rewritten), ball(1, 4))
    document = json.loads((folder / "dataset.json").read_text())
    assert document["channel_names"] == {"0": "T2w"}
    assert document["labels"] == {"background": 0, "seg": 1}
    assert (document["numTraining"], document["file_ending"]) == (2, ".nii.gz")
    with (folder / "cases.tsv").open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    assert tuple(rows[0]) == CASES_COLUMNS
    assert rows[0]["image_sha256"] == hashlib.sha256(image.read_bytes()).hexdigest()
    assert Path(rows[0]["source"], rows[0]["label_files"]) == labels
    assert [case.name for case in report.cases] == [row["case"] for row in rows]
    assert [case.subject for case in Workspace(tmp_path / "workspace").read_dataset("Cord").cases] == [
        "site/sub-1",
        "site/sub-2",
    ]
    assert sorted(path for path in (tmp_path / "site").rglob("*")) == before


def test_mixed_endings_become_one(write: Writer, tmp_path: Path) -> None:
    image, _ = add(write, 1, ending=".nii")
    add(write, 2)
    convert(plan_conversion([tmp_path / "site"]), tmp_path / "out", "Cord")
    packed = tmp_path / "out/imagesTr/site_sub-1_T2w_0000.nii.gz"
    assert not packed.is_symlink()
    np.testing.assert_array_equal(read_image(packed).voxels, read_image(image).voxels)
    np.testing.assert_array_equal(read_labels(tmp_path / "out/labelsTr/site_sub-1_T2w.nii.gz"), ball(1, 4))


def test_uncompressed_only(write: Writer, tmp_path: Path) -> None:
    add(write, 1, ending=".nii")
    convert(plan_conversion([tmp_path / "site"]), tmp_path / "out", "Cord")
    assert json.loads((tmp_path / "out/dataset.json").read_text())["file_ending"] == ".nii"
    assert (tmp_path / "out/imagesTr/site_sub-1_T2w_0000.nii").is_symlink()


def test_bad_voxels_are_left_out(write: Writer, tmp_path: Path) -> None:
    add(write, 1)
    for number in range(2, 7):
        add(write, number)
    nan = np.ones((6, 5, 4))
    nan[0, 0, 0] = np.nan
    write("site/sub-2/anat/sub-2_T2w.nii.gz", nan, dtype="float32")
    write(f"{LABELS}/sub-3/anat/sub-3_T2w_seg-manual.nii.gz", ball(1, 3) * 0.5, dtype="float32")
    write(f"{LABELS}/sub-4/anat/sub-4_T2w_seg-manual.nii.gz", ball(1, 3, 1) + ball(2, 3, 6))
    damaged = tmp_path / "site/sub-5/anat/sub-5_T2w.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:-60])
    write(f"{LABELS}/sub-6/anat/sub-6_T2w_seg-manual.nii.gz", ball(1, 3) * 0.0003, dtype="float32")
    report = convert(plan_conversion([tmp_path / "site"]), tmp_path / "out", "Cord")
    assert [case.name for case in report.cases] == ["site_sub-1_T2w"]
    said = {problem.file.name: problem.sentence for problem in report.problems}
    assert "NaN" in said["sub-2_T2w.nii.gz"]
    assert "not whole numbers (such as 0.5)" in said["sub-3_T2w_seg-manual.nii.gz"]
    assert "values 7 have no name" in said["sub-4_T2w_seg-manual.nii.gz"]
    assert "truncated" in said["sub-5_T2w.nii.gz"]
    assert "almost zero" in said["sub-6_T2w_seg-manual.nii.gz"]
    assert len(list((tmp_path / "out").rglob("*.nii.gz"))) == 2


def test_no_usable_case_leaves_nothing(write: Writer, tmp_path: Path) -> None:
    add(write, 1)
    write(f"{LABELS}/sub-1/anat/sub-1_T2w_seg-manual.nii.gz", ball(1, 3, 7))
    conversion = plan_conversion([tmp_path / "site"])
    with pytest.raises(BadInput, match="none of 1 cases can be used"):
        convert(conversion, tmp_path / "datasets/out", "Cord")
    assert list((tmp_path / "datasets").iterdir()) == []


def test_empty_labels_are_said(write: Writer, tmp_path: Path) -> None:
    add(write, 1)
    write(f"{LABELS}/sub-1/anat/sub-1_T2w_seg-manual.nii.gz", np.zeros((6, 5, 4)))
    report = convert(plan_conversion([tmp_path / "site"]), tmp_path / "out", "Cord")
    assert "The label seg has no voxel in any case." in report.notes
    assert "1 of 1 cases have no labelled voxel." in report.notes


def replace_labels(folder: Path, voxels: np.ndarray) -> None:
    path = next((folder / "labelsTr").iterdir())
    image = nibabel.load(path)
    path.unlink()
    nibabel.save(nibabel.Nifti1Image(voxels.astype(np.uint8), image.affine), path)


def test_the_same_files_are_converted_once(write: Writer, tmp_path: Path) -> None:
    add(write, 1)
    conversion = plan_conversion([tmp_path / "site"])
    folder = tmp_path / "datasets/out"
    convert(conversion, folder, "Cord")
    (folder / "plan.json").touch()
    report = convert(conversion, folder, "Cord")
    assert report.notes[-1] == f"{folder} is what these files make of it already; nothing is written."
    assert (folder / "plan.json").exists()
    assert len(report.cases) == 1
    for change in (
        lambda: write(f"{LABELS}/sub-1/anat/sub-1_T2w_seg-manual.nii.gz", ball(1, 1, 2)),  # corrected
        lambda: add(write, 2),  # one more
        lambda: (folder / "dataset.json").write_text("{}"),
        lambda: (folder / "dataset.json").write_text("[]"),
        lambda: replace_labels(folder, ball(1, 2, 2)),  # as another recipe would have made them
    ):
        change()
        with pytest.raises(BadInput, match="the dataset exists already; choose another name or add --overwrite"):
            convert(plan_conversion([tmp_path / "site"]), folder, "Cord")
        convert(plan_conversion([tmp_path / "site"]), folder, "Cord", overwrite=True)


def test_overwrite(write: Writer, tmp_path: Path) -> None:
    add(write, 1)
    conversion = plan_conversion([tmp_path / "site"])
    convert(conversion, tmp_path / "datasets/out", "Cord")
    (tmp_path / "datasets/out/plan.json").touch()
    convert(conversion, tmp_path / "datasets/out", "Cord", overwrite=True)
    assert not (tmp_path / "datasets/out/plan.json").exists()
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == ["out"]
    with pytest.raises(BadInput, match="inside the source"):
        convert(conversion, tmp_path / "site/out", "Cord")
