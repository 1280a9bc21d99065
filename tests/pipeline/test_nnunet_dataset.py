"""Raw datasets of nnU-Net into the workspace and back, with their folds."""

import json
import os
import shutil

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.io.images import read_labels
from autoseg.io.workspace import Workspace
from autoseg.pipeline.nnunet_dataset import export_dataset, import_dataset
from autoseg.pipeline.preparation import dataset_folds, plan_dataset
from tests.interop import raw_datasets
from tests.interop.raw_datasets import label_map, save

SPLITS = [{"train": ["one", "two"], "val": ["three"]}, {"train": ["three"], "val": ["one", "two"]}]


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def source(tmp_path):
    folder = raw_datasets.write(tmp_path / "raw/Dataset004_Tiny")
    (folder / "splits_final.json").write_text(json.dumps(SPLITS))
    return folder


def everything_in(folder):
    return sorted((path, path.lstat().st_mtime_ns) for path in folder.rglob("*"))


def test_there_and_back(workspace, source, tmp_path):
    before = everything_in(source)
    assert import_dataset(workspace, source, "Tiny").problems == ()
    dataset = workspace.read_dataset("Tiny")
    assert [fold.validation for fold in dataset_folds(dataset)] == [("three",), ("one", "two")]
    plan = plan_dataset(workspace, "Tiny")
    exported = export_dataset(workspace, "Tiny", tmp_path / "nnUNet_raw")
    assert (exported.folder, exported.num_cases) == (tmp_path / "nnUNet_raw/Dataset501_Tiny", 3)
    assert "nnUNet_preprocessed/Dataset501_Tiny/splits_final.json" in exported.notes[0]
    assert json.loads((exported.folder / "splits_final.json").read_text()) == SPLITS
    import_dataset(workspace, exported.folder, "Back")
    back = workspace.read_dataset("Back")
    assert (back.channels, back.labels, back.file_ending) == (dataset.channels, dataset.labels, dataset.file_ending)
    for one, other in zip(dataset.cases, back.cases, strict=True):
        assert (one.name, one.domain, one.subject) == (other.name, other.domain, other.subject)
        assert one.channels[0].resolve() == other.channels[0].resolve()
        assert one.labels.resolve() == other.labels.resolve()
    assert dataset_folds(back) == dataset_folds(dataset)
    assert plan_dataset(workspace, "Back").configurations == plan.configurations
    assert everything_in(source) == before


def test_labels_with_gaps_come_back_without(workspace, tmp_path):
    names = {"background": 0, "shell": 4, "core": 9}
    import_dataset(workspace, raw_datasets.write(tmp_path / "source", (4, 9), labels=names), "Tiny")
    exported = export_dataset(workspace, "Tiny", tmp_path / "raw")
    import_dataset(workspace, exported.folder, "Back")
    assert workspace.read_dataset("Back").labels.values == {"background": 0, "shell": 1, "core": 2}
    np.testing.assert_array_equal(read_labels(workspace.read_dataset("Back").cases[0].labels), label_map())


def test_folds_lose_the_cases_that_are_left_out(workspace, source):
    save(source / "labelsTr/two.nii.gz", label_map((1, 8)))
    assert import_dataset(workspace, source, "Tiny").cases == ("one", "three")
    assert json.loads((workspace.dataset_folder("Tiny") / "splits.json").read_text()) == [
        {"train": ["one"], "val": ["three"]},
        {"train": ["three"], "val": ["one"]},
    ]
    shutil.rmtree(workspace.dataset_folder("Tiny"))
    save(source / "labelsTr/three.nii.gz", label_map((1, 8)))
    with pytest.raises(BadInput, match="no case of one side of fold 0 can be used"):
        import_dataset(workspace, source, "Tiny")
    assert os.listdir(workspace.root / "datasets") == []


@pytest.mark.parametrize(
    ("splits", "sentence"),
    [("[{", "not JSON"), ('[{"train": ["one"], "val": ["four"]}]', "unknown case four"), ("{}", "must be a list")],
)
def test_splits_that_cannot_be_used(workspace, source, splits, sentence):
    (source / "splits_final.json").write_text(splits)
    with pytest.raises(BadInput, match=rf"splits_final\.json: .*{sentence}"):
        import_dataset(workspace, source, "Tiny")
    assert not workspace.dataset_folder("Tiny").exists()


def test_nothing_is_overwritten_or_left_half_written(workspace, source, tmp_path):
    import_dataset(workspace, source, "Tiny")
    with pytest.raises(BadInput, match="the dataset exists already"):
        import_dataset(workspace, source, "Tiny")
    with pytest.raises(BadInput, match="is inside the source"):
        import_dataset(Workspace(source / "workspace"), source, "Tiny")
    (source / "dataset.json").write_text('{"labels": ')
    with pytest.raises(BadInput, match="is no JSON document"):
        import_dataset(workspace, source, "Other")
    assert os.listdir(workspace.root / "datasets") == ["Tiny"]
    export_dataset(workspace, "Tiny", tmp_path / "out")
    with pytest.raises(BadInput, match="is there already"):
        export_dataset(workspace, "Tiny", tmp_path / "out")
    os.unlink(source / "imagesTr/two_0000.nii.gz")
    with pytest.raises(BadInput, match="the file is not there"):
        export_dataset(workspace, "Tiny", tmp_path / "half")
    assert os.listdir(tmp_path / "half") == []
