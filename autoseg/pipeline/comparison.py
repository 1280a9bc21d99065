"""Evaluations of several methods into one comparison: tables, tests and box plots."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from autoseg.core.errors import BadInput
from autoseg.evaluation.comparison import Comparison, Row, compare, document
from autoseg.evaluation.scores import SCORES
from autoseg.evaluation.statistics import significance_mark
from autoseg.io.files import write_json, write_text
from autoseg.reporting.box_plots import BoxGroup, write_box_plots
from autoseg.reporting.comparison_tables import csv_text, markdown_text, marks_rule
from autoseg.runtime.progress import counted, say

BOXES = "Box: quartiles, line: median, diamond: mean, points: cases; whiskers up to 1.5 times the height of the box."


def compare_evaluations(
    evaluations: Mapping[str, Path], output: Path, score: str = "dice", baseline: str | None = None
) -> Comparison:
    """Compare what ``evaluate`` wrote (method -> its ``evaluation.json``, or the folder of it); writes as below.

    BadInput: a file that is no evaluation or lacks the score, and whatever ``evaluation.comparison.compare`` refuses.
    """
    comparison = compare({name: read_scores(path, score) for name, path in evaluations.items()}, score, baseline)
    for name, cases in comparison.left_out.items():
        if cases:
            say(f"note: {counted(len(cases), 'case')} of {name} left out, which another method lacks", style="yellow")
    write_comparison(comparison, output)
    return comparison


def write_comparison(comparison: Comparison, output: Path) -> list[Path]:
    """Write ``comparison.csv``, ``.json`` and ``.md`` and the box plots (SVG and PNG) into ``output``.

    ``SCORE_labels`` has a group of boxes for each label, ``SCORE_overall`` the means of cases.
    """
    tables = [output / f"comparison.{ending}" for ending in ("csv", "json", "md")]
    write_text(tables[0], csv_text(comparison))
    write_json(tables[1], document(comparison))
    write_text(tables[2], markdown_text(comparison))
    caption = f"{marks_rule(comparison.baseline)} {BOXES}"
    title = SCORES[comparison.score].title
    figures: list[Path] = []
    for name, scope in (("labels", "label"), ("overall", "cases")):
        groups = box_groups(row for row in comparison.rows if row.scope == scope)
        path = output / f"{comparison.score}_{name}"
        figures += write_box_plots(groups, comparison.methods, path, title, caption)
    return tables + figures


def box_groups(rows: Iterable[Row]) -> list[BoxGroup]:
    """A group of boxes for each label of the rows, marked with the corrected p of the t-test."""
    by_label: dict[str, list[Row]] = {}
    for row in rows:
        by_label.setdefault(row.label, []).append(row)
    return [
        BoxGroup(
            title=label,
            values={row.method: row.values for row in members},
            marks={row.method: significance_mark(row.against.t_p_holm) for row in members if row.against},
        )
        for label, members in by_label.items()
    ]


def read_scores(path: Path, score: str) -> dict[str, dict[str, float | None]]:
    """Case -> label -> score, from ``evaluation.json`` or the folder that holds it."""
    file = path / "evaluation.json" if path.is_dir() else path
    if not file.is_file():
        raise BadInput(f"{file}: there is no such file; `autoseg evaluate` writes it.")
    try:
        cases = json.loads(file.read_text(encoding="utf-8"))["cases"]
        scores = {case["case"]: {name: dict(label) for name, label in case["labels"].items()} for case in cases}
        known = {name for labels in scores.values() for label in labels.values() for name in label} & set(SCORES)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInput(f"{file}: is no evaluation; give the evaluation.json of `autoseg evaluate`.") from None
    if score not in known:
        there = ", ".join(name for name in SCORES if name in known)
        raise BadInput(f"{file}: has no score {score!r} (there is: {there}); evaluate again with --metrics.")
    return {case: {name: label.get(score) for name, label in labels.items()} for case, labels in scores.items()}
