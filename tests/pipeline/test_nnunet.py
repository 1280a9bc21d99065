"""Models of nnU-Net in a workspace, and ours out of it and back."""

import json

import nibabel
import numpy as np
import pytest
import torch

from autoseg.core.errors import BadInput
from autoseg.interop.nnunet_documents import parse
from autoseg.io.workspace import Workspace
from autoseg.networks import build_planned, model_file
from autoseg.pipeline.models import workspace_models
from autoseg.pipeline.nnunet import export_model, import_model
from autoseg.pipeline.prediction import PredictionOptions, predict
from tests.interop import peer_models


@pytest.fixture
def scan(tmp_path):
    """Two channels of an image that is not stored in RAS."""
    folder = tmp_path / "images"
    folder.mkdir()
    random = np.random.default_rng(0)
    for channel in range(2):
        voxels = random.normal(100, 10, (18, 22, 12)).astype(np.float32)
        affine = np.diag([-1.0, 1.0, 1.2, 1.0])
        nibabel.save(nibabel.Nifti1Image(voxels, affine), folder / f"case_{channel:04d}.nii.gz")
    return folder


def save_ours(workspace, plan, name, fold="fold0", seed=0):
    configuration = plan.configurations[plan.recommended]
    torch.manual_seed(seed)
    network = build_planned(configuration.network, len(plan.channels), plan.labels.num_outputs)
    folder = workspace.model_folder(name, configuration.name, fold)
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(plan.model_dump_json())
    (folder / "final.safetensors").write_bytes(model_file.serialise(network.state_dict(), {}))
    return folder


def test_an_imported_model_segments_images(tmp_path, scan):
    workspace = Workspace(tmp_path / "workspace")
    source = peer_models.write(tmp_path / "Dataset501_Tiny", folds=("0", "all"))
    assert import_model(workspace, source, "Tiny") == {"3d_fullres": ["all", "fold0"]}
    assert workspace.trained_configurations("Tiny") == {"3d_fullres": ["all", "fold0"]}
    result = predict(
        workspace_models(workspace, "Tiny"), [scan], tmp_path / "out", options=PredictionOptions(device="cpu")
    )
    (path,) = result.written
    assert result.problems == ()
    labels = np.asarray(nibabel.load(path).dataobj)
    assert labels.shape == (18, 22, 12)
    assert len(np.unique(labels)) > 1
    with pytest.raises(BadInput, match="are models of this name already"):
        import_model(workspace, source, "Tiny")


def test_nothing_is_left_of_an_import_that_fails(tmp_path):
    workspace = Workspace(tmp_path / "workspace")
    source = peer_models.write(tmp_path, folds=("0", "1"))
    (source / "fold_1/checkpoint_final.pth").write_bytes(b"no checkpoint")
    with pytest.raises(BadInput, match="fold_1"):
        import_model(workspace, source, "Tiny")
    assert not list((tmp_path / "workspace").rglob("*.*"))
    assert workspace.trained_configurations("Tiny") == {}


def test_what_is_exported_comes_back_the_same(tmp_path, tiny_plan):
    workspace = Workspace(tmp_path / "workspace")
    folders = {fold: save_ours(workspace, tiny_plan, "Ours", fold, seed) for seed, fold in enumerate(("fold2", "all"))}
    (exported,) = export_model(workspace, "Ours", tmp_path / "results")
    assert exported == tmp_path / "results/Dataset501_Ours/nnUNetTrainer__nnUNetPlans__3d_fullres"
    wanted = {"fold_2", "fold_all", "plans.json", "dataset.json", "dataset_fingerprint.json"}
    assert {path.name for path in exported.iterdir()} == wanted
    fold = {path.relative_to(exported / "fold_2").as_posix() for path in (exported / "fold_2").rglob("*.*")}
    assert fold == {"checkpoint_final.pth", "progress.png", "validation/summary.json"}
    import_model(workspace, exported, "Back")
    for name, folder in folders.items():
        back = workspace.model_folder("Back", "3d_fullres", name)
        ours, theirs = (model_file.read(one / "final.safetensors")[0] for one in (folder, back))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
        plan = json.loads((back / "plan.json").read_text())
        wanted = json.loads(tiny_plan.model_dump_json())
        wanted["configurations"]["3d_fullres"]["training"] = plan["configurations"]["3d_fullres"]["training"]
        for key in ("channels", "labels", "orientation", "axis_order", "intensities", "configurations", "planner"):
            assert plan[key] == wanted[key], key


def test_an_export_finds_a_number_and_never_overwrites(tmp_path, tiny_plan):
    workspace = Workspace(tmp_path / "workspace")
    save_ours(workspace, tiny_plan, "Ours")
    save_ours(workspace, tiny_plan, "Dataset007_Bond")
    (tmp_path / "results/Dataset501_Other").mkdir(parents=True)
    (exported,) = export_model(workspace, "Ours", tmp_path / "results")
    assert exported.parent.name == "Dataset502_Ours"
    assert parse((exported / "plans.json").read_text(), "")["dataset_name"] == "Dataset502_Ours"
    with pytest.raises(BadInput, match="is there already"):
        export_model(workspace, "Ours", tmp_path / "results")
    (exported,) = export_model(workspace, "Dataset007_Bond", tmp_path / "results")
    assert exported.parent.name == "Dataset007_Bond"


def test_what_nnunet_cannot_have_is_refused_with_the_reason(tmp_path, tiny_plan):
    workspace = Workspace(tmp_path / "workspace")
    with pytest.raises(BadInput, match="nothing is trained yet"):
        export_model(workspace, "Ours", tmp_path / "results")
    whole = tiny_plan.configurations["3d_fullres"].model_copy(update={"name": "full_volume", "whole_case": True})
    plan = tiny_plan.model_copy(update={"configurations": {"full_volume": whole}, "recommended": "full_volume"})
    save_ours(workspace, plan, "Ours")
    with pytest.raises(BadInput, match="full_volume predicts whole images"):
        export_model(workspace, "Ours", tmp_path / "results")
    save_ours(workspace, tiny_plan, "Ours")
    assert len(export_model(workspace, "Ours", tmp_path / "results")) == 1
    with pytest.raises(BadInput, match="full_volume predicts whole images"):
        export_model(workspace, "Ours", tmp_path / "other", "full_volume")
    with pytest.raises(BadInput, match="2d is not trained"):
        export_model(workspace, "Ours", tmp_path / "other", "2d")
    assert not (tmp_path / "other").exists() or not list((tmp_path / "other").rglob("*.*"))


def test_folds_of_different_width_cannot_be_exported_together(tmp_path, tiny_plan):
    workspace = Workspace(tmp_path / "workspace")
    save_ours(workspace, tiny_plan, "Ours")
    one = tiny_plan.configurations["3d_fullres"]
    network = one.network.model_copy(update={"features_per_stage": (2, 4, 4)})
    narrow = tiny_plan.model_copy(
        update={"configurations": {"3d_fullres": one.model_copy(update={"network": network})}}
    )
    save_ours(workspace, narrow, "Ours", "fold1")
    with pytest.raises(BadInput, match="has another network"):
        export_model(workspace, "Ours", tmp_path / "results")
