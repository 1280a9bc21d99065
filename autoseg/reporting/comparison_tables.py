"""A comparison of methods as a table for a paper (Markdown) and as one for further work (CSV)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from autoseg.evaluation.comparison import OVERALL, RULES, Against, Comparison, Row
from autoseg.evaluation.scores import SCORES
from autoseg.evaluation.statistics import SIGNIFICANCE, Interval, significance_mark

BOLD = "\x00"  # stands for Markdown's bold until the marks of significance, stars too, are escaped
AGAINST_COLUMNS = (
    "difference",
    "difference_low",
    "difference_high",
    "t",
    "t_p",
    "t_p_holm",
    "wilcoxon",
    "wilcoxon_p",
    "wilcoxon_p_holm",
    "num_pairs",
    "num_dropped",
)
COLUMNS = (
    "score",
    "scope",
    "label",
    "method",
    "mean",
    "sd",
    "interval_low",
    "interval_high",
    "num_values",
    *AGAINST_COLUMNS,
)
AGAINST_HEADER = ("Difference", "95 % interval", "t-test p", "Holm", "Wilcoxon p", "Holm", "Pairs", "Dropped")
TEST_HEADER = ("Scope", "Method", *AGAINST_HEADER)
BETTER = {"highest": "higher is better", "lowest": "lower is better", "zero": "closer to zero is better"}


def csv_text(comparison: Comparison) -> str:
    """One row for each scope, label and method under ``COLUMNS``; what does not exist is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in comparison.rows:
        own = (row.mean, row.sd, *(row.interval or (None, None)), len(row.values))
        cells = (comparison.score, row.scope, row.label, row.method, *own, *against_numbers(row.against))
        writer.writerow(cells)
    return text.getvalue()


def against_numbers(against: Against | None) -> tuple[float | None, ...]:
    """Under ``AGAINST_COLUMNS``; nothing known of the baseline itself."""
    if against is None:
        return (None,) * len(AGAINST_COLUMNS)
    return (
        against.difference,
        *(against.interval or (None, None)),
        *(against.t.statistic, against.t.p, against.t_p_holm),
        *(against.wilcoxon.statistic, against.wilcoxon.p, against.wilcoxon_p_holm),
        *(against.num_pairs, against.num_dropped),
    )


def markdown_text(comparison: Comparison) -> str:
    """Mean ± sd of every label and method, the best in bold, then the tests of both overall scopes."""
    score, baseline = SCORES[comparison.score], comparison.baseline
    left_out = [f"{name} {len(cases)}" for name, cases in comparison.left_out.items() if cases]
    paragraphs = [
        f"# {score.title} of {len(comparison.methods)} methods on {len(comparison.cases)} cases",
        f"Mean ± standard deviation ({BETTER[score.best]}); the best mean of a row is bold. {marks_rule(baseline)}",
        markdown_table(("Label", *comparison.methods), score_rows(comparison, BOLD)),
        f"## Against {baseline}",
        markdown_table(TEST_HEADER, _test_rows(comparison)),
        f"{RULES} The tests of every label are in comparison.csv.",
    ]
    if left_out:
        paragraphs.append(f"Cases that not all methods have were left out: {', '.join(left_out)}.")
    return "\n\n".join(paragraphs).replace("*", "\\*").replace(BOLD, "**") + "\n"


def marks_rule(baseline: str) -> str:
    """What the significance marks mean, in one sentence."""
    limits = ", ".join(f"{mark} p < {limit:g}" for limit, mark in reversed(SIGNIFICANCE))
    return f"Against {baseline}: {limits} (paired t-test, two-tailed, Holm-corrected)."


def score_rows(comparison: Comparison, bold: str = "") -> Iterator[tuple[str, ...]]:
    """A row for each label and overall scope: its title, then mean ± sd and mark of each method.

    ``bold`` is put around the best.
    """
    digits = SCORES[comparison.score].digits
    for start in range(0, len(comparison.rows), len(comparison.methods)):
        rows = comparison.rows[start : start + len(comparison.methods)]
        yield rows[0].label, *(_score_cell(row, digits, bold) for row in rows)


def _score_cell(row: Row, digits: int, bold: str) -> str:
    if row.mean is None:
        return "-"
    text = f"{row.mean:.{digits}f}" + ("" if row.sd is None else f" ± {row.sd:.{digits}f}")
    mark = significance_mark(row.against.t_p_holm) if row.against else ""
    return (f"{bold}{text}{bold}" if row.best else text) + mark


def _test_rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    digits = SCORES[comparison.score].digits
    for row in comparison.rows:
        if row.scope not in OVERALL or row.against is None:
            continue
        yield row.label, row.method, *against_texts(row.against, digits)


def against_texts(against: Against, digits: int) -> tuple[str, ...]:
    """Under ``AGAINST_HEADER``."""
    return (
        "-" if against.difference is None else f"{against.difference:+.{digits}f}",
        interval_text(against.interval, f"+.{digits}f"),
        *map(_p, (against.t.p, against.t_p_holm, against.wilcoxon.p, against.wilcoxon_p_holm)),
        str(against.num_pairs),
        str(against.num_dropped),
    )


def interval_text(interval: Interval | None, form: str) -> str:
    """``LOW to HIGH`` in the format ``form``; a dash for none."""
    return "-" if interval is None else f"{interval.low:{form}} to {interval.high:{form}}"


def _p(p: float | None) -> str:
    return "-" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, first column to the left, the others to the right."""
    lines = [header, ("---", *["--:"] * (len(header) - 1)), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
