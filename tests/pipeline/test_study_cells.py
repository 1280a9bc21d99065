"""A row of the matrix, with a network of random weights."""

import pytest

from autoseg.pipeline.study_cells import Rows, fill_row, fill_rows, scores_of
from autoseg.pipeline.study_datasets import StudyDataset

MODEL = ("Tiny", "3d_fullres", "fold0")


@pytest.fixture
def row(validated, tmp_path):
    """``row(families, cases)``: the evaluations of a row of one test set."""

    def fill(families=("overlap",), cases=slice(2)):
        dataset = validated.read_dataset("Tiny")
        test = StudyDataset("Tiny", dataset, True, (), dataset.cases[cases])
        return fill_row(Rows(validated, [test], families, "cpu"), ("row", MODEL))["Tiny"]

    return fill


def written(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.nii.gz")}


def test_a_cell_is_kept_until_scores_or_cases_change(row, tmp_path):
    first = row()
    before = written(tmp_path / "validated/cells/row/Tiny")
    assert len(before) == len(first["cases"]) == 2
    assert row() == first
    assert written(tmp_path / "validated/cells/row/Tiny") == before
    more = row(("overlap", "surface"))
    assert "hd95_mm" in more["mean"]
    assert "hd95_mm" not in first["mean"]
    now = written(tmp_path / "validated/cells/row/Tiny")
    assert now != before
    assert len(row(("overlap", "surface"), slice(3))["cases"]) == 3


def test_what_is_segmented_of_an_unfinished_cell_is_kept(row, tmp_path):
    row()
    before = written(tmp_path / "validated/cells/row/Tiny")
    (tmp_path / "validated/cells/row/Tiny/evaluation.json").unlink()
    row()
    assert written(tmp_path / "validated/cells/row/Tiny") == before


def test_scores_are_by_case_and_label(row):
    evaluation = row()
    scores = scores_of(evaluation)
    assert list(scores) == [case["case"] for case in evaluation["cases"]]
    assert set(next(iter(scores.values()))) == {"shell", "core"}


def test_workers_fill_rows_alike(validated, workers):
    dataset = validated.read_dataset("Tiny")
    rows = Rows(validated, [StudyDataset("Tiny", dataset, True, (), dataset.cases[:2])], ("overlap",), "cpu")
    models = {"one": MODEL, "other": (*MODEL[:2], "fold1")}
    shared = dict(fill_rows(rows, models, workers))
    assert shared.keys() == models.keys()
    for name, model in models.items():
        assert fill_row(rows, (f"{name}_here", model))["Tiny"]["cases"] == shared[name]["Tiny"]["cases"]
