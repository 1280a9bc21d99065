"""import-nnunet and export-nnunet as commands; what is hostile is status 2."""

import json
import os
import shutil

import pytest

from tests.interop import peer_models, raw_datasets


def test_a_model_goes_in_and_out(autoseg, capsys, tmp_path):
    source = peer_models.zipped(peer_models.write(tmp_path), tmp_path / "model.zip")
    assert autoseg("import-nnunet", source, "--dataset", "Tiny") == 0
    assert "next: autoseg predict INPUT -o OUTPUT --dataset Tiny --configuration 3d_fullres" in capsys.readouterr().out
    assert autoseg("export-nnunet", "Tiny", tmp_path / "results", "--json") == 0
    (folder,) = json.loads(capsys.readouterr().out)["folders"]
    assert autoseg("import-nnunet", folder, "--dataset", "Back", "--json") == 0
    assert json.loads(capsys.readouterr().out)["configurations"] == {"3d_fullres": ["fold0"]}
    assert autoseg("import-nnunet", folder, "--dataset", "../evil") == 2


class Hostile:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_dataset_goes_in_and_out(autoseg, capsys, tmp_path):
    source = raw_datasets.write(tmp_path / "Dataset004_Tiny")
    assert autoseg("import-nnunet", source, "--dataset", "Tiny") == 0
    assert "next: autoseg plan Tiny" in capsys.readouterr().err
    assert autoseg("export-nnunet", "Tiny", tmp_path / "raw", "--what", "dataset") == 0
    assert "next: nnUNetv2_plan_and_preprocess -d 501 --verify_dataset_integrity" in capsys.readouterr().out
    exported = tmp_path / "raw/Dataset501_Tiny"
    assert autoseg("import-nnunet", exported, "--dataset", "Back", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["num_cases"], result["problems"], result["notes"]) == (3, [], [])
    assert autoseg("plan", "Back", "--json") == 0


def test_a_case_that_is_left_out_is_shown(autoseg, capsys, tmp_path):
    source = raw_datasets.write(tmp_path / "Dataset004_Tiny")
    raw_datasets.save(source / "labelsTr/two.nii.gz", raw_datasets.label_map((1, 5)))
    assert autoseg("import-nnunet", source, "--dataset", "Tiny") == 0
    shown = capsys.readouterr()
    assert "What was left out (1)" in shown.out
    assert "value 5" in " ".join(shown.out.split())
    assert "2 cases in" in shown.err


def spoil_json(source):
    path = source / "dataset.json"
    path.write_text(path.read_text()[:30])


def no_labels(source):
    shutil.rmtree(source / "labelsTr")


def unknown_value(source):
    raw_datasets.change(source, {"labels": {"background": 0, "shell": 1}})


def no_images(source):
    for path in (source / "imagesTr").iterdir():
        path.unlink()


def missing_channel(source):
    raw_datasets.change(source, {"channel_names": {"0": "T1w", "1": "T2w"}})


def listed_nowhere(source):
    raw_datasets.change(source, {"dataset": {"one": {"images": ["nowhere.nii.gz"], "label": "labelsTr/one.nii.gz"}}})


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (spoil_json, "is no JSON document"),
        (no_labels, "has no folder labelsTr"),
        (unknown_value, "has voxels of the value 2, which is no label of the dataset"),
        (no_images, "holds no image CASE_0000.nii.gz"),
        (missing_channel, "hold 1 channels and the dataset has 2 (T1w, T2w)"),
        (listed_nowhere, "there is no such file"),
    ],
)
def test_bad_datasets_are_status_2_and_leave_nothing(autoseg, capsys, tmp_path, spoil, sentence):
    source = raw_datasets.write(tmp_path / "Dataset004_Tiny")
    spoil(source)
    assert autoseg("import-nnunet", source, "--dataset", "Tiny") == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
    datasets = tmp_path / "workspace/datasets"
    assert not datasets.exists() or not list(datasets.iterdir())


def test_neither_dataset_nor_model(autoseg, capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    assert autoseg("import-nnunet", tmp_path / "empty", "--dataset", "Tiny") == 2
    error = capsys.readouterr().err
    assert "holds no fold_K/checkpoint_final.pth" in error
    assert "raw dataset (dataset.json, imagesTr, labelsTr)" in error
    assert autoseg("import-nnunet", tmp_path / "nowhere", "--dataset", "Tiny") == 2
    assert autoseg("export-nnunet", "Tiny", tmp_path, "--what", "dataset") == 2
    assert "there is no dataset of this name" in capsys.readouterr().err
    assert autoseg("export-nnunet", "Tiny", tmp_path, "--what", "dataset", "--configuration", "2d") == 2
