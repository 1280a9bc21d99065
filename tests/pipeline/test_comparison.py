"""From evaluations in files, and in memory, to tables and figures."""

import json

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.evaluation.comparison import compare, score_table
from autoseg.evaluation.evaluate import CaseResult, Scores, summarize
from autoseg.evaluation.metrics import case_metrics
from autoseg.io.files import write_json
from autoseg.pipeline.comparison import box_groups, compare_evaluations, read_scores, write_comparison

WRITTEN = {
    "comparison.csv",
    "comparison.json",
    "comparison.md",
    *(f"dice_{what}.{ending}" for what in ("labels", "overall") for ending in ("svg", "png")),
}


def results(error, cases=("a", "b", "c", "d")):
    """Two labels, the first of which lacks ``error`` of ten voxels, more from case to case."""
    labels = Labels(values={"background": 0, "front": 1, "back": 2})
    reference = np.repeat([1, 2], 10).reshape(-1, 1, 1)
    for number, case in enumerate(cases):
        prediction = reference.copy()
        prediction[: error + number] = 0
        yield CaseResult(case, "site", case_metrics(prediction, reference, (1, 1, 1), labels, ["overlap"]))


@pytest.fixture
def evaluations(tmp_path):
    paths = {}
    for name, error, cases in (("good", 1, "abcd"), ("bad", 4, "abcde")):
        paths[name] = tmp_path / name
        paths[name].mkdir()
        write_json(paths[name] / "evaluation.json", summarize(Scores(results(error, cases))))
    return paths


def test_files_are_read_compared_and_written(evaluations, tmp_path, capsys):
    output = tmp_path / "comparison"
    comparison = compare_evaluations(evaluations, output)
    assert {path.name for path in output.iterdir()} == WRITTEN
    assert json.loads((output / "comparison.json").read_text(encoding="utf-8"))["left_out"] == {
        "good": [],
        "bad": ["e"],
    }
    assert "1 case of bad left out" in capsys.readouterr().err
    front = [row for row in comparison.rows if row.label == "front"]
    expected = [np.mean([2 * (10 - e) / (20 - e) for e in range(first, first + 4)]) for first in (1, 4)]
    assert [row.mean for row in front] == pytest.approx(expected)
    assert "| front | **0.8" in (output / "comparison.md").read_text(encoding="utf-8")


def test_results_in_memory_give_the_same(evaluations, tmp_path):
    tables = {name: score_table(results(error), "iou") for name, error in (("good", 1), ("bad", 4))}
    comparison = compare(tables, "iou", baseline="bad")
    from_files = compare_evaluations(evaluations, tmp_path / "files", "iou", "bad")
    assert comparison.rows == from_files.rows
    written = write_comparison(comparison, tmp_path / "memory")
    assert {path.name for path in written} == {name.replace("dice", "iou") for name in WRITTEN}
    csv = (tmp_path / "memory/comparison.csv").read_text(encoding="utf-8")
    assert csv == (tmp_path / "files/comparison.csv").read_text(encoding="utf-8")
    assert csv.splitlines()[1].startswith("iou,label,front,good,0.")


def test_boxes_are_marked_by_the_corrected_t_test():
    tables = {name: score_table(results(error), "dice") for name, error in (("good", 1), ("bad", 4))}
    groups = box_groups(row for row in compare(tables).rows if row.scope == "label")
    assert [group.title for group in groups] == ["front", "back"]
    assert groups[0].marks == {"bad": "**"}
    assert groups[1].marks == {"bad": ""}
    assert groups[1].values == {"good": (1.0,) * 4, "bad": (1.0,) * 4}


def test_a_file_that_is_no_evaluation_is_refused(evaluations, tmp_path):
    with pytest.raises(BadInput, match="there is no such file"):
        read_scores(tmp_path / "absent", "dice")
    with pytest.raises(BadInput, match="has no score 'hd95_mm' \\(there is: dice, iou"):
        read_scores(evaluations["good"], "hd95_mm")
    for content in (
        "{",
        "[]",
        '{"cases": 3}',
        '{"cases": [{"case": "a"}]}',
        '{"cases": [{"case": "a", "labels": [1]}]}',
    ):
        (tmp_path / "other.json").write_text(content)
        with pytest.raises(BadInput, match=r"other.json: is no evaluation"):
            read_scores(tmp_path / "other.json", "dice")
