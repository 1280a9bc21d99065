"""What predicts, from the workspace or from a file."""

import json
import zipfile

import pytest

from autoseg.core.errors import BadInput
from autoseg.core.selection import Postprocessing, Selection
from autoseg.io import images
from autoseg.pipeline.models import archived_models, choose, export, named_models, workspace_models
from autoseg.pipeline.prediction import PredictionOptions, predict

CPU = PredictionOptions(device="cpu", mirror=False)
KEEP = Postprocessing(keep_largest=((1, 2), (2,)))


def chosen_by_hand(workspace, configurations, folds=("fold0", "fold1")):
    selection = Selection(
        dataset="Tiny",
        configurations=configurations,
        folds=folds,
        postprocessing=KEEP,
        mean_dice=None,
        reason="",
        candidates=(),
        steps=(),
    )
    workspace.selection_file("Tiny").write_text(selection.model_dump_json())


def test_without_a_selection_the_recommended_configuration_predicts(validated):
    choice = choose(workspace_models(validated, "Tiny"), None)
    assert (choice.configurations, choice.folds) == (("3d_fullres",), ("fold0", "fold1"))
    assert choice.postprocessing == Postprocessing()


def test_a_selection_is_followed_unless_a_configuration_is_asked_for(validated):
    chosen_by_hand(validated, ("2d", "3d_fullres"))
    models = workspace_models(validated, "Tiny")
    choice = choose(models, None)
    assert (choice.configurations, choice.postprocessing) == (("2d", "3d_fullres"), KEEP)
    assert choose(models, None, ["fold1"]).folds == ("fold1",)
    alone = choose(models, "2d")
    assert (alone.configurations, alone.postprocessing) == (("2d",), Postprocessing())
    chosen_by_hand(validated, ("2d",))
    assert choose(workspace_models(validated, "Tiny"), "2d").postprocessing == KEEP
    assert choose(workspace_models(validated, "Tiny"), "3d_fullres").postprocessing == Postprocessing()


def test_what_is_selected_but_gone_is_named(validated):
    chosen_by_hand(validated, ("2d", "3d_fullres"), ("fold0", "fold7"))
    with pytest.raises(BadInput, match="Tiny 2d: fold7 is not trained"):
        choose(workspace_models(validated, "Tiny"), None)


@pytest.mark.parametrize("selected", [("2d", "3d_fullres"), ("2d",), None])
def test_a_file_predicts_what_the_workspace_does(validated, tiny_bids, tmp_path, selected):
    if selected:
        chosen_by_hand(validated, selected)
    file = tmp_path / "Tiny.autoseg.zip"
    members = export(validated, "Tiny", file)
    assert ("selection.json" in members) == bool(selected)
    assert ("3d_fullres/fold1/final.safetensors" in members) == (selected != ("2d",))
    assert sorted(zipfile.ZipFile(file).namelist()) == sorted([*members, "manifest.json"])
    predict(workspace_models(validated, "Tiny"), [tiny_bids], tmp_path / "here", options=CPU)
    predict(archived_models(file), [tiny_bids], tmp_path / "there", options=CPU)
    written = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert len(written) == 8
    for name in written:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
    assert images.read_labels(tmp_path / "here" / written[-1]).any()


def test_one_configuration_can_be_exported(validated, tmp_path):
    chosen_by_hand(validated, ("2d", "3d_fullres"))
    members = export(validated, "Tiny", tmp_path / "a.autoseg.zip", "2d")
    assert {name.split("/")[0] for name in members} == {"plan.json", "2d"}
    models = archived_models(tmp_path / "a.autoseg.zip")
    assert choose(models, None).configurations == ("2d",)
    with pytest.raises(BadInput, match="3d_fullres is not trained"):
        choose(models, "3d_fullres")


def test_the_previous_stage_of_a_cascade_is_exported_with_it(validated, tmp_path):
    path = validated.dataset_folder("Tiny") / "plan.json"
    plan = json.loads(path.read_text())
    plan["configurations"]["3d_fullres"]["previous_stage"] = "2d"
    path.write_text(json.dumps(plan))
    members = export(validated, "Tiny", tmp_path / "a.autoseg.zip", "3d_fullres")
    assert {name.rpartition("/")[0] for name in members if "/" in name} == {
        f"{name}/{fold}" for name in ("2d", "3d_fullres") for fold in ("fold0", "fold1")
    }


def test_an_export_needs_something_trained_and_a_name_that_tells(workspace, validated, tmp_path):
    with pytest.raises(BadInput, match="nothing is trained yet"):
        export(workspace, "Tiny", tmp_path / "a.autoseg.zip")
    with pytest.raises(BadInput, match=r"give a name that ends with \.autoseg\.zip, such as Tiny\.autoseg\.zip"):
        export(validated, "Tiny", tmp_path / "a.zip")


def test_weights_that_do_not_fit_are_a_sentence(validated, tiny_bids, tmp_path):
    folder = validated.model_folder("Tiny", "2d", "fold0")
    plan = json.loads((folder / "plan.json").read_text())
    plan["configurations"]["2d"]["network"]["features_per_stage"] = [4, 9]
    (folder / "plan.json").write_text(json.dumps(plan))
    export(validated, "Tiny", tmp_path / "a.autoseg.zip", "2d")
    with pytest.raises(BadInput, match=r"2d/fold0/final\.safetensors: the weights do not fit"):
        predict(archived_models(tmp_path / "a.autoseg.zip"), [tiny_bids], tmp_path / "out", options=CPU)
    (folder / "final.safetensors").write_bytes(b"no weights")
    export(validated, "Tiny", tmp_path / "a.autoseg.zip", "2d")
    with pytest.raises(BadInput, match=r"2d/fold0/final\.safetensors: is damaged"):
        predict(archived_models(tmp_path / "a.autoseg.zip"), [tiny_bids], tmp_path / "out", options=CPU)


def test_a_model_is_named_as_a_file_a_fold_or_a_dataset(validated, tmp_path, monkeypatch):
    export(validated, "Tiny", tmp_path / "Tiny.autoseg.zip", "2d")
    assert set(named_models(tmp_path / "Tiny.autoseg.zip", validated).folds) == {"2d"}
    assert set(named_models("Tiny", validated).folds) == {"2d", "3d_fullres"}
    folder = validated.model_folder("Tiny", "2d", "fold1")
    one = named_models(folder, validated)
    assert (one.dataset, one.recommended, one.folds) == ("Tiny", "2d", {"2d": {"fold1": folder}})
    (tmp_path / "Tiny").mkdir()
    monkeypatch.chdir(tmp_path)  # a folder of the same name does not hide the dataset
    assert set(named_models("Tiny", validated).folds) == {"2d", "3d_fullres"}
    with pytest.raises(BadInput, match="is no trained model"):
        named_models(folder.parent, validated)
