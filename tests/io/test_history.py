"""The commands of a workspace."""

import json

import autoseg
from autoseg.io.history import FILE, remember, remembered


def test_commands_come_back_in_their_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    remember(tmp_path, ["plan", "My Cord"])
    remember(tmp_path, ["train", "Cord", "2d", "fold0"])
    first, second = remembered(tmp_path)
    assert (str(first), first.version, first.folder) == ("autoseg plan 'My Cord'", autoseg.__version__, str(tmp_path))
    assert second.arguments == ("train", "Cord", "2d", "fold0")


def test_lines_that_are_no_commands_are_passed_over(tmp_path):
    remember(tmp_path, ["plan", "Cord"])
    with (tmp_path / FILE).open("a") as lines:
        lines.write('half a li\n[]\n{"ended": 1}\n' + json.dumps({"arguments": 3}) + "\n")
    assert [str(one) for one in remembered(tmp_path)] == ["autoseg plan Cord"]


def test_no_workspace_is_made_for_it(tmp_path):
    remember(tmp_path / "none", ["doctor"])
    assert not (tmp_path / "none").exists()
    assert remembered(tmp_path / "none") == []


def test_a_folder_that_is_gone_fails_nothing(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    remember(tmp_path, ["plan", "Cord"])
    assert remembered(tmp_path) == []
