"""What is said of datasets."""

import json

import pytest

from autoseg.core.errors import BadInput
from autoseg.pipeline.info_dataset import describe_bids, describe_cases, describe_dataset, describe_fingerprint
from autoseg.pipeline.preparation import measure_dataset


def test_a_dataset_of_the_workspace(workspace, tiny_bids):
    folder = workspace.dataset_folder("Tiny")
    found = describe_dataset(folder)
    assert found.document["labels"] == {"background": 0, "shell": 1, "core": 2}
    assert (found.document["name"], found.document["num_cases"], found.document["channels"]) == ("Tiny", 6, ["T1w"])
    (domain,) = found.document["domains"]
    assert (domain["domain"], domain["num_cases"], domain["num_subjects"]) == ("tiny", 6, 6)
    assert domain["sources"] == [str(tiny_bids)]
    assert "plan.json" in found.document["documents"]
    assert {**describe_dataset(folder / "dataset.json").document, "file": ""} == {**found.document, "file": ""}
    assert describe_cases(folder / "cases.tsv").document["domains"] == [domain]


def test_a_dataset_of_nnunet_has_no_domains(tmp_path):
    document = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "numTraining": 3}
    (tmp_path / "dataset.json").write_text(json.dumps(document | {"file_ending": ".nii.gz"}))
    found = describe_dataset(tmp_path).document
    assert (found["num_cases"], found["domains"], found["name"]) == (3, None, tmp_path.name)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [({}, "has no labels"), ([], "has no labels"), ({"labels": {"a": 1}, "channel_names": [1]}, "channel_names does")],
)
def test_a_wrong_dataset_is_one_sentence(tmp_path, document, sentence):
    (tmp_path / "dataset.json").write_text(json.dumps(document))
    with pytest.raises(BadInput, match=sentence):
        describe_dataset(tmp_path)


def test_a_table_that_was_cut_is_one_sentence(tmp_path):
    (tmp_path / "cases.tsv").write_text("case\tdomain\tsource\na\tb\n")
    with pytest.raises(BadInput, match="rows of another length"):
        describe_cases(tmp_path / "cases.tsv")


def test_a_fingerprint_in_ranges(workspace):
    fingerprint = measure_dataset(workspace.read_dataset("Tiny"))
    found = describe_fingerprint(workspace.dataset_folder("Tiny") / "fingerprint.json")
    assert found.document["orientations"] == {"LAS": 6}
    assert [one["median"] for one in found.document["spacing_mm"]] == pytest.approx([1, 1, 1.2])
    assert [one["largest"] for one in found.document["shape"]] == [20, 24, 16]
    volumes = [case.label_volumes_mm3["core"] for case in fingerprint.cases]
    core = found.document["label_volumes_mm3"]["core"]
    assert (core["smallest"], core["largest"]) == (min(volumes), max(volumes))
    assert found.document["intensities"]["T1w"]["mean"] == fingerprint.intensities[0].mean


def test_a_wrong_fingerprint_is_one_sentence(tmp_path):
    (tmp_path / "fingerprint.json").write_text('{"cases": []}')
    with pytest.raises(BadInput, match="is no valid fingerprint"):
        describe_fingerprint(tmp_path / "fingerprint.json")


def test_a_bids_folder_by_its_names(tiny_bids):
    found = describe_bids(tiny_bids).document
    assert (found["num_subjects"], found["images"], found["labels"]) == (6, {"T1w": 6}, {"desc-manual_dseg": 6})
    assert found["problems"] == []
