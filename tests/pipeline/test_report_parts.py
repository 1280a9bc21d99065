"""Tables and ranks of a report."""

import numpy as np

from autoseg.evaluation.statistics import bootstrap_mean
from autoseg.io.history import Command
from autoseg.pipeline.report_parts import all_cases, command_lines, ranked, reproduction, score_rows

DICE = [0.9, 0.4, 0.6, 0.7]
ROWS = [
    {"case": f"c{place}", "domain": "ab"[place % 2], "labels": {"x": {"dice": dice}, "y": {"dice": None}}}
    for place, dice in enumerate(DICE)
]


def test_ranks_are_shared_out():
    rows = [{"case": str(place), "domain": "", "labels": {"a": {"dice": place / 10}}} for place in range(9)]
    assert ranked(rows, 3) == {"0": "worst", "4": "median", "8": "best"}
    assert list(ranked(rows, 4)) == ["0", "1", "4", "8"]
    assert list(ranked(rows, None)) == [str(place) for place in range(9)]


def test_a_table_has_means_with_the_interval_of_subjects():
    subjects = {"c0": "s", "c1": "s", "c2": "t", "c3": "u"}
    table = score_rows(ROWS, subjects)
    interval = bootstrap_mean(DICE, [0, 0, 1, 2])
    assert table.header == ("", "Dice", "cases")
    assert table.rows[0] == ("x", f"{np.mean(DICE):.3f} ({interval.low:.3f} to {interval.high:.3f})", "4")
    assert table.rows[1] == ("y", "-", "4")
    assert [row[0] for row in table.rows[2:]] == ["mean of labels", "mean in a", "mean in b"]
    assert table.rows[3][1].startswith("0.750 ")


def test_every_case_is_listed_the_worst_first():
    table = all_cases([*ROWS, {"case": "c4", "domain": "a", "labels": {"x": {"dice": None}}}], {"c1": "fold3"})
    assert [row[0] for row in table.rows] == ["c1", "c2", "c3", "c0", "c4"]
    assert table.rows[0] == ("c1", "b", "fold3", "0.400")
    assert table.folded


def test_commands_are_told_with_their_place():
    command = Command("2026-11-21 20:00:00", "0.1.0", "/home/me", ("plan", "a b"))
    assert command_lines(command) == ["# 2026-11-21 20:00:00 UTC, autoseg 0.1.0, in /home/me", "autoseg plan 'a b'"]
    assert "torch" in reproduction([command]).parts[0].text
