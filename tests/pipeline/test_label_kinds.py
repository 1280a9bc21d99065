"""Overlapping regions, ignored voxels, scattered label values and fine-tuning: planned, trained, predicted, scored."""

import json
import shutil
from dataclasses import dataclass

import nibabel
import numpy as np
import pytest
from safetensors.torch import load_file

from autoseg.interop.bids_conversion import convert, plan_conversion
from autoseg.io.files import write_text
from autoseg.io.workspace import Workspace
from autoseg.pipeline.api import evaluate
from autoseg.pipeline.evaluation import evaluate_folders
from autoseg.pipeline.models import workspace_models
from autoseg.pipeline.prediction import PredictionOptions, predict
from autoseg.pipeline.preparation import plan_dataset
from autoseg.pipeline.training import TrainingOptions, train
from autoseg.training import step

ON_CPU = TrainingOptions(device="cpu")
FOLD = ("Tiny", "3d_fullres", "fold0")
IGNORED = 3


@dataclass(frozen=True)
class Outcome:
    """A trained workspace, the summary of its validation, and where every image was segmented."""

    workspace: Workspace
    validation: dict
    segmentations: list

    @property
    def folder(self):
        return self.workspace.model_folder(*FOLD)

    @property
    def references(self):
        return self.workspace.dataset_folder("Tiny") / "labelsTr"


def with_labels(converted, root, entries, change=lambda voxels: voxels):
    """A copy of the converted dataset with other ``dataset.json`` entries and changed label maps."""
    shutil.copytree(converted, root, symlinks=True)
    workspace = Workspace(root)
    folder = workspace.dataset_folder("Tiny")
    document = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(document | entries))
    for path in (folder / "labelsTr").iterdir():
        labels = nibabel.load(path)
        changed = nibabel.Nifti1Image(change(np.asarray(labels.dataobj)).astype(np.uint8), labels.affine)
        path.unlink()  # where it is a link, its target stays
        nibabel.save(changed, path)
    return workspace


def shortened(workspace, dataset, steps, features, patch=None):
    """Plan the dataset, then train a narrower network in few, quick steps."""
    plan = plan_dataset(workspace, dataset)
    planned = plan.configurations["3d_fullres"]
    widths = tuple(features * 2**stage for stage in range(len(planned.network.strides)))
    training = planned.training.model_copy(
        update={
            "epochs": 4,
            "steps_per_epoch": steps // 4,
            "validation_steps": 1,
            "initial_learning_rate": 0.05,
            "momentum": 0.9,
        }
    )
    configuration = planned.model_copy(
        update={
            "batch_size": 2,
            "patch_size": patch or planned.patch_size,
            "network": planned.network.model_copy(update={"features_per_stage": widths}),
            "training": training,
        }
    )
    changed = plan.model_copy(update={"configurations": {"3d_fullres": configuration}, "recommended": "3d_fullres"})
    write_text(workspace.dataset_folder(dataset) / "plan.json", changed.model_dump_json())


def outcome(workspace):
    """Train fold 0 and segment the images of the dataset."""
    validation = train(workspace, *FOLD, ON_CPU)["fold0"]
    images = workspace.dataset_folder("Tiny") / "imagesTr"
    models, options = workspace_models(workspace, "Tiny"), PredictionOptions(device="cpu")
    predicted = predict(models, [images], workspace.root / "out", options=options)
    assert not predicted.problems
    return Outcome(workspace, validation, sorted(predicted.written))


def voxels(path):
    return np.asarray(nibabel.load(path).dataobj)


@pytest.fixture(scope="module")
def scattered(converted, tmp_path_factory):
    """Labels of the values 7 and 200."""
    entries = {"labels": {"background": 0, "shell": 7, "core": 200}}
    values = np.array([0, 7, 200])
    workspace = with_labels(converted, tmp_path_factory.mktemp("scattered") / "w", entries, lambda map: values[map])
    shortened(workspace, "Tiny", steps=40, features=8)
    return outcome(workspace)


