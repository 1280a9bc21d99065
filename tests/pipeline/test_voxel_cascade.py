"""The cascade of voxel classifiers from training to prediction, on small brains with bright lesions."""

import json

import nibabel
import numpy as np
import pytest

from autoseg.core.augmentation_spec import AugmentationSpec
from autoseg.core.errors import BadInput
from autoseg.core.network_spec import PublishedNetwork
from autoseg.core.plan import CandidateSpec
from autoseg.core.training_spec import TrainingSpec
from autoseg.interop.bids_conversion import convert, plan_conversion
from autoseg.io import images
from autoseg.io.files import write_text
from autoseg.io.workspace import Workspace
from autoseg.networks import model_file
from autoseg.pipeline.models import archived_models, export, workspace_models
from autoseg.pipeline.prediction import PredictionOptions, predict
from autoseg.pipeline.training import TrainingOptions, train

QUICK = TrainingOptions(device="cpu")
SHAPE = (20, 24, 16)
SPEC = CandidateSpec(channel=0, smallest_lesion_voxels=3, decision=0.6, previous_inference=0.5)


@pytest.fixture(scope="module")
def brains(tmp_path_factory):
    """Three subjects: a ball of noise with two bright cubes, one of which is a lesion: it is dark in T1w."""
    root = tmp_path_factory.mktemp("bids") / "lesions"
    for number in range(3):
        random = np.random.default_rng(number)
        grid = np.indices(SHAPE).transpose(1, 2, 3, 0)
        inside = np.linalg.norm((grid - np.array(SHAPE) / 2) / np.array(SHAPE), axis=-1) < 0.45
        flair, t1w = (np.where(inside, 100 + 5 * random.normal(size=SHAPE), 0) for _ in range(2))
        x, y = 6 + number, 8 + number
        flair[x : x + 4, y : y + 4, 5:9] += 60
        flair[x + 3 : x + 7, y + 6 : y + 9, 7:11] += 60
        t1w[x : x + 4, y : y + 4, 5:9] -= 40
        lesion = np.zeros(SHAPE, np.uint8)
        lesion[x : x + 4, y : y + 4, 5:9] = 1
        folder = root / f"sub-{number}" / "anat"
        folder.mkdir(parents=True)
        for name, voxels in (("FLAIR", flair), ("T1w", t1w), ("FLAIR_seg-manual", lesion)):
            image = nibabel.Nifti1Image(voxels.astype(np.uint8 if "seg" in name else np.float32), np.eye(4))
            nibabel.save(image, folder / f"sub-{number}_{name}.nii.gz")
    (root / "dataset_description.json").write_text('{"Name": "lesions", "BIDSVersion": "1.9.0"}')
    return root


@pytest.fixture(scope="module")
def trained(brains, tmp_path_factory, tiny_plan, tiny_configuration):
    """Both stages of two folds; every fold of the first one before the second."""
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    folder = workspace.dataset_folder("Lesions")
    convert(plan_conversion([brains], channels=["FLAIR", "T1w"]), folder, "Lesions")
    dataset = workspace.read_dataset("Lesions")
    first = tiny_configuration.model_copy(
        update={
            "name": "stage1",
            "spacing_mm": (1.0, 1.0, 1.0),
            "patch_size": (11, 11, 11),
            "batch_size": 32,
            "sampling": "candidates",
            "candidates": SPEC,
            "normalization": ("zscore", "zscore"),
            "mask_normalization": (True, True),
            "network": PublishedNetwork(name="valverde2017", dimensions=3, size_multiple=(1, 1, 1)),
            "augmentation": AugmentationSpec(rotation_degrees=0, dummy_2d=False, mirror_axes=(), operations=()),
            "training": TrainingSpec(epochs=2, initial_learning_rate=0.01, momentum=0.9, loss="cross_entropy"),
        }
    )
    second = first.model_copy(update={"name": "stage2", "previous_stage": "stage1"})
    plan = tiny_plan.model_copy(
        update={
            "dataset": "Lesions",
            "channels": dataset.channels,
            "labels": dataset.labels,
            "intensities": tiny_plan.intensities * 2,
            "configurations": {"stage1": first, "stage2": second},
            "recommended": "stage2",
        }
    )
    write_text(folder / "plan.json", plan.model_dump_json())
    names = [case.name for case in dataset.cases]
    splits = [{"train": names[:2], "val": names[2:]}, {"train": names[1:], "val": names[:1]}]
    (folder / "splits.json").write_text(json.dumps(splits))
    with pytest.raises(BadInput, match="stage2 fold0 follows stage1 fold0, which is not trained; run `autoseg train"):
        train(workspace, "Lesions", "stage2", "fold0", QUICK)
    for name in ("stage1", "stage2"):
        train(workspace, "Lesions", name, "cv", QUICK)
    return workspace


def plan_of(workspace, name, fold):
    path = workspace.model_folder("Lesions", name, fold) / "plan.json"
    return json.loads(path.read_text())["configurations"][name]


def voxels_of(workspace, name, fold):
    return model_file.read(workspace.model_folder("Lesions", name, fold) / "voxels.safetensors")[0]


