"""The verbs experiment and study."""

import json

import pytest

from tests.cli.commands import write_site
from tests.pipeline.study_files import write_sites, write_study

NETWORK = {"name": "voxresnet", "dimensions": 3, "size_multiple": [8, 8, 8], "params": {"channels": 4}}
RECIPE = {
    "title": "Two losses",
    "source": "of a test",
    "split": {"folds": 2, "validation_share": 0.34},
    "recommended": "cross_entropy",
    "configurations": {
        "cross_entropy": {
            "network": NETWORK,
            "patch_size": "largest",
            "whole_case": True,
            "sampling": "cases",
            "batch_size": 1,
            "augmentation": {"mirror_axes": [], "operations": []},
            "training": {"optimizer": "radam", "initial_learning_rate": 0.01, "loss": "cross_entropy"},
        },
        "dice": {"inherits_from": "cross_entropy", "training": {"loss": "dice_with_background"}},
    },
    "comparisons": {
        "loss": {"title": "Losses", "configurations": ["cross_entropy", "dice"], "baseline": "cross_entropy"},
        "overlap": {"title": "Overlap first", "configurations": ["dice", "cross_entropy"], "baseline": "dice"},
    },
}


def test_an_experiment_is_one_command_and_continues(autoseg, tmp_path, capsys):
    recipe = tmp_path / "losses.json"
    recipe.write_text(json.dumps(RECIPE))
    assert autoseg("convert-bids", write_site(tmp_path / "tiny", 6), "--dataset", "Tiny") == 0
    command = ("experiment", "Tiny", "loss", "--recipe", recipe, "--epochs", "1", "--device", "cpu")
    assert autoseg(*command) == 0
    folder = tmp_path / "workspace/experiments/Tiny/loss"
    assert "| cross_entropy |" in (folder / "experiment.md").read_text(encoding="utf-8")
    weights = tmp_path / "workspace/models/Tiny/dice/fold1/best.safetensors"
    written = weights.stat().st_mtime_ns
    capsys.readouterr()
    assert autoseg(*command, "--json") == 0
    (document,) = json.loads(capsys.readouterr().out)["experiments"]
    assert weights.stat().st_mtime_ns == written
    assert document["scores"]["dice"]["num_cases"] == 6
    assert [one["configuration"] for one in document["took"]] == ["cross_entropy", "dice"]
    assert autoseg("experiment", "Tiny", *command[3:]) == 0  # without a name: all of them, nothing trained twice
    assert weights.stat().st_mtime_ns == written
    assert "| dice |" in (folder.parent / "overlap/experiment.md").read_text(encoding="utf-8")
    printed = capsys.readouterr().out
    assert printed.index("Losses") < printed.index("Overlap first")


def test_a_recipe_that_has_changed_is_followed_as_it_is_now(autoseg, site, tmp_path, capsys):
    recipe = tmp_path / "losses.json"
    recipe.write_text(json.dumps(RECIPE))
    assert autoseg("convert-bids", site, "--dataset", "Tiny") == 0
    assert autoseg("plan", "Tiny", "--recipe", recipe) == 0
    plan = tmp_path / "workspace/datasets/Tiny/plan.json"
    written = plan.stat().st_mtime_ns
    unknown = ("experiment", "Tiny", "depth", "--recipe", recipe)
    assert autoseg(*unknown) == 2
    assert plan.stat().st_mtime_ns == written
    capsys.readouterr()
    comparison = {"title": "Overlap", "configurations": ["dice", "cross_entropy"], "baseline": "dice"}
    recipe.write_text(json.dumps(RECIPE | {"comparisons": {"depths": comparison}}))
    assert autoseg(*unknown) == 2
    assert "depths" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("Cord", "loss", "--recipe", "voxhrnet"), "no dataset of this name"),
        (("Tiny", "loss", "--recipe", "vox"), "choose one of bouchard_general"),
        (("Tiny", "loss"), "has no comparisons; plan it by a recipe that has, with --recipe"),
    ],
)
def test_what_is_not_there_is_named(autoseg, site, capsys, arguments, sentence):
    assert autoseg("convert-bids", site, "--dataset", "Tiny") == 0
    assert autoseg("experiment", *arguments) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_a_study_is_one_command(autoseg, tmp_path, capsys):
    write_sites(tmp_path, a=3, b=3, c=2)
    study = write_study(tmp_path, datasets=["a", "b", "c"], unseen=[], metrics=["dice"])
    assert autoseg("study", study, "--leave-one-out", "--device", "cpu", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["model"] for one in document["models"]] == [
        *("only_a", "only_b", "only_c", "general"),
        *("without_a", "without_b", "without_c"),
    ]
    assert len([cell for cell in document["cells"] if cell["label"] == "mean"]) == 3 * 7
    assert sum(sentence.startswith("Trained without") for sentence in document["conclusion"]) == 3
    assert autoseg("study", study, "--device", "cpu") == 0  # the models that are left out are left alone
    printed = capsys.readouterr().out
    assert "details: " in printed
    assert "only_a" in printed
    assert "without_a" not in printed


def test_a_study_that_is_none_is_refused(autoseg, tmp_path, capsys):
    study = write_study(tmp_path, time_budget="soon", epochs=None)
    assert autoseg("study", study) == 2
    assert "--time-budget soon: is no duration" in capsys.readouterr().err
    assert autoseg("study", write_study(tmp_path)) == 2
    assert "a: is neither a dataset of the workspace nor the folder" in " ".join(capsys.readouterr().err.split())
