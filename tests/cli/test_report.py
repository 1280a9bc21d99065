"""The verb report, and the loop of marks: look, mark, convert again."""

import json

from autoseg.interop.review_marks import COLUMNS


def test_a_planned_dataset_has_a_report(autoseg, site, tmp_path, capsys):
    assert autoseg("convert-bids", site, "--dataset", "Tiny") == 0
    assert autoseg("plan", "Tiny") == 0
    capsys.readouterr()
    assert autoseg("report", "Tiny", "--figures", tmp_path / "figures", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    page = tmp_path / "workspace/reports/Tiny.html"
    assert (told["report"], told["num_cases"], told["bytes"]) == (str(page), 0, page.stat().st_size)
    assert sorted(told["figures"]) == sorted(str(path) for path in (tmp_path / "figures").iterdir())
    text = page.read_text(encoding="utf-8")
    assert f"autoseg --workspace {tmp_path / 'workspace'} convert-bids" in text
    assert "autoseg plan" not in text.split("Reproduce")[0]
    assert autoseg("report", "Tiny") == 0
    assert f"{page} (" in capsys.readouterr().out


def test_what_failed_is_left_out_of_the_next_conversion(autoseg, site, tmp_path, capsys):
    assert autoseg("convert-bids", site, "--dataset", "Tiny", "--json") == 0
    assert json.loads(capsys.readouterr().out)["num_cases"] == 3
    marks = tmp_path / "marks.csv"
    marks.write_text(",".join(COLUMNS) + "\ntiny_sub-01_T1w,tiny,,,fail,moved\n", encoding="utf-8")
    assert autoseg("convert-bids", site, "--dataset", "Tiny", "--overwrite", "--exclude", marks) == 0
    assert "left out, marked fail" in capsys.readouterr().err
    assert len(list((tmp_path / "workspace/datasets/Tiny/labelsTr").iterdir())) == 2


def test_a_wrong_number_of_cases_is_refused(autoseg, capsys):
    assert autoseg("report", "Tiny", "--cases", "few") == 2
    assert "--cases few: give a number from 1, or all." in capsys.readouterr().err
