"""A study on a page, with its matrix as a table for further work and its box plots."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.evaluation.scores import EMPTY_LABEL_RULE, SCORES
from autoseg.evaluation.statistics import significance_mark
from autoseg.evaluation.study import GENERAL, MEAN, RULES, Cell, Matrix, worst_cases
from autoseg.io.files import remove_partial, write_text
from autoseg.reporting.box_plots import BoxGroup, write_box_plots
from autoseg.reporting.comparison_tables import (
    AGAINST_COLUMNS,
    AGAINST_HEADER,
    BETTER,
    BOLD,
    against_numbers,
    against_texts,
    interval_text,
    markdown_table,
    marks_rule,
)
from autoseg.reporting.study_conclusion import conclusion

WORST = 3  # cases of each test set
COLUMNS = (
    "score",
    "label",
    "model",
    "test",
    "seen",
    "num_cases",
    "num_subjects",
    "mean",
    "sd",
    "interval_low",
    "interval_high",
    *AGAINST_COLUMNS,
)
TEST_HEADER = ("Score", "Test set", "Model", *AGAINST_HEADER)
FACTS_HEADER = ("Model", "Trained on", "Cases", "Configuration", "Weights", "Steps", "Training (min)")


@dataclass(frozen=True)
class Facts:
    """What a training used and took."""

    model: str
    trained_on: tuple[str, ...]
    num_cases: int
    configuration: str
    num_weights: int
    num_steps: float
    training_minutes: float


@dataclass(frozen=True)
class StudyResults:
    """A finished study; ``problems`` are sentences about cases that could not be segmented or scored."""

    name: str
    folder: Path
    matrix: Matrix
    facts: Sequence[Facts]
    problems: Sequence[str]


def write_study(results: StudyResults) -> list[Path]:
    """Write ``study.md``, ``matrix.csv``, and ``figures/SCORE`` as SVG and PNG into the folder of the study."""
    tables = [results.folder / "study.md", results.folder / "matrix.csv"]
    write_text(tables[0], page(results))
    write_text(tables[1], matrix_csv(results.matrix))
    remove_partial([results.folder, results.folder / "figures"])
    figures: list[Path] = []
    for score in results.matrix.scores:
        groups, models = box_groups(results.matrix, score), [model.name for model in results.matrix.models]
        path = results.folder / "figures" / score
        caption = f"{marks_rule(GENERAL)} Points: test cases, each with its mean over labels."
        figures += write_box_plots(groups, models, path, SCORES[score].title, caption)
    return tables + figures


def page(results: StudyResults) -> str:
    """The whole study in Markdown."""
    matrix = results.matrix
    parts = [f"# {results.name}", "## Conclusion", "\n".join(f"- {sentence}" for sentence in conclusion(matrix))]
    parts += ["## Models", _legend(matrix), markdown_table(FACTS_HEADER, map(_facts_row, results.facts))]
    for score in matrix.scores:
        parts += [
            f"## {SCORES[score].title}",
            f"Mean ± standard deviation (95 % interval of the mean); {BETTER[SCORES[score].best]}, the best mean of a "
            f"column is bold. {marks_rule(GENERAL)} Parentheses: the model was trained on other cases of this dataset. "
            "Brackets: only so many of the cases have the score.",
            markdown_table(("Model", *test_titles(matrix)), matrix_rows(matrix, score, BOLD)),
            f"![{SCORES[score].title}](figures/{score}.svg)",
        ]
    worst = (
        f"The {WORST} worst of the general model in each test set, by {SCORES[matrix.scores[0]].title}. "
        "The segmentations are in cells/MODEL/TEST_SET."
    )
    parts += ["## Worst cases", worst, markdown_table(*_worst_table(matrix))]
    parts += ["## Against the general model", markdown_table(TEST_HEADER, test_rows(matrix))]
    if results.problems:
        parts += ["## Left out", "\n".join(f"- {problem}" for problem in results.problems)]
    parts += ["## How it is computed", f"{RULES} {EMPTY_LABEL_RULE} Every label and test: matrix.csv."]
    return "\n\n".join(parts).replace("*", "\\*").replace(BOLD, "**") + "\n"


def test_titles(matrix: Matrix) -> list[str]:
    """Such as ``c, unseen (12)``."""
    return [f"{test.name}{', unseen' if test.unseen else ''} ({len(test.subjects)})" for test in matrix.tests]


def matrix_rows(matrix: Matrix, score: str, bold: str = "") -> Iterator[tuple[str, ...]]:
    """A row for each model: its name, then each cell; ``bold`` is put around the best mean of a column."""
    best = {}
    for test in matrix.tests:
        cells = [matrix.cell(score, model.name, test.name) for model in matrix.models]
        best[test.name] = _best(score, [cell.mean for cell in cells if cell.mean is not None])
    for model in matrix.models:
        cells = [matrix.cell(score, model.name, test.name) for test in matrix.tests]
        texts = []
        for cell, test in zip(cells, matrix.tests, strict=True):
            few = f" [{cell.num_cases}]" if cell.num_cases < len(test.subjects) else ""
            texts.append(_text(cell, bold if cell.mean == best[cell.test] else "") + few)
        yield model.name, *texts


def test_rows(matrix: Matrix) -> Iterator[tuple[str, ...]]:
    """Every model but the general one against it, under ``TEST_HEADER``."""
    for cell in matrix.cells:
        if cell.label == MEAN and cell.against is not None:
            score = SCORES[cell.score]
            yield score.title, cell.test, cell.model, *against_texts(cell.against, score.digits)


def matrix_csv(matrix: Matrix) -> str:
    """One row for each cell under ``COLUMNS``; what does not exist is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for cell in matrix.cells:
        own = cell.score, cell.label, cell.model, cell.test, int(cell.seen), cell.num_cases, cell.num_subjects
        writer.writerow((*own, cell.mean, cell.sd, *(cell.interval or (None, None)), *against_numbers(cell.against)))
    return text.getvalue()


