"""Cases of a raw dataset of nnU-Net in the workspace: links, checks of every voxel, provenance."""

import csv
import hashlib
import json
import os

import nibabel
import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.nnunet_dataset import import_cases
from autoseg.interop.nnunet_raw import read_raw_dataset
from autoseg.io.images import read_geometry, read_image, read_labels
from tests.interop import raw_datasets
from tests.interop.raw_datasets import AFFINE, CASES, SHAPE, change, label_map, save
from tests.io.other_formats import as_itk, as_tiff


def taken_over(source, folder):
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    imported = import_cases(read_raw_dataset(source), "Tiny", folder, folder, lambda done, total, case: None)
    with (folder / "cases.tsv").open(newline="") as lines:
        return imported, list(csv.DictReader(lines, delimiter="\t"))


def test_links_and_provenance(tmp_path):
    source = raw_datasets.write(tmp_path / "Dataset004_Tiny")
    imported, rows = taken_over(source, tmp_path / "out")
    assert (imported.cases, imported.problems, imported.notes) == (CASES, (), ())
    image, labels = source / "imagesTr/one_0000.nii.gz", source / "labelsTr/one.nii.gz"
    assert (tmp_path / "out/imagesTr/one_0000.nii.gz").readlink() == image
    assert (tmp_path / "out/labelsTr/one.nii.gz").readlink() == labels
    row = rows[0]
    assert (row["case"], row["domain"], row["subject"], row["source"]) == ("one", "Tiny", "one", str(source))
    assert (row["image_files"], row["label_files"]) == ("imagesTr/one_0000.nii.gz", "labelsTr/one.nii.gz")
    assert row["image_sha256"] == hashlib.sha256(image.read_bytes()).hexdigest()
    assert row["label_sha256"] == hashlib.sha256(labels.read_bytes()).hexdigest()
    document = json.loads((tmp_path / "out/dataset.json").read_text())
    assert document == {
        **raw_datasets.DOCUMENT,
        "name": "Tiny",
        "overwrite_image_reader_writer": "NibabelIOWithReorient",
    }


def test_what_autoseg_wrote_keeps_its_origin(tmp_path):
    source = raw_datasets.write(tmp_path / "source")
    taken_over(source, tmp_path / "first")
    table = tmp_path / "first/cases.tsv"
    ours, row = f"one\tTiny\t{source}\tone\t\t\t", f"one\tclinic\t{source}\tclinic/sub-1\tfamily=3\t2\t"
    assert ours in table.read_text()
    table.write_text(table.read_text().replace(ours, row))
    _, rows = taken_over(tmp_path / "first", tmp_path / "second")
    assert [rows[0][key] for key in ("domain", "subject", "group", "session")] == [
        "clinic",
        "clinic/sub-1",
        "family=3",
        "2",
    ]
    older = [line.split("\t") for line in table.read_text().splitlines()]
    table.write_text("".join("\t".join(line[:4] + line[5:]) + "\n" for line in older))  # without groups
    _, rows = taken_over(tmp_path / "first", tmp_path / "third")
    assert (rows[0]["subject"], rows[0]["group"], rows[0]["session"]) == ("clinic/sub-1", "", "2")
    assert (rows[1]["domain"], rows[1]["source"]) == ("Tiny", str(tmp_path / "first"))


