"""The whole path on real images: a few seconds of training, every file in its place."""

import json
import shutil

import nibabel
import numpy as np
import pytest


def test_hippocampus_from_two_sites_to_a_third(autoseg, capsys, real_data, tmp_path):
    sites = [real_data / "hippocampus-a", real_data / "hippocampus-b"]
    assert autoseg("convert-bids", *sites, "--dataset", "Hippocampus", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["domains"] == {"hippocampus-a": 105, "hippocampus-b": 35}
    assert report["labels"] == {"background": 0, "Anterior": 1, "Posterior": 2}
    assert report["problems"] == []

    assert autoseg("plan", "Hippocampus", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["recommended"] == "3d_fullres"
    assert plan["configurations"]["3d_fullres"]["patch_size"] == [40, 56, 40]
    assert plan["configurations"]["2d"]["patch_size"] == [56, 40]

    # Counted steps: a time budget would leave a busy machine too few of them.
    configuration = plan["configurations"]["2d"]
    configuration["batch_size"] = 8
    configuration["training"] |= {"steps_per_epoch": 15, "initial_learning_rate": 0.1, "momentum": 0.9}
    (tmp_path / "workspace/datasets/Hippocampus/plan.json").write_text(json.dumps(plan))
    train = ("train", "Hippocampus", "2d", "fold0", "--epochs", "3", "--device", "cpu", "--json")
    assert autoseg(*train) == 0
    validation = json.loads(capsys.readouterr().out)["folds"]["fold0"]["validation"]
    assert len(validation["cases"]) == 28
    assert set(validation["domains"]) == {"hippocampus-a", "hippocampus-b"}
    fold = tmp_path / "workspace/models/Hippocampus/2d/fold0"
    epochs = [json.loads(line) for line in (fold / "progress.jsonl").read_text().splitlines()]
    assert [epoch["step"] for epoch in epochs] == [15, 30, 45]
    assert epochs[-1]["loss"] < 0.5 * epochs[0]["loss"]

    images, output = tmp_path / "images", tmp_path / "segmentations"
    images.mkdir()
    for path in sorted((real_data / "hippocampus-c").glob("sub-*/anat/*_T1w.nii.gz"))[:2]:
        shutil.copy(path, images)
    capsys.readouterr()
    assert autoseg("predict", images, "-o", output, "--dataset", "Hippocampus", "--device", "cpu", "--json") == 0
    unlike = json.loads(capsys.readouterr().out)["unlike"]
    assert len(unlike) == 2
    assert "(hippocampus-a), 49 to 76 (hippocampus-b) (each image is scaled by itself" in unlike[0]
    for path in images.iterdir():
        image, labels = nibabel.load(path), nibabel.load(output / path.name)
        assert image.shape == labels.shape
        np.testing.assert_array_equal(image.affine, labels.affine)
        assert image.header.get_zooms() == labels.header.get_zooms()
    capsys.readouterr()
    assert autoseg("evaluate", output, real_data / "hippocampus-c", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert set(summary["domains"]) == {"hippocampus-c"}
    assert len(summary["cases"]) == 2


@pytest.mark.slow
def test_the_best_of_two_configurations_goes_to_another_machine(autoseg, capsys, real_data, tmp_path):
    """Two folds of a few cases each; the networks learn enough to be compared."""
    sites = [real_data / "hippocampus-a", real_data / "hippocampus-b"]
    assert autoseg("convert-bids", *sites, "--dataset", "Hippocampus", "--json") == 0
    assert autoseg("plan", "Hippocampus", "--json") == 0
    dataset = tmp_path / "workspace/datasets/Hippocampus"
    plan = json.loads((dataset / "plan.json").read_text())
    for name, batch, narrower in (("2d", 8, 1), ("3d_fullres", 2, 2)):
        configuration = plan["configurations"][name]
        widths = configuration["network"]["features_per_stage"]
        configuration["batch_size"] = batch
        configuration["network"]["features_per_stage"] = [width // narrower for width in widths]
        spec = {"steps_per_epoch": 30, "validation_steps": 2, "initial_learning_rate": 0.1, "momentum": 0.9}
        configuration["training"] |= spec
    (dataset / "plan.json").write_text(json.dumps(plan))
    names = sorted(path.name.removesuffix(".nii.gz") for path in (dataset / "labelsTr").iterdir())[::4]
    splits = [{"train": names[4:], "val": names[:4]}, {"train": names[:-4], "val": names[-4:]}]
    (dataset / "splits.json").write_text(json.dumps(splits))
    for name in ("2d", "3d_fullres"):
        assert autoseg("train", "Hippocampus", name, "cv", "--epochs", "3", "--device", "cpu") == 0
    capsys.readouterr()
    assert autoseg("select", "Hippocampus", "--device", "cpu", "--json") == 0
    selection = json.loads(capsys.readouterr().out)
    scores = {" + ".join(one["configurations"]): one["mean_dice"] for one in selection["candidates"]}
    assert list(scores) == ["2d", "3d_fullres", "2d + 3d_fullres"]
    assert min(scores.values()) > 0.3
    assert scores[" + ".join(selection["configurations"])] == max(scores.values())
    assert selection["mean_dice"] >= max(scores.values())

    file = tmp_path / "Hippocampus.autoseg.zip"
    assert autoseg("export", "Hippocampus", "-o", file) == 0
    shutil.rmtree(tmp_path / "workspace")
    predict = ("predict", real_data / "hippocampus-c", "-o", tmp_path / "out", "--model", file, "--device", "cpu")
    assert autoseg(*predict) == 0
    capsys.readouterr()
    assert autoseg("evaluate", tmp_path / "out", real_data / "hippocampus-c", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert len(summary["cases"]) == 12
    assert summary["mean"]["dice"] > 0.3


def test_anisotropic_spinal_cord_is_planned_in_2d(autoseg, capsys, real_data):
    convert = ("convert-bids", real_data / "spinal-cord", "--dataset", "Cord", "--contrasts", "T2star", "--json")
    assert autoseg(*convert) == 0
    assert json.loads(capsys.readouterr().out)["labels"] == {"background": 0, "gmseg": 1, "seg": 2}
    assert autoseg("plan", "Cord", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["recommended"] == "2d"
    assert plan["axis_order"][0] == 2
    assert any("15.0" in decision["reason"] for decision in plan["decisions"] if decision["what"] == "recommended")


def test_three_channels_are_one_case_that_fits_as_a_whole(autoseg, capsys, real_data):
    convert = ("convert-bids", real_data / "ms-brain", "--dataset", "MS", "--channels", "FLAIR,T1w,T2w", "--json")
    assert autoseg(*convert) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["num_cases"], report["channels"]) == (2, ["FLAIR", "T1w", "T2w"])
    assert autoseg("plan", "MS", "--json") == 0
    whole = json.loads(capsys.readouterr().out)["configurations"]["full_volume"]
    assert whole["whole_case"]
    assert all(patch >= median for patch, median in zip(whole["patch_size"], whole["median_shape_voxels"], strict=True))
