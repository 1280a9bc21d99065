"""run and demo as commands."""

import json

import pytest


def test_run_goes_from_bids_to_scores_and_again_without_work(autoseg, capsys, tiny_bids):
    command = ("run", tiny_bids, "--dataset", "Tiny", "--time-budget", "4s", "--device", "cpu", "--json")
    assert autoseg(*command) == 0
    first = capsys.readouterr()
    result = json.loads(first.out)
    assert result["dataset"] == "Tiny"
    assert result["folds"]["fold0"]["validation"]["mean"]["num_cases"] >= 1
    assert autoseg(*command) == 0
    again = capsys.readouterr()
    assert json.loads(again.out) == result
    assert "is converted already" in again.err
    assert "is trained already" in again.err


def test_run_does_not_take_a_dataset_for_another(autoseg, capsys, tiny_bids, tmp_path):
    assert autoseg("convert-bids", tiny_bids, "--dataset", "Tiny") == 0
    assert autoseg("run", tmp_path, "--dataset", "Tiny") == 2
    assert "was converted from" in capsys.readouterr().err


@pytest.mark.slow
def test_demo_learns_the_spinal_cord(autoseg, capsys):
    assert autoseg("demo", "--time-budget", "90s", "--json") == 0
    (fold,) = json.loads(capsys.readouterr().out)["folds"].values()
    assert fold["validation"]["mean"]["dice"] > 0.5
