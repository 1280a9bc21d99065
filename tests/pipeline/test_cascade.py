"""A cascade from the first stage's cross-validation to predictions of new images."""

import json

import nibabel
import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.io import images, store
from autoseg.io.files import write_text
from autoseg.pipeline import cascade
from autoseg.pipeline.models import archived_models, export, workspace_models
from autoseg.pipeline.prediction import PredictionOptions, predict
from autoseg.pipeline.predictor import Predictor
from autoseg.pipeline.training import TrainingOptions, train
from autoseg.preprocessing.previous_stage import num_input_channels

QUICK = TrainingOptions(epochs=1, device="cpu")


@pytest.fixture
def staged(workspace, tiny_plan, tiny_configuration):
    """A plan with a coarse first stage and a second one, and two folds."""
    lowres = tiny_configuration.model_copy(update={"name": "3d_lowres", "spacing_mm": (2.0, 2.0, 2.0)})
    second = tiny_configuration.model_copy(update={"name": "3d_cascade_fullres", "previous_stage": "3d_lowres"})
    configurations = {one.name: one for one in (lowres, second)}
    plan = tiny_plan.model_copy(update={"configurations": configurations, "recommended": second.name})
    folder = workspace.dataset_folder("Tiny")
    write_text(folder / "plan.json", plan.model_dump_json())
    names = [case.name for case in workspace.read_dataset("Tiny").cases]
    splits = [{"train": names[2:], "val": names[:2]}, {"train": names[:2], "val": names[2:]}]
    (folder / "splits.json").write_text(json.dumps(splits))
    return workspace


def test_the_second_stage_waits_for_the_cross_validation_of_the_first(staged):
    with pytest.raises(BadInput, match=r"needs what 3d_lowres finds .* 6 are missing .* train Tiny 3d_lowres cv"):
        train(staged, "Tiny", "3d_cascade_fullres", "fold0", QUICK)
    train(staged, "Tiny", "3d_lowres", "fold0", QUICK)
    with pytest.raises(BadInput, match="4 are missing"):
        train(staged, "Tiny", "3d_cascade_fullres", "fold0", QUICK)


def test_a_cascade_is_trained_validated_exported_and_predicts_by_itself(staged, tmp_path):
    train(staged, "Tiny", "3d_lowres", "cv", QUICK)
    summary = train(staged, "Tiny", "3d_cascade_fullres", "fold0", QUICK)["fold0"]
    assert len(summary["cases"]) == 2
    dataset = staged.read_dataset("Tiny")
    case = dataset.cases[0]
    stored = store.open_case(staged.preprocessed_folder("Tiny", "3d_cascade_fullres"), case.name)
    image, labels = stored.read(tuple((0, size) for size in stored.shape))
    held_out = images.read_labels(staged.model_folder("Tiny", "3d_lowres", "fold0") / f"validation/{case.name}.nii.gz")
    assert labels.shape == (2, *image.shape[1:])
    # The spacing is that of the file: working axes (2, 1, 0), left-right flipped.
    np.testing.assert_array_equal(labels[1], held_out[::-1].transpose(2, 1, 0))
    plan = json.loads((staged.model_folder("Tiny", "3d_cascade_fullres", "fold0") / "plan.json").read_text())
    assert set(plan["configurations"]) == {"3d_lowres", "3d_cascade_fullres"}

    options = PredictionOptions(device="cpu")
    models = workspace_models(staged, "Tiny")
    predict(models, list(case.channels), tmp_path / "out", "3d_cascade_fullres", options=options)
    (written,) = images.list_images(tmp_path / "out")
    assert nibabel.load(written).shape == nibabel.load(case.channels[0]).shape

    by_fold = Predictor.load(staged.model_folder("Tiny", "3d_cascade_fullres", "fold0"), device="cpu")
    np.testing.assert_array_equal(by_fold.predict(case.channels).labels, images.read_labels(written))

    members = export(staged, "Tiny", tmp_path / "model.autoseg.zip", "3d_cascade_fullres")
    assert {member.split("/")[0] for member in members if "/" in member} == {"3d_lowres", "3d_cascade_fullres"}
    again = archived_models(tmp_path / "model.autoseg.zip")
    predict(again, list(case.channels), tmp_path / "again", "3d_cascade_fullres", options=options)
    np.testing.assert_array_equal(images.read_labels(tmp_path / "again" / written.name), images.read_labels(written))


def test_the_second_stage_sees_a_channel_for_each_label(staged):
    plan = workspace_plan(staged)
    assert num_input_channels(plan, plan.configurations["3d_lowres"]) == 1
    assert num_input_channels(plan, plan.configurations["3d_cascade_fullres"]) == 3


def workspace_plan(workspace):
    from autoseg.pipeline.preparation import read_or_make_plan

    return read_or_make_plan(workspace, "Tiny")


def test_what_cannot_be_prepared_yet_is_left_out_unless_it_is_asked_for(staged, capsys):
    dataset, configurations = staged.read_dataset("Tiny"), list(workspace_plan(staged).configurations.values())
    assert cascade.available_label_maps(staged, dataset, configurations, required=False) == {"3d_lowres": {}}
    assert "left out: Tiny: 3d_cascade_fullres needs" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(BadInput, match="3d_lowres cv"):
        cascade.available_label_maps(staged, dataset, configurations, required=True)
