"""On real images: a cascade from its plan to scores, and predictions that follow a selection."""

import json
import shutil

import nibabel
import numpy as np
import pytest
from scipy import ndimage

pytestmark = pytest.mark.slow

QUICK = {"validation_steps": 2, "initial_learning_rate": 0.1, "momentum": 0.9}
CONNECTED = np.ones((3, 3, 3))  # faces, edges and corners


def make_quick(dataset, names, steps, divisor):
    """Narrow networks and few steps: counted, as a time budget would leave a busy machine too few."""
    plan = json.loads((dataset / "plan.json").read_text())
    for name in names:
        configuration = plan["configurations"][name]
        widths = configuration["network"]["features_per_stage"]
        configuration["network"]["features_per_stage"] = [width // divisor for width in widths]
        configuration["training"] |= {**QUICK, "steps_per_epoch": steps}
        configuration["batch_size"] = min(8, configuration["batch_size"])
    (dataset / "plan.json").write_text(json.dumps(plan))


def make_two_folds(dataset):
    """Instead of five."""
    names = sorted(path.name.removesuffix(".nii.gz") for path in (dataset / "labelsTr").iterdir())
    half = len(names) // 2
    folds = [{"train": names[half:], "val": names[:half]}, {"train": names[:half], "val": names[half:]}]
    (dataset / "splits.json").write_text(json.dumps(folds))


def read(path):
    return np.asarray(nibabel.load(path).dataobj)


def test_a_cascade_segments_a_site_that_it_has_not_seen(autoseg, capsys, real_data, tmp_path):
    """20 MB hold so little of a case that a coarser first stage is planned. Two folds."""
    assert autoseg("convert-bids", real_data / "hippocampus-b", "--dataset", "Hippocampus") == 0
    assert autoseg("plan", "Hippocampus", "--memory", "20MB") == 0
    dataset, models = (tmp_path / "workspace" / kind / "Hippocampus" for kind in ("datasets", "models"))
    plan = json.loads((dataset / "plan.json").read_text())
    lowres, second = (plan["configurations"][name] for name in ("3d_lowres", "3d_cascade_fullres"))
    assert second["previous_stage"] == "3d_lowres"
    assert min(lowres["spacing_mm"]) > 1.2 * max(second["spacing_mm"])
    make_quick(dataset, ("3d_lowres", "3d_cascade_fullres"), steps=60, divisor=2)
    make_two_folds(dataset)

    second_stage = ("train", "Hippocampus", "3d_cascade_fullres", "fold0", "--epochs", "1", "--device", "cpu")
    assert autoseg(*second_stage) == 2
    assert "train Hippocampus 3d_lowres cv" in capsys.readouterr().err.replace("\n", " ")
    assert autoseg("train", "Hippocampus", "3d_lowres", "cv", "--epochs", "1", "--device", "cpu") == 0
    assert len(list(models.glob("3d_lowres/fold*/validation/*.nii.gz"))) == 35
    capsys.readouterr()
    assert autoseg(*second_stage, "--json") == 0
    validation = json.loads(capsys.readouterr().out)["folds"]["fold0"]["validation"]
    assert len(validation["cases"]) == 17
    assert validation["mean"]["dice"] > 0.3

    predict = ("predict", real_data / "hippocampus-c", "-o", tmp_path / "out", "--dataset", "Hippocampus")
    assert autoseg(*predict, "--configuration", "3d_cascade_fullres", "--device", "cpu") == 0
    capsys.readouterr()
    assert autoseg("evaluate", tmp_path / "out", real_data / "hippocampus-c", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert len(summary["cases"]) == 12
    assert summary["mean"]["dice"] > 0.3


def test_predict_does_what_the_selection_says(autoseg, capsys, real_data, tmp_path):
    """Ten cases, two folds; then the other choices, written by hand."""
    subjects = sorted(path.name for path in (real_data / "hippocampus-b").glob("sub-*"))
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"datasets": {"hippocampus-b": {"exclude": subjects[10:]}}}))
    convert = ("convert-bids", real_data / "hippocampus-b", "--dataset", "Hippocampus", "--recipe", recipe)
    assert autoseg(*convert) == 0
    assert autoseg("plan", "Hippocampus") == 0
    dataset, models = (tmp_path / "workspace" / kind / "Hippocampus" for kind in ("datasets", "models"))
    members = ("2d", "3d_fullres")
    make_quick(dataset, members, steps=80, divisor=4)
    make_two_folds(dataset)
    for name in members:
        assert autoseg("train", "Hippocampus", name, "cv", "--epochs", "1", "--device", "cpu") == 0
    assert autoseg("select", "Hippocampus", "--device", "cpu") == 0
    selection = json.loads((models / "selection.json").read_text())
    best = max(selection["candidates"], key=lambda one: one["mean_dice"])
    assert selection["configurations"] == best["configurations"]
    assert len(selection["candidates"]) == 3

    images = tmp_path / "images"
    images.mkdir()
    for path in sorted((real_data / "hippocampus-c").glob("sub-*/anat/*_T1w.nii.gz"))[:3]:
        shutil.copy(path, images)
    predict = ("predict", images, "--dataset", "Hippocampus", "--device", "cpu", "-o")
    for name in members:
        assert autoseg(*predict, tmp_path / name, "--configuration", name, "--save-probabilities") == 0
    for number, (configurations, keep_largest) in enumerate(
        [
            (selection["configurations"], selection["postprocessing"]["keep_largest"]),
            (members, [[1, 2], [1]]),
            (["2d"], [[2]]),
        ]
    ):
        chosen = {"configurations": configurations, "postprocessing": {"keep_largest": keep_largest}}
        (models / "selection.json").write_text(json.dumps(selection | chosen))
        output = tmp_path / f"selected{number}"
        assert autoseg(*predict, output) == 0
        for path in images.iterdir():
            probabilities = [
                nibabel.load(tmp_path / name / "probabilities" / path.name).get_fdata() for name in configurations
            ]
            expected = np.mean(probabilities, axis=0).argmax(axis=-1)
            for values in keep_largest:
                expected = with_largest_component(expected, values)
            assert np.mean(read(output / path.name) == expected) > 0.9995
            assert (expected > 0).any()
    capsys.readouterr()
    assert autoseg("evaluate", tmp_path / "selected0", real_data / "hippocampus-c", "--json") == 0
    assert json.loads(capsys.readouterr().out)["mean"]["dice"] > 0.3


def with_largest_component(labels, values):
    """By scipy; what is as large as the largest stays too."""
    components, number = ndimage.label(np.isin(labels, values), CONNECTED)
    if number == 0:
        return labels
    sizes = ndimage.sum_labels(np.ones(labels.shape), components, range(1, number + 1))
    smaller = np.isin(components, 1 + np.flatnonzero(sizes < sizes.max()))
    return np.where(smaller, 0, labels)