def test_regions_are_trained_written_in_order_and_scored_each(converted, tmp_path):
    entries = {"labels": {"background": 0, "whole": [1, 2], "core": [2]}, "regions_class_order": [1, 2]}
    workspace = with_labels(converted, tmp_path / "w", entries)
    shortened(workspace, "Tiny", steps=40, features=8)
    found = outcome(workspace)
    assert set(found.validation["labels"]) == {"whole", "core"}
    assert found.validation["labels"]["whole"]["dice"] > 0.5  # everything foreground: 0.13
    for folder in (found.folder / "validation", found.segmentations[0].parent):
        assert json.loads((folder / "labels.json").read_text()) == entries
    assert set(np.unique(voxels(found.segmentations[0]))) <= {0, 1, 2}
    scored = evaluate(found.segmentations[0].parent, found.references)
    assert set(scored["labels"]) == {"whole", "core"}
    assert scored["labels"]["whole"]["dice"] > 0.5
    name, first = found.segmentations[0].name, scored["cases"][0]["labels"]["whole"]
    predicted, reference = voxels(found.segmentations[0]) > 0, voxels(found.references / name.replace("_0000", "")) > 0
    assert first["dice"] == pytest.approx(2 * (predicted & reference).sum() / (predicted.sum() + reference.sum()))


def test_labels_may_be_independent_in_the_plan_alone(converted, tmp_path):
    """Each a sigmoid, as in published systems; what is written and scored are the labels of the dataset."""
    workspace = with_labels(converted, tmp_path / "w", {})
    shortened(workspace, "Tiny", steps=40, features=8)
    path = workspace.dataset_folder("Tiny") / "plan.json"
    plan = json.loads(path.read_text())
    plan["labels"] |= {"independent": True, "region_order": [1, 2]}
    plan["configurations"]["3d_fullres"]["training"]["loss"] = "pooled_dice"
    path.write_text(json.dumps(plan))
    found = outcome(workspace)
    weights = load_file(found.folder / "final.safetensors")
    assert {len(weights[name]) for name in weights if name.startswith("decoder.heads") and "bias" in name} == {2}
    assert found.validation["labels"].keys() == {"shell", "core"}
    assert found.validation["mean"]["dice"] > 0.4
    assert set(np.unique(voxels(found.segmentations[0]))) == {0, 1, 2}
    assert not (found.segmentations[0].parent / "labels.json").exists()
    assert evaluate_folders(found.segmentations[0].parent, found.references)["mean"]["dice"] > 0.4


def test_ignored_voxels_are_never_learned_predicted_or_scored(converted, tmp_path, monkeypatch):
    """A third of the slices has no reference."""

    def hide(label_map):
        hidden = label_map.copy()
        hidden[:, :, ::3] = IGNORED
        return hidden

    entries = {"labels": {"background": 0, "shell": 1, "core": 2, "ignore": IGNORED}}
    workspace = with_labels(converted, tmp_path / "w", entries, hide)
    shortened(workspace, "Tiny", steps=40, features=8)
    original, batches = step.deep_supervision_loss, []

    def watched(outputs, target, labels, **rest):
        ignored = target == labels.ignore_index
        if ignored.any():
            leaves = [output.detach().float().requires_grad_() for output in outputs]
            original(leaves, target, labels, **rest).backward()
            gradient = leaves[0].grad.movedim(1, -1)
            assert not gradient[ignored].any()
            assert gradient[~ignored].any()
            batches.append(target)
        return original(outputs, target, labels, **rest)

    monkeypatch.setattr(step, "deep_supervision_loss", watched)
    found = outcome(workspace)
    assert len(batches) > 20
    assert all(set(np.unique(voxels(path))) <= {0, 1, 2} for path in found.segmentations)
    assert found.validation["labels"].keys() == {"shell", "core"}
    scored = evaluate(found.segmentations[0].parent, found.references)
    reference = voxels(found.references / found.segmentations[0].name.replace("_0000", ""))
    predicted = np.where(reference == IGNORED, 0, voxels(found.segmentations[0]))
    dice = 2 * ((predicted == 1) & (reference == 1)).sum() / ((predicted == 1).sum() + (reference == 1).sum())
    assert scored["cases"][0]["labels"]["shell"]["dice"] == pytest.approx(dice)
    assert scored["mean"]["dice"] > 0.4


def test_scattered_values_are_restored(scattered):
    assert scattered.validation["mean"]["dice"] > 0.4
    assert set(np.unique(np.concatenate([voxels(path).ravel() for path in scattered.segmentations]))) == {0, 7, 200}
    table = (scattered.segmentations[0].parent / "dseg.tsv").read_text()
    assert table == "index\tname\n0\tbackground\n7\tshell\n200\tcore\n"
    assert evaluate_folders(scattered.segmentations[0].parent, scattered.references)["mean"]["dice"] > 0.4