def test_every_kind_of_unusable_case_is_left_out(tmp_path):
    source = raw_datasets.write(tmp_path / "source", channels=2, channel_names={"0": "T1w", "1": "T2w"})
    noise = np.random.default_rng(0).normal(100, 10, SHAPE).astype(np.float32)
    images, labels = source / "imagesTr", source / "labelsTr"
    for case in ("grid", "shift", "value", "nan", "one-channel", "cut", "no-labels", "broken-link"):
        for channel in range(2):
            save(images / f"{case}_{channel:04d}.nii.gz", noise)
        save(labels / f"{case}.nii.gz", label_map())
    save(labels / "grid.nii.gz", label_map()[1:])
    moved = AFFINE.copy()
    moved[0, 3] = 3
    save(images / "shift_0001.nii.gz", noise, moved)
    save(labels / "value.nii.gz", label_map((1, 5)))
    noise[2, 3, 1] = np.nan
    save(images / "nan_0001.nii.gz", noise)
    (images / "one-channel_0001.nii.gz").unlink()
    whole = (images / "cut_0000.nii.gz").read_bytes()
    (images / "cut_0000.nii.gz").write_bytes(whole[: len(whole) // 2])
    (labels / "no-labels.nii.gz").unlink()
    (images / "broken-link_0000.nii.gz").unlink()
    (images / "broken-link_0000.nii.gz").symlink_to(tmp_path / "gone.nii.gz")
    imported, rows = taken_over(source, tmp_path / "out")
    assert imported.cases == CASES == tuple(row["case"] for row in rows)
    said = {problem.file.name: problem.sentence for problem in imported.problems}
    assert "its size 7x7x6 is not the 8x7x6 of grid_0000.nii.gz" in said["grid.nii.gz"]
    assert "mm away from that of" in said["shift_0001.nii.gz"]
    assert "has voxels of the value 5, which is no label of the dataset" in said["value.nii.gz"]
    assert "1 voxels are NaN" in said["nan_0001.nii.gz"]
    assert "hold 1 channels and the dataset has 2 (T1w, T2w)" in said["one-channel_0000.nii.gz"]
    assert "truncated" in said["cut_0000.nii.gz"]
    assert "there is no such file" in said["no-labels.nii.gz"]
    assert "links to" in said["broken-link_0000.nii.gz"]
    assert len(said) == 8
    assert len(list((tmp_path / "out").rglob("*.nii.gz"))) == 9
    assert "dataset.json says 3 cases, and there are 11." in imported.notes


def test_labels_stored_as_floats_become_whole_numbers(tmp_path):
    source = raw_datasets.write(tmp_path / "source")
    save(source / "labelsTr/one.nii.gz", label_map().astype(np.float32) + np.float32(0.0005))
    taken_over(source, tmp_path / "out")
    written = tmp_path / "out/labelsTr/one.nii.gz"
    assert not written.is_symlink()
    assert nibabel.load(written).get_data_dtype() == np.uint8
    np.testing.assert_array_equal(read_labels(written), label_map())


def test_ignored_voxels_regions_and_gaps_pass(tmp_path):
    labels = {"background": 0, "whole": [3, 7], "core": [7], "ignore": 9}
    source = raw_datasets.write(tmp_path / "source", (3, 7, 9), labels=labels, regions_class_order=[3, 7])
    imported, _ = taken_over(source, tmp_path / "out")
    assert (imported.cases, imported.notes) == (CASES, ())
    document = json.loads((tmp_path / "out/dataset.json").read_text())
    assert (document["labels"], document["regions_class_order"]) == (labels, [3, 7])
    np.testing.assert_array_equal(read_labels(tmp_path / "out/labelsTr/one.nii.gz"), label_map((3, 7, 9)))


def test_absent_labels_are_said(tmp_path):
    imported, _ = taken_over(raw_datasets.write(tmp_path / "source", (1,)), tmp_path / "out")
    assert imported.notes == ("The label core has no voxel in any case.",)


def test_listed_files_from_anywhere(tmp_path):
    source = raw_datasets.write(tmp_path / "source")
    plain = save(tmp_path / "elsewhere/scan.nii", np.ones(SHAPE, np.int16))
    own = save(tmp_path / "elsewhere/scan-labels.nii", label_map())
    listed = {
        "packed": {"images": [str(plain)], "label": str(own)},
        "gone": {"images": ["$NO_SUCH_FOLDER/scan.nii.gz"], "label": str(own)},
        "folder": {"images": ["imagesTr"], "label": str(own)},
        "other": {"images": [str(as_itk(plain, tmp_path / "scan.mha"))], "label": str(own)},
    }
    change(source, {"dataset": listed, "numTraining": 4})
    imported, rows = taken_over(source, tmp_path / "out")
    assert imported.cases == ("packed",)
    np.testing.assert_array_equal(read_image(tmp_path / "out/imagesTr/packed_0000.nii.gz").voxels, np.ones((1, *SHAPE)))
    np.testing.assert_array_equal(read_labels(tmp_path / "out/labelsTr/packed.nii.gz"), label_map())
    assert rows[0]["image_files"] == str(plain)
    said = {problem.file.name: problem.sentence for problem in imported.problems}
    assert "no such file" in said["scan.nii.gz"]
    assert "no image format" in said["imagesTr"]
    assert "is no .nii.gz file" in said["scan.mha"]


def test_stacks_keep_their_voxel_size(tmp_path):
    source = raw_datasets.write(tmp_path / "source")
    stacks = tmp_path / "stacks"
    for folder, ending in (("imagesTr", "_0000"), ("labelsTr", "")):
        (stacks / folder).mkdir(parents=True)
        for case in CASES:
            as_tiff(source / folder / f"{case}{ending}.nii.gz", stacks / folder / f"{case}{ending}.tif")
    change(stacks, {**raw_datasets.DOCUMENT, "file_ending": ".tif"})
    imported, _ = taken_over(stacks, tmp_path / "out")
    assert imported.cases == CASES
    for folder, ending in (("imagesTr", "_0000"), ("labelsTr", "")):
        path = tmp_path / "out" / folder / f"one{ending}.tif"
        assert (path.parent / "one.json").is_symlink()
        assert np.allclose(np.abs(np.diag(read_geometry(path)[1])), (1, 1, 2, 1))
    assert "overwrite_image_reader_writer" not in json.loads((tmp_path / "out/dataset.json").read_text())


def test_no_usable_case(tmp_path):
    source = raw_datasets.write(tmp_path / "source", (1, 6))
    with pytest.raises(BadInput, match=r"none of 3 cases can be used \(.*one\.nii\.gz: has voxels of the value 6"):
        taken_over(source, tmp_path / "out")
    assert sorted(os.listdir(source)) == ["dataset.json", "imagesTr", "labelsTr"]


def test_the_volumes_of_a_4d_image_become_files(tmp_path):
    source = raw_datasets.write(tmp_path / "source", channel_names={"0": "T1w", "1": "T2w"})
    for case in CASES:
        volumes = np.random.default_rng(len(case)).normal(size=(*SHAPE, 2)).astype(np.float32)
        save(source / f"imagesTr/{case}_0000.nii.gz", volumes)
    imported, _ = taken_over(source, tmp_path / "Taken")
    assert len(imported.cases) == 3
    assert len(list((tmp_path / "Taken/imagesTr").iterdir())) == 6
    for number in range(2):
        written = read_image(tmp_path / f"Taken/imagesTr/two_000{number}.nii.gz").voxels
        np.testing.assert_array_equal(written[0], read_image(source / "imagesTr/two_0000.nii.gz").voxels[number])