def test_an_epoch_is_settled_by_the_drawn_voxels_and_recorded(trained):
    for name in ("stage1", "stage2"):
        voxels = voxels_of(trained, name, "fold0")
        assert 128 < len(voxels["training"]) <= 4 * 64
        assert len(voxels["validation"]) <= round(len(voxels["training"]) / 3)
        training = plan_of(trained, name, "fold0")["training"]
        assert training["steps_per_epoch"] == -(-len(voxels["training"]) // 32)
        assert training["validation_steps"] == -(-len(voxels["validation"]) // 32)
        assert set(voxels["training"][:, 0].tolist()) == {0, 1}
        assert set(voxels["validation"][:, 0].tolist()) == {2}
    first = voxels_of(trained, "stage1", "fold0")
    assert [len(first[side]) for side in ("training", "validation")] == [256, 85]


def test_held_out_cases_are_segmented_by_both_stages(trained):
    for name in ("stage1", "stage2"):
        scores = trained.model_folder("Lesions", name, "fold0") / "validation/evaluation.json"
        (case,) = json.loads(scores.read_text())["cases"]
        assert next(iter(case["labels"].values()))["dice"] > 0.5, name


def test_predictions_from_the_workspace_and_from_an_archive_agree(trained, tmp_path):
    case = trained.read_dataset("Lesions").cases[0]
    options = PredictionOptions(device="cpu")
    models = workspace_models(trained, "Lesions")
    done = predict(models, list(case.channels), tmp_path / "both", None, (), options)
    labels = images.read_labels(done.written[0])
    assert labels.shape == SHAPE
    reference = images.read_labels(case.labels)
    assert 2 * (labels * reference).sum() / (labels.sum() + reference.sum()) > 0.5
    members = export(trained, "Lesions", tmp_path / "lesions.autoseg.zip", "stage2")
    assert {member.rsplit("/", 1)[0] for member in members if "/" in member} == {
        f"stage{stage}/fold{fold}" for stage in (1, 2) for fold in (0, 1)
    }
    again = archived_models(tmp_path / "lesions.autoseg.zip")
    archived = predict(again, list(case.channels), tmp_path / "archived", "stage2", (), options)
    np.testing.assert_array_equal(images.read_labels(archived.written[0]), labels)


def test_a_single_stage_and_fold_predict_with_probabilities(trained, tmp_path):
    case = trained.read_dataset("Lesions").cases[0]
    options = PredictionOptions(device="cpu", save_probabilities=True)
    models = workspace_models(trained, "Lesions")
    done = predict(models, list(case.channels), tmp_path, "stage1", ("fold1",), options)
    labels = images.read_labels(done.written[0])
    validated = images.list_images(trained.model_folder("Lesions", "stage1", "fold1") / "validation")
    np.testing.assert_array_equal(labels, images.read_labels(validated[0]))
    assert len(list((tmp_path / "probabilities").iterdir())) == 1


def test_an_export_without_the_first_stage_of_a_fold_is_refused(trained, tmp_path):
    import shutil

    workspace = Workspace(tmp_path / "workspace")
    shutil.copytree(trained.root, workspace.root, symlinks=True)
    shutil.rmtree(workspace.model_folder("Lesions", "stage1", "fold1"))
    with pytest.raises(BadInput, match="previous stage stage1 fold1 is not trained"):
        export(workspace, "Lesions", tmp_path / "lesions.autoseg.zip", "stage2")
    case = workspace.read_dataset("Lesions").cases[0]
    with pytest.raises(BadInput, match="stage2 fold1 follows stage1 fold1, which is not trained"):
        predict(workspace_models(workspace, "Lesions"), list(case.channels), tmp_path / "out", "stage2")


def test_openvino_and_ensembles_are_refused(trained, tmp_path):
    from autoseg.core.selection import Postprocessing
    from autoseg.pipeline.models import Choice
    from autoseg.pipeline.prediction import load

    models = workspace_models(trained, "Lesions")
    with pytest.raises(BadInput, match="stage2 runs with torch only"):
        load(models, Choice(("stage2",), ("fold0",), Postprocessing()), PredictionOptions(engine="openvino"), 1)
    with pytest.raises(BadInput, match="stage1 classifies single voxels, which cannot be averaged"):
        load(models, Choice(("stage1", "stage2"), ("fold0",), Postprocessing()), PredictionOptions(), 1)


def test_a_single_training_case_validates_on_a_quarter_of_its_voxels(trained, tmp_path):
    import shutil

    workspace = Workspace(tmp_path / "workspace")
    shutil.copytree(trained.root, workspace.root, symlinks=True)
    shutil.rmtree(workspace.model_folder("Lesions", "stage1", "fold0").parent)
    names = [case.name for case in workspace.read_dataset("Lesions").cases]
    alone = tmp_path / "alone.json"
    alone.write_text(json.dumps([{"train": names[:1], "val": names[:1]}]))
    train(workspace, "Lesions", "stage1", "fold0", TrainingOptions(epochs=1, device="cpu", splits=alone))
    voxels = voxels_of(workspace, "stage1", "fold0")
    assert [len(voxels[side]) for side in ("training", "validation")] == [96, 32]
    assert not set(map(tuple, voxels["training"].tolist())) & set(map(tuple, voxels["validation"].tolist()))
