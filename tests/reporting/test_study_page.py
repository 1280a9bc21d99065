"""The page, the table and the figures of a study of two models."""

import csv
import io
import math

import pytest

from autoseg.evaluation.study import StudyModel, TestSet, make_matrix
from autoseg.reporting.study_page import (
    COLUMNS,
    Facts,
    StudyResults,
    box_groups,
    matrix_csv,
    matrix_rows,
    page,
    test_titles,
    write_study,
)

test_titles.__test__ = False  # no test of pytest
MODELS = [StudyModel("only_a", "specific", ("a",)), StudyModel("general", "general", ("a",))]
TESTS = [TestSet("a", False, {"a0": "0", "a1": "1", "a2": "2"}), TestSet("c", True, {"c0": "0", "c1": "1", "c2": "2"})]


def scored(dice, distances):
    return lambda name: {
        f"{name}{place}": {"cord": {"dice": one, "hd95_mm": other}}
        for place, (one, other) in enumerate(zip(dice, distances, strict=True))
    }


ONLY, GENERAL = scored((0.8, 0.7, 0.9), (2.0, 3.0, 4.0)), scored((0.9, 0.8, 0.95), (1.0, None, 5.0))
FOUND = {("only_a", "a"): ONLY("a"), ("only_a", "c"): ONLY("c")}
FOUND |= {("general", "a"): GENERAL("a"), ("general", "c"): GENERAL("c")}
MATRIX = make_matrix(MODELS, TESTS, FOUND, ("dice", "hd95_mm"))


@pytest.fixture
def results(tmp_path):
    facts = [Facts(model.name, model.trained_on, 9, "3d_fullres", 1000, 300.0, 6.0) for model in MODELS]
    return StudyResults("Sites", tmp_path, MATRIX, facts, ["c9: is damaged; restore it."])


def test_the_table_tells_seen_from_unseen_and_counts_what_is_defined():
    rows = list(matrix_rows(MATRIX, "dice", "_"))
    assert rows[0][:2] == ("only_a", "(0.800 ± 0.100, 0.700 to 0.900)")
    assert rows[1][2] == "_0.883_ ± 0.076, 0.800 to 0.950".replace("_0.883_ ± 0.076", "_0.883 ± 0.076_")
    assert test_titles(MATRIX) == ["a (3)", "c, unseen (3)"]
    distances = list(matrix_rows(MATRIX, "hd95_mm"))
    assert distances[1][2].endswith(" [2]")
    assert not distances[0][2].endswith("]")


def test_the_table_for_further_work_has_every_number():
    rows = list(csv.DictReader(io.StringIO(matrix_csv(MATRIX))))
    assert len(rows) == 2 * 2 * 2 * 2  # scores, labels and their mean, tests, models
    assert tuple(rows[0]) == COLUMNS
    (one,) = [
        row
        for row in rows
        if (row["score"], row["label"], row["model"], row["test"]) == ("dice", "mean", "only_a", "c")
    ]
    assert (one["seen"], one["num_cases"], one["num_pairs"]) == ("0", "3", "3")
    assert float(one["mean"]) == pytest.approx(0.8)
    assert float(one["difference"]) == pytest.approx(-0.25 / 3)
    assert float(one["t"]) == pytest.approx(
        (-0.25 / 3) / (math.sqrt(2 * (1 / 60) ** 2 + (1 / 30) ** 2) / math.sqrt(2) / math.sqrt(3))
    )
    (general,) = [
        row
        for row in rows
        if (row["score"], row["label"], row["model"], row["test"]) == ("dice", "mean", "general", "c")
    ]
    assert general["t"] == general["difference"] == ""


def test_the_page_says_everything(results):
    text = page(results)
    for heading in (
        "Conclusion",
        "Models",
        "Dice",
        "HD95 (mm)",
        "Worst cases",
        "Against the general model",
        "Left out",
    ):
        assert f"## {heading}\n" in text
    assert "| a1 | a | 0.700 | 0.800 |" in text
    assert "| only_a | a | 9 | 3d_fullres | 1,000 | 300 | 6.0 |" in text
    assert "Test cases, which train no model: 3 of a, all 3 of c." in text
    assert "- c9: is damaged; restore it." in text
    assert "| Dice | c | only_a | -0.083 |" in text


def test_everything_is_written(results):
    written = write_study(results)
    names = sorted(path.relative_to(results.folder).as_posix() for path in written)
    figures = [f"figures/{score}.{ending}" for score in ("dice", "hd95_mm") for ending in ("png", "svg")]
    assert names == [*figures, "matrix.csv", "study.md"]
    assert all(path.is_file() for path in written)


def test_there_is_a_group_of_boxes_for_each_test_set():
    groups = box_groups(MATRIX, "hd95_mm")
    assert [group.title for group in groups] == ["a (3)", "c, unseen (3)"]
    assert groups[0].values == {"only_a": (2.0, 3.0, 4.0), "general": (1.0, 5.0)}
    assert set(groups[0].marks) == {"only_a"}


def test_what_a_killed_process_left_is_removed(results, tmp_path):
    (tmp_path / "figures").mkdir()
    left = [tmp_path / ".7.partial.study.md", tmp_path / "figures" / ".7.partial.dice.svg"]
    for file in left:
        file.touch()
    write_study(results)
    assert not any(file.exists() for file in left)
