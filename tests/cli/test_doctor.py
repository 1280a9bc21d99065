"""``autoseg doctor``: what it prints, and its exit status when the path is wrong."""

import json

from autoseg.core.geometry import Reorientation
from autoseg.interop.blob_phantom import make_grid
from autoseg.pipeline import self_test


def few_grids():
    return [make_grid(code, self_test.SPACING_MM) for code in ("RAS", "LPI", "PSR")], []


def test_the_machine_is_told_in_a_table_and_in_json(autoseg, capsys):
    assert autoseg("doctor") == 0
    shown = capsys.readouterr().out
    assert "This machine" in shown
    assert "what that means" in shown
    assert autoseg("doctor", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document) == ["machine"]
    assert {"what", "found", "meaning", "fine"} == set(document["machine"][0])


def test_a_right_path_is_status_0(autoseg, capsys, monkeypatch):
    monkeypatch.setattr(self_test, "standard_grids", few_grids)
    assert autoseg("doctor", "--self-test", "--device", "cpu", "--json") == 0
    checks = json.loads(capsys.readouterr().out)["self_test"]
    assert [check["name"] for check in checks[:2]] == ["conversion", "preparation"]
    assert len(checks) == 6
    assert not any(check["problems"] for check in checks)


def test_a_flip_is_told_with_numbers_and_status_1(autoseg, capsys, monkeypatch):
    monkeypatch.setattr(self_test, "standard_grids", few_grids)
    monkeypatch.setattr(Reorientation, "undo", lambda self, voxels: self.apply(voxels))
    assert autoseg("doctor", "--self-test", "--device", "cpu") == 1
    shown = capsys.readouterr().out
    assert "3d_fullres, mirrored: PSR: the blob right lies at (19.35, -21.07, 38.22) mm" in shown
    assert "mm away" in shown
    assert "do not use results of this installation" in shown


def test_data_that_need_nothing_are_status_0(autoseg, capsys, site):
    image = site / "sub-00/anat/sub-00_T1w.nii.gz"
    assert autoseg("doctor", site, image, "--json") == 0
    dataset, alone = json.loads(capsys.readouterr().out)["data"]
    assert (dataset["kind"], dataset["num_cases"], dataset["left_out"]) == ("bids", 3, [])
    assert dataset["repairs"][0]["what"] == "stored as LAS"
    assert (alone["kind"], alone["num_cases"]) == ("image", 1)
    assert autoseg("doctor", site) == 0
    shown = capsys.readouterr().out
    assert "Made good silently" in shown
    assert "The dataset has few subjects (3)" in shown
    assert shown.rstrip().endswith("nothing has to be done")
    assert "This machine" not in shown


def test_data_of_which_something_is_left_out_are_status_2(autoseg, capsys, site):
    (site / "sub-01/anat/sub-01_T1w.nii.gz").write_bytes(b"no image")
    assert autoseg("doctor", site, "--json") == 2
    (found,) = json.loads(capsys.readouterr().out)["data"]
    (left_out,) = found["left_out"]
    assert left_out["file"].endswith("sub-01_T1w.nii.gz")
    assert "restore the file" in left_out["problem"]
    assert autoseg("doctor", site) == 2
    shown = " ".join(capsys.readouterr().out.split())
    assert "Left out (1)" in shown
    assert "1 file would be left out" in shown


def test_a_path_is_examined_alone(autoseg, capsys, site):
    assert autoseg("doctor", site, "--self-test") == 2
    assert "leave out --self-test and --device" in capsys.readouterr().err
    assert autoseg("doctor", "Tuny") == 2
    assert "nor a dataset of the workspace" in capsys.readouterr().err
