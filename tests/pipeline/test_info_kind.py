"""What files and folders are told to be."""

import json

import nibabel
import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.pipeline.info_kind import kind_of, trained_folders

DOCUMENTS = {
    "plan": {"configurations": {}, "decisions": [], "intensities": []},
    "recipe": {"configurations": {}, "title": "", "source": ""},
    "fingerprint": {"cases": [], "intensities": [], "channels": []},
    "selection": {"candidates": [], "steps": [], "postprocessing": {}},
    "dataset": {"channel_names": {}, "labels": {}},
    "study": {"name": "a", "datasets": ["a", "b"]},
    "conversion_recipe": {"datasets": {}, "group": "family"},
}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_documents_are_told_by_their_keys(tmp_path, kind):
    (tmp_path / "any.json").write_text(json.dumps(DOCUMENTS[kind]))
    assert kind_of(tmp_path / "any.json") == kind


def test_a_plan_that_lacks_a_key_is_a_plan_by_its_name(tmp_path):
    (tmp_path / "plan.json").write_text("{}")
    assert kind_of(tmp_path / "plan.json") == "plan"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.nii.gz", "image"), ("A.MHA", "image"), ("a.autoseg.zip", "model"), ("a.safetensors", "model")],
)
def test_files_are_told_by_their_names(tmp_path, name, kind):
    (tmp_path / name).write_bytes(b"")
    assert kind_of(tmp_path / name) == kind


def test_tables(tmp_path):
    (tmp_path / "cases.tsv").write_text("case\tdomain\tsource\n")
    assert kind_of(tmp_path / "cases.tsv") == "cases"


def test_folders(tmp_path, tiny_bids):
    assert kind_of(tiny_bids) == "bids"
    fold = tmp_path / "models/Tiny/2d/fold0"
    fold.mkdir(parents=True)
    (fold / "best.safetensors").write_bytes(b"")
    for folder in (fold, fold.parent, fold.parent.parent):
        assert kind_of(folder) == "model"
        assert trained_folders(folder) == [fold]
    (tmp_path / "dataset.json").write_text("{}")
    assert kind_of(tmp_path) == "dataset"


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.txt", "words"), ("a.json", '{"spacing": [1]}'), ("a.json", "[1]"), ("a.tsv", "index\tname\n")],
)
def test_what_is_nothing_is_one_sentence(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(BadInput, match="is nothing that autoseg knows; give an image"):
        kind_of(tmp_path / name)


def test_what_is_not_there_and_what_is_empty(tmp_path):
    with pytest.raises(BadInput, match="there is no such file"):
        kind_of(tmp_path / "none.nii.gz")
    with pytest.raises(BadInput, match="is nothing that autoseg knows"):
        kind_of(tmp_path)


def test_a_damaged_document_is_one_sentence(tmp_path):
    (tmp_path / "a.json").write_text('{"name": ')
    with pytest.raises(BadInput, match="is no JSON document"):
        kind_of(tmp_path / "a.json")


def test_an_image_among_others_is_no_series(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(BadInput):
        kind_of(tmp_path)
