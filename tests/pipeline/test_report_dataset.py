"""The report of a dataset in which a tiny network was trained."""

from autoseg.io.history import remember
from autoseg.pipeline.report import report
from tests.pipeline.report_files import DATASET, page_data, planned


def test_the_worst_median_and_best_cases_are_shown(two_folds, tmp_path):
    workspace, cases = two_folds
    made = report(workspace, DATASET, configuration="3d_fullres", num_cases=3, output=tmp_path / "r.html")
    text, data = page_data(made.report)
    assert [(one["case"], one["rank"]) for one in data["cases"]] == [
        (cases[1], "worst"),
        (cases[2], "median"),
        (cases[0], "best"),
    ]
    assert (made.num_cases, made.num_bytes, made.problems) == (3, len(text.encode()), ())
    assert made.num_bytes - made.report.stat().st_size == 0
    assert set(data["cases"][0]["volumes"]) == {"T1w", "segmentation", "reference", "errors"}
    assert data["cases"][0]["scores"]["Dice"] == "0.410"
    assert "mean Dice of 0.660" in text
    assert [entry["name"] for entry in data["labels"]] == ["shell", "core"]


def test_all_cases_and_the_figures_as_files(two_folds, tmp_path):
    workspace, cases = two_folds
    target = {"output": tmp_path / "r.html", "figures": tmp_path / "figures"}
    made = report(workspace, DATASET, configuration="3d_fullres", num_cases=None, **target)
    assert made.num_cases == len(cases)
    assert {path.suffix for path in made.figures} == {".svg", ".png"}
    assert {path.stem for path in made.figures} == {
        "scores_by_label",
        "learning_curves",
        "images",
        "label_volumes",
        "montage",
    }
    assert all(path.stat().st_size > 1000 for path in made.figures)


def test_commands_stand_in_the_page(two_folds, tmp_path):
    workspace, _ = two_folds
    remember(workspace.root, ["plan", "Other"])
    remember(workspace.root, ["train", DATASET, "3d_fullres", "fold0"])
    text, _ = page_data(report(workspace, DATASET, configuration="3d_fullres", output=tmp_path / "r.html").report)
    assert "autoseg train Tiny 3d_fullres fold0" in text
    assert "autoseg plan Other" not in text


def test_before_any_training_there_are_data_and_plan(tiny_bids, tmp_path):
    workspace = planned(tmp_path, tiny_bids)
    made = report(workspace, DATASET)
    assert made.report == tmp_path / "reports" / "Tiny.html"
    assert "nothing is trained yet" in made.report.read_text(encoding="utf-8")
    assert made.num_cases == 0
