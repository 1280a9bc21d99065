"""What the tables of a small comparison say."""

import csv
import io
import re

from autoseg.evaluation.comparison import compare
from autoseg.reporting.comparison_tables import COLUMNS, csv_text, markdown_text, marks_rule, score_rows

OLD = {f"case{i}": {"front": 0.80 + 0.01 * i, "back|side": 0.70 - 0.01 * (i % 3)} for i in range(8)}
NEW = {f"case{i}": {"front": 0.85 + 0.012 * i, "back|side": 0.70 - 0.01 * (i % 2)} for i in range(9)}
COMPARISON = compare({"old": OLD, "new": NEW})


def cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_markdown_has_a_row_for_each_label_and_scope_with_the_best_in_bold():
    lines = markdown_text(COMPARISON).splitlines()
    start = lines.index("| Label | old | new |")
    table = [cells(line) for line in lines[start + 2 : start + 6]]
    assert [row[0] for row in table] == ["front", "back\\|side", "all cases x labels", "means of cases"]
    assert table[0][1:] == ["0.835 ± 0.024", "**0.892 ± 0.029**\\*\\*\\*"]
    assert all(len(row) == 3 for row in table)


def test_markdown_shows_the_tests_of_overall_scopes():
    lines = markdown_text(COMPARISON).splitlines()
    (tests,) = [place for place, line in enumerate(lines) if line.startswith("| Scope |")]
    rows = [cells(line) for line in lines[tests + 2 : tests + 4]]
    assert [row[:2] for row in rows] == [["all cases x labels", "new"], ["means of cases", "new"]]
    assert rows[1][2].startswith("+0.0")
    assert re.fullmatch(r"\+0\.\d{3} to \+0\.\d{3}", rows[1][3])
    assert rows[1][4] == "< 0.001"
    assert rows[1][-2:] == ["8", "0"]
    assert "left out: new 1." in lines[-1]


def test_csv_has_every_number_of_every_row():
    rows = list(csv.DictReader(io.StringIO(csv_text(COMPARISON))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(COMPARISON.rows) == 8
    for shown, row in zip(rows, COMPARISON.rows, strict=True):
        assert (shown["score"], shown["label"], shown["method"]) == ("dice", row.label, row.method)
        assert float(shown["mean"]) == row.mean
        assert (float(shown["interval_low"]), float(shown["interval_high"])) == row.interval
        if row.against is None:
            assert {shown[column] for column in COLUMNS[COLUMNS.index("difference") :]} == {""}
        else:
            assert float(shown["t_p_holm"]) == row.against.t_p_holm
            assert float(shown["wilcoxon_p"]) == row.against.wilcoxon.p
            assert int(shown["num_dropped"]) == row.against.num_dropped


def test_undefined_means_are_dashes():
    nothing = {"a": {"it": None}, "b": {"it": None}}
    comparison = compare({"one": nothing, "two": {"a": {"it": 0.5}, "b": {"it": None}}})
    rows = list(score_rows(comparison))
    assert rows[0] == ("it", "-", "0.500")
    assert "| - |" in markdown_text(comparison)


def test_the_rule_of_the_marks_names_the_baseline_and_limits():
    rule = marks_rule("old")
    assert rule.startswith("Against old: * p < 0.05, ** p < 0.01, *** p < 0.001 (paired t-test")
