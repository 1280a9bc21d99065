"""A dataset of the workspace as a raw dataset of nnU-Net."""

import json
import os
import shutil
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.interop.nnunet_dataset_export import consecutive, export_cases
from autoseg.io.images import read_geometry, read_labels
from autoseg.io.workspace import Workspace
from autoseg.pipeline.nnunet_dataset import import_dataset
from tests.interop import raw_datasets
from tests.interop.raw_datasets import label_map, save
from tests.io.other_formats import as_tiff


@pytest.fixture
def export(tmp_path):
    """``export(values, **document)`` -> the dataset, the folder of its export and what was said."""

    def run(values=(1, 2), source=None, **document):
        source = source or raw_datasets.write(tmp_path / "source", values, **document)
        workspace = Workspace(tmp_path / "workspace")
        import_dataset(workspace, source, "Tiny")
        dataset, folder = workspace.read_dataset("Tiny"), tmp_path / "Dataset501_Tiny"
        notes = export_cases(dataset, folder, folder.name, lambda done, total, case: None)
        return dataset, folder, notes

    (tmp_path / "Dataset501_Tiny/imagesTr").mkdir(parents=True)
    (tmp_path / "Dataset501_Tiny/labelsTr").mkdir()
    return run


def test_links_to_the_sources(export, tmp_path):
    dataset, folder, notes = export()
    assert notes == []
    assert (folder / "imagesTr/one_0000.nii.gz").readlink() == tmp_path / "source/imagesTr/one_0000.nii.gz"
    assert (folder / "labelsTr/one.nii.gz").readlink() == tmp_path / "source/labelsTr/one.nii.gz"
    document = json.loads((folder / "dataset.json").read_text())
    assert document == {
        **raw_datasets.DOCUMENT,
        "name": "Dataset501_Tiny",
        "overwrite_image_reader_writer": "NibabelIOWithReorient",
    }
    assert (folder / "cases.tsv").read_bytes() == (dataset.folder / "cases.tsv").read_bytes()
    shutil.rmtree(tmp_path / "workspace")
    np.testing.assert_array_equal(read_labels(folder / "labelsTr/one.nii.gz"), label_map())


def test_gaps_are_closed_in_names_regions_and_maps(export):
    labels = {"background": 0, "whole": [3, 7], "core": 7, "ignore": 9}
    _, folder, notes = export((3, 7, 9), labels=labels, regions_class_order=[3, 7])
    document = json.loads((folder / "dataset.json").read_text())
    assert document["labels"] == {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}
    assert document["regions_class_order"] == [1, 2]
    written = folder / "labelsTr/one.nii.gz"
    np.testing.assert_array_equal(read_labels(written), label_map((1, 2, 3)))
    np.testing.assert_array_equal(nibabel.load(written).affine, raw_datasets.AFFINE)
    assert notes == [
        "nnU-Net needs labels without gaps: 3 became 1, 7 became 2, 9 became 3; the maps were written anew."
    ]
    np.testing.assert_array_equal(read_labels(folder.parent / "source/labelsTr/one.nii.gz"), label_map((3, 7, 9)))


def test_consecutive_keeps_what_has_no_gap():
    labels = Labels(values={"background": 0, "b": 2, "a": 1})
    assert consecutive(labels) == labels
    assert consecutive(Labels(values={"background": 0, "b": 20, "a": 10})) == labels


def test_flat_images_are_left_to_the_reader_that_reads_them(export, tmp_path):
    for case in raw_datasets.CASES:
        save(tmp_path / f"flat/imagesTr/{case}_0000.nii.gz", np.ones((8, 7), np.float32))
        save(tmp_path / f"flat/labelsTr/{case}.nii.gz", label_map()[:, :, 3])
    raw_datasets.change(tmp_path / "flat", raw_datasets.DOCUMENT)
    _, folder, _ = export(source=tmp_path / "flat")
    assert "overwrite_image_reader_writer" not in json.loads((folder / "dataset.json").read_text())


def test_stacks_keep_their_voxel_size(export, tmp_path):
    source = raw_datasets.write(tmp_path / "nifti")
    for folder, ending in (("imagesTr", "_0000"), ("labelsTr", "")):
        (tmp_path / "stacks" / folder).mkdir(parents=True)
        for case in raw_datasets.CASES:
            path = f"{folder}/{case}{ending}"
            as_tiff(source / f"{path}.nii.gz", tmp_path / f"stacks/{path}.tif")
    raw_datasets.change(tmp_path / "stacks", {**raw_datasets.DOCUMENT, "file_ending": ".tif"})
    _, folder, _ = export(source=tmp_path / "stacks")
    assert json.loads((folder / "imagesTr/one.json").read_text()) == {"spacing": [2, 1, 1]}
    assert np.allclose(np.abs(np.diag(read_geometry(folder / "labelsTr/one.tif")[1])), (1, 1, 2, 1))


def test_what_nnunet_does_not_read_or_is_gone(export, tmp_path):
    dataset, _, _ = export()
    again = tmp_path / "again"
    for name in ("imagesTr", "labelsTr"):
        (again / name).mkdir(parents=True)
    with pytest.raises(BadInput, match=r"nnU-Net does not read \.mhd files"):
        export_cases(replace(dataset, file_ending=".mhd"), again, "D", lambda done, total, case: None)
    gap = replace(dataset, labels=Labels(values={"background": 0, "core": 2}))
    with pytest.raises(BadInput, match=r"one\.nii\.gz: has voxels of the value 1, which is no label"):
        export_cases(gap, again, "D", lambda done, total, case: None)
    os.unlink(tmp_path / "source/imagesTr/one_0000.nii.gz")
    with pytest.raises(BadInput, match=r"one_0000\.nii\.gz: the file is not there"):
        export_cases(dataset, again, "D", lambda done, total, case: None)