def test_a_model_is_tuned_to_another_number_of_labels(converted, scattered, tmp_path, capsys):
    """With few steps it is then better than a new one, and says what it took over."""
    entries = {"labels": {"background": 0, "ball": 1}}
    workspace = with_labels(converted, tmp_path / "w", entries, lambda map: map > 0)
    shortened(workspace, "Tiny", steps=4, features=8)
    tuned = train(workspace, *FOLD, TrainingOptions(device="cpu", init_from=scattered.folder))["fold0"]
    assert "the output heads (another number of labels)" in capsys.readouterr().err
    plan = json.loads((workspace.model_folder(*FOLD) / "plan.json").read_text())
    (decision,) = [decision for decision in plan["decisions"] if decision["what"] == "initial weights"]
    assert str(scattered.folder) in decision["choice"]
    assert "weights copied" in decision["choice"]
    fresh = train(workspace, *FOLD, TrainingOptions(device="cpu", overwrite=True))["fold0"]
    assert tuned["mean"]["dice"] > fresh["mean"]["dice"] + 0.1


@pytest.mark.slow
def test_regions_of_real_images(real_data, tmp_path):
    workspace = Workspace(tmp_path / "w")
    folder = workspace.dataset_folder("Hippocampus")
    convert(plan_conversion([real_data / "hippocampus-b"]), folder, "Hippocampus")
    document = json.loads((folder / "dataset.json").read_text())
    labels = {"background": 0, "whole": [1, 2], "posterior": [2]}
    (folder / "dataset.json").write_text(json.dumps(document | {"labels": labels, "regions_class_order": [1, 2]}))
    shortened(workspace, "Hippocampus", steps=240, features=8, patch=(24, 32, 24))
    summary = train(workspace, "Hippocampus", "3d_fullres", "fold0", ON_CPU)["fold0"]
    assert summary["labels"]["whole"]["dice"] > 0.6
    assert summary["labels"].keys() == {"whole", "posterior"}
    predicted = workspace.model_folder("Hippocampus", "3d_fullres", "fold0") / "validation"
    assert json.loads((predicted / "labels.json").read_text())["labels"] == labels


@pytest.mark.slow
def test_slices_of_real_images_suffice_and_tune_to_another_site(real_data, tmp_path):
    workspace = Workspace(tmp_path / "w")
    folder = workspace.dataset_folder("Sparse")
    convert(plan_conversion([real_data / "hippocampus-b"]), folder, "Sparse")
    complete = shutil.copytree(folder / "labelsTr", tmp_path / "complete")
    document = json.loads((folder / "dataset.json").read_text())
    labels = document["labels"] | {"ignore": IGNORED}
    (folder / "dataset.json").write_text(json.dumps(document | {"labels": labels}))
    for path in (folder / "labelsTr").iterdir():
        stored = nibabel.load(path)
        sparse = np.full(stored.shape, IGNORED, np.uint8)
        sparse[:, ::4] = np.asarray(stored.dataobj)[:, ::4]  # one slice in four has a reference
        path.unlink()
        nibabel.save(nibabel.Nifti1Image(sparse, stored.affine), path)
    shortened(workspace, "Sparse", steps=480, features=8, patch=(24, 32, 24))  # after 240, 0.47 to 0.67 by the seed
    train(workspace, "Sparse", "3d_fullres", "fold0", ON_CPU)
    trained = workspace.model_folder("Sparse", "3d_fullres", "fold0")
    assert evaluate_folders(trained / "validation", complete, tmp_path / "scores")["mean"]["dice"] > 0.7

    convert(plan_conversion([real_data / "hippocampus-c"]), workspace.dataset_folder("Site"), "Site")
    shortened(workspace, "Site", steps=30, features=8, patch=(24, 32, 24))
    site = ("Site", "3d_fullres", "fold0")
    tuned = train(workspace, *site, TrainingOptions(device="cpu", init_from=trained))["fold0"]
    fresh = train(workspace, *site, TrainingOptions(device="cpu", overwrite=True))["fold0"]
    assert tuned["mean"]["dice"] > max(0.6, fresh["mean"]["dice"])
