"""What a raw dataset of nnU-Net is said to hold, from its dataset.json and file names."""

import json
import os

import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.nnunet_raw import is_raw_dataset, read_raw_dataset
from tests.interop import raw_datasets
from tests.interop.raw_datasets import CASES, change, label_map, save


@pytest.fixture
def source(tmp_path):
    return raw_datasets.write(tmp_path / "Dataset004_Tiny")


def test_cases_by_the_names_of_their_files(source):
    (source / "imagesTr/.hidden_0000.nii.gz").touch()
    (source / "imagesTs").mkdir()
    (source / "imagesTs/new_0000.nii.gz").touch()
    raw = read_raw_dataset(source)
    assert tuple(case.name for case in raw.cases) == CASES
    assert raw.cases[0].images == (source / "imagesTr/one_0000.nii.gz",)
    assert raw.cases[0].labels == source / "labelsTr/one.nii.gz"
    assert (raw.channels, raw.file_ending, dict(raw.problems)) == (("T1w",), ".nii.gz", {})
    (note,) = raw.notes
    assert "imagesTs holds 1 files of images without labels" in note


def test_cases_listed_in_the_document(source, tmp_path, monkeypatch):
    outside = save(tmp_path / "elsewhere/scan.nii.gz", label_map())
    monkeypatch.setenv("SCANS", str(outside.parent))
    listed = {
        "a": {"images": ["$SCANS/scan.nii.gz"], "label": "labelsTr/one.nii.gz"},
        "b": {"images": ["../elsewhere/scan.nii.gz"], "label": str(source / "labelsTr/two.nii.gz")},
        "../c": {"images": ["imagesTr/one_0000.nii.gz"], "label": "labelsTr/one.nii.gz"},
    }
    change(source, {"dataset": listed})
    raw = read_raw_dataset(source)
    assert [(case.name, case.images, case.labels.name) for case in raw.cases] == [
        ("a", (outside,), "one.nii.gz"),
        ("b", (outside,), "two.nii.gz"),
    ]
    assert "is no file name" in raw.problems["../c"].sentence
    assert raw.notes == ("dataset.json says 3 cases, and there are 2.",)


def test_regions_ignore_and_gaps(source):
    labels = {"background": 0, "whole": [3, 7], "core": 7, "ignore": 9}
    change(source, {"labels": labels, "regions_class_order": [3, 7]})
    raw = read_raw_dataset(source)
    assert raw.labels.stored_values == (0, 3, 7)
    assert (raw.labels.ignore, raw.labels.region_order) == (9, (3, 7))


def test_version_1(source):
    old = {"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "shell", "2": "core"}}
    change(source, {**old, "channel_names": None, "file_ending": None})
    raw = read_raw_dataset(source)
    assert (raw.channels, raw.labels.values) == (("MRI",), {"background": 0, "shell": 1, "core": 2})
    change(source, {"labels": {"0": "background", "1": "shell", "2": "shell"}})
    with pytest.raises(BadInput, match="two labels have the same name"):
        read_raw_dataset(source)


def test_names_that_fit_to_nothing_are_problems(source):
    os.rename(source / "imagesTr/one_0000.nii.gz", source / "imagesTr/one.nii.gz")
    os.rename(source / "imagesTr/two_0000.nii.gz", source / "imagesTr/two_0001.nii.gz")
    raw = read_raw_dataset(source)
    said = {name: problem.sentence for name, problem in raw.problems.items()}
    assert "its name does not end in a channel" in said["one.nii.gz"]
    assert "no image belongs to it" in said["one"]
    assert "the channel two_0000.nii.gz is missing" in said["two"]
    assert [case.name for case in raw.cases] == ["three"]


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"labels": {"background": 0, "shell": 1, "core": 1}}, "two labels have the same value"),
        ({"labels": {"background": 0, "shell": "1"}}, r"labels\.shell"),
        ({"labels": {"background": 0, "shell": 1, "ignore": 1}}, "labels cannot be used"),
        ({"labels": {"background": 0, "whole": [1, 2], "core": 2}}, "regions_class_order"),
        ({"labels": None}, "labels: Field required"),
        ({"channel_names": {"1": "T1w"}}, "the channels are numbered 1"),
        ({"channel_names": {"0": 5}}, "channel_names"),
        ({"file_ending": ".jpg"}, r"\.jpg files cannot be taken over"),
        ({"file_ending": "/../x"}, "file_ending"),
        ({"file_ending": ".mha"}, r"holds no image CASE_0000\.mha"),
        ({"dataset": {"a": {"images": "scan.nii.gz", "label": "a.nii.gz"}}}, r"dataset\.a\.images"),
        ({"dataset": {"a": {"images": []}}}, r"dataset\.a"),
        ({"dataset": {"a/b": {"images": ["x.nii.gz"], "label": "y.nii.gz"}}}, "no case under dataset"),
    ],
)
def test_documents_that_cannot_be_used(source, document, sentence):
    change(source, document)
    with pytest.raises(BadInput, match=sentence):
        read_raw_dataset(source)


def test_no_json_and_no_folders(source):
    path = source / "dataset.json"
    whole = path.read_text()
    path.write_text(whole[:-20])
    with pytest.raises(BadInput, match="is no JSON document"):
        read_raw_dataset(source)
    path.unlink()
    with pytest.raises(BadInput, match="the file is missing"):
        read_raw_dataset(source)
    path.write_text(whole)
    os.rename(source / "labelsTr", source / "labels")
    with pytest.raises(BadInput, match="has no folder labelsTr and no entry `dataset`"):
        read_raw_dataset(source)


def test_what_is_a_raw_dataset(source, tmp_path):
    assert is_raw_dataset(source)
    listed = tmp_path / "listed"
    listed.mkdir()
    (listed / "dataset.json").write_text(json.dumps({"dataset": {}}))
    assert is_raw_dataset(listed)
    (listed / "plans.json").touch()  # a model has a copy of dataset.json
    assert not is_raw_dataset(listed)
    assert not is_raw_dataset(tmp_path)
    assert not is_raw_dataset(tmp_path / "nowhere")
