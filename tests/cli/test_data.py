"""convert-bids, plan and preprocess as commands."""

import json

import pytest

from autoseg.planning.planners import PLANNERS


def test_convert_plan_preprocess(autoseg, capsys, tiny_bids, tmp_path):
    assert autoseg("convert-bids", tiny_bids, "--dataset", "Tiny", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["num_cases"], report["domains"]) == (6, {"tiny": 6})
    assert report["labels"] == {"background": 0, "shell": 1, "core": 2}
    assert autoseg("plan", "Tiny", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["recommended"] in plan["configurations"]
    assert autoseg("preprocess", "Tiny", "2d", "--json") == 0
    folder = json.loads(capsys.readouterr().out)["folders"]["2d"]
    assert folder == str(tmp_path / "workspace/preprocessed/Tiny/2d")


def test_tables_for_people(autoseg, capsys, tiny_bids):
    assert autoseg("convert-bids", tiny_bids, "--dataset", "Tiny") == 0
    shown = capsys.readouterr()
    assert "tiny" in shown.out
    assert "6 cases with the labels 0 background, 1 shell, 2 core" in shown.err
    assert autoseg("plan", "Tiny") == 0
    shown = capsys.readouterr()
    assert "target spacing" in shown.out
    assert "(recommended)" in shown.out


def test_every_planner_is_listed_and_taken(autoseg, capsys, tiny_bids):
    assert autoseg("convert-bids", tiny_bids, "--dataset", "Tiny") == 0
    capsys.readouterr()
    assert autoseg("plan", "--help") == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name, planner in PLANNERS.items():
        assert name in shown
        assert f"{planner.memory_gb:g}GB" in shown
        assert autoseg("plan", "Tiny", "--planner", name, "--memory", "4GB", "--json") == 0
        plan = json.loads(capsys.readouterr().out)
        assert plan["planner"] == name
        assert plan["configurations"]["2d"]["network"]["name"] == planner.architecture.network


def test_a_dry_run_writes_nothing(autoseg, capsys, tiny_bids, tmp_path):
    assert autoseg("convert-bids", tiny_bids, "--dataset", "Tiny", "--dry-run") == 0
    assert "nothing is written" in capsys.readouterr().err
    assert not (tmp_path / "workspace").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("plan", "Tiny"), "there is no dataset of this name"),
        (("plan", "Tiny", "--memory", "much"), "is no amount of memory"),
        (("convert-bids", "/absent", "--dataset", "Tiny"), "there is no such folder"),
        (("convert-bids", "/tmp", "--dataset", "a/b"), "use letters, digits"),
    ],
)
def test_bad_input_is_status_2_and_one_sentence(autoseg, capsys, arguments, sentence):
    assert autoseg(*arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
