"""What is said of models: files of ``export``, folders of folds."""

import json
import os

import pytest

from autoseg.core.errors import BadInput
from autoseg.io.model_archive import write_archive
from autoseg.networks import build_planned, model_file
from autoseg.pipeline.info_model import describe_model


@pytest.fixture
def fold(tmp_path, tiny_plan):
    """A fold as ``train`` leaves it."""
    folder = tmp_path / "models/Tiny/3d_fullres/fold0"
    (folder / "validation").mkdir(parents=True)
    (folder / "plan.json").write_text(tiny_plan.model_dump_json())
    network = build_planned(tiny_plan.configurations["3d_fullres"].network, 1, 3)
    (folder / "final.safetensors").write_bytes(model_file.serialise(network.state_dict(), {"epoch": 3, "step": 12}))
    (folder / "split.json").write_text(json.dumps({"train": ["a", "b", "c"], "val": ["d", "e"]}))
    (folder / "progress.jsonl").write_text('{"epoch": 2, "step": 8}\n{"epoch": 3, "step": 12, "elapsed_s": 90}\n')
    evaluation = {"mean": {"dice": 0.75}, "held_out": True}
    (folder / "validation/evaluation.json").write_text(json.dumps(evaluation))
    calibration = {"labels": {"shell": [[0.9, 0.8], [0.8, 0.6]], "core": [[0.9, 0.5]]}}
    (folder / "calibration.json").write_text(json.dumps(calibration))
    os.utime(folder / "final.safetensors", (1_700_000_000, 1_700_000_000))
    return folder


def test_a_fold_tells_its_training(fold, tiny_plan):
    network = build_planned(tiny_plan.configurations["3d_fullres"].network, 1, 3)
    found = describe_model(fold)
    (one,) = found.document["folds"]
    assert one["num_weights"] == sum(parameter.numel() for parameter in network.parameters())
    assert (one["configuration"], one["fold"], one["weights_file"]) == ("3d_fullres", "fold0", "final.safetensors")
    assert (one["epochs"], one["steps"], one["training_minutes"]) == (3, 12, 1.5)
    assert (one["num_training_cases"], one["num_held_out_cases"], one["held_out_dice"]) == (3, 2, 0.75)
    assert one["held_out_dice_where_found"] == pytest.approx((0.7 + 0.5) / 2)
    assert one["written"] == "2023-11-14T22:13:20+00:00"
    assert found.document["channels"] == ["T1w"]
    assert found.document["archive"] is None
    assert found.tables[1].rows[0][4:] == ("3 cases, 1.5 min", "0.750 (2 cases)", "2023-11-14")


def test_folders_above_it_and_the_weights_themselves(fold):
    expected = describe_model(fold).document["folds"]
    for path in (fold.parent, fold.parent.parent, fold / "final.safetensors"):
        assert describe_model(path).document["folds"] == expected


def test_scores_of_training_cases_are_no_held_out_dice(fold):
    (fold / "validation/evaluation.json").write_text(json.dumps({"mean": {"dice": 0.99}, "held_out": False}))
    assert describe_model(fold).document["folds"][0]["held_out_dice"] is None


def test_an_archive_is_checked_and_has_no_dates(fold, tmp_path, tiny_plan):
    names = ("plan.json", "final.safetensors", "calibration.json")
    members = {f"3d_fullres/fold0/{name}": fold / name for name in names}
    file = tmp_path / "Tiny.autoseg.zip"
    write_archive(file, "Tiny", {"plan.json": tiny_plan.model_dump_json(), **members})
    found = describe_model(file).document
    assert found["archive"] == {"version": 1, "num_members": 4, "sha256_agrees": True}
    (one,) = found["folds"]
    assert (one["held_out_dice"], one["written"], one["num_training_cases"]) == (None, None, None)
    assert one["num_weights"] == describe_model(fold).document["folds"][0]["num_weights"]
    content = file.read_bytes()
    file.write_bytes(content.replace(b'"T1w"', b'"T2w"', 1))
    with pytest.raises(BadInput, match="fetch or export the model again"):
        describe_model(file)


def test_weights_without_a_plan_are_one_sentence(fold):
    (fold / "plan.json").unlink()
    with pytest.raises(BadInput, match=r"there is no plan\.json beside the weights"):
        describe_model(fold)


def test_an_evaluation_that_is_none_is_one_sentence(fold):
    (fold / "validation/evaluation.json").write_text("{}")
    with pytest.raises(BadInput, match="is no evaluation"):
        describe_model(fold)