def box_groups(matrix: Matrix, score: str) -> list[BoxGroup]:
    """A group of boxes for each test set, marked with the corrected p of the t-test."""
    groups = []
    for test, title in zip(matrix.tests, test_titles(matrix), strict=True):
        cells = [matrix.cell(score, model.name, test.name) for model in matrix.models]
        values = {cell.model: tuple(cell.values.values()) for cell in cells}
        marks = {cell.model: significance_mark(cell.against.t_p_holm) for cell in cells if cell.against}
        groups.append(BoxGroup(title, values, marks))
    return groups


def _legend(matrix: Matrix) -> str:
    """What the names of the models mean."""
    parts = ["only_NAME is a specific model, trained on one dataset alone; general is trained on all of them"]
    if matrix.of_kind("balanced"):
        parts.append("general_balanced too, but is shown each dataset equally often, however few cases it has")
    if matrix.of_kind("left_out"):
        parts.append("without_NAME is trained on all but one, which it has never seen")
    held_out = [f"{len(test.subjects)} of {test.name}" for test in matrix.tests if not test.unseen]
    unseen = [f"all {len(test.subjects)} of {test.name}" for test in matrix.tests if test.unseen]
    return f"{'; '.join(parts)}. Test cases, which train no model: {', '.join([*held_out, *unseen])}."


def _facts_row(facts: Facts) -> tuple[str, ...]:
    took = f"{facts.num_weights:,}", f"{facts.num_steps:.0f}", f"{facts.training_minutes:.1f}"
    on = ", ".join(facts.trained_on)
    return facts.model, on, str(facts.num_cases), facts.configuration, *took


def _worst_table(matrix: Matrix) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    score, names = matrix.scores[0], [model.name for model in matrix.models]
    rows = []
    for worst in worst_cases(matrix, score, WORST):
        values = [worst.values[name] for name in names]
        numbers = ("-" if value is None else f"{value:.{SCORES[score].digits}f}" for value in values)
        rows.append((worst.case, worst.test, *numbers))
    return ("Case", "Test set", *names), rows


def _best(score: str, means: Sequence[float]) -> float | None:
    if not means:
        return None
    kind = SCORES[score].best
    return max(means) if kind == "highest" else min(means) if kind == "lowest" else min(means, key=abs)


def _text(cell: Cell, bold: str) -> str:
    if cell.mean is None:
        return "-"
    digits = SCORES[cell.score].digits
    text = f"{cell.mean:.{digits}f}" + ("" if cell.sd is None else f" ± {cell.sd:.{digits}f}")
    interval = "" if cell.interval is None else f", {interval_text(cell.interval, f'.{digits}f')}"
    mark = significance_mark(cell.against.t_p_holm) if cell.against else ""
    return (f"({bold}{text}{bold}{interval})" if cell.seen else f"{bold}{text}{bold}{interval}") + mark
