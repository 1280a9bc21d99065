"""The report of a study: its conclusion, its matrix, and the cases in which the general model is worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoseg.core.errors import BadInput
from autoseg.core.study import StudySpec
from autoseg.evaluation.scores import EMPTY_LABEL_RULE, SCORES
from autoseg.evaluation.study import GENERAL, RULES, Matrix, TestSet, make_matrix, worst_cases
from autoseg.io.history import remembered
from autoseg.io.workspace import RawDataset, Workspace
from autoseg.pipeline.held_out import read_evaluation
from autoseg.pipeline.report_gallery import Item, make_gallery, montage_of
from autoseg.pipeline.report_parts import Drawings, Made, footer, list_scores, reproduction
from autoseg.pipeline.study import models_of, read_study_file
from autoseg.pipeline.study_cells import scores_of
from autoseg.reporting.box_plots import draw
from autoseg.reporting.comparison_tables import BETTER, marks_rule
from autoseg.reporting.page import Page, Part, Section, Sentences, Table, Text
from autoseg.reporting.study_conclusion import conclusion
from autoseg.reporting.study_page import TEST_HEADER, box_groups, matrix_rows, test_rows, test_titles

ONLY, WITHOUT = "only_", "without_"
DEFAULT_WORST = 3  # of each test set
GALLERY_TEXT = "The worst cases of each test set, as the general model segments them; it was trained on none of them."


@dataclass(frozen=True)
class Finished:
    """A study read back: its matrix, its test sets and the evaluations of the general model on them."""

    spec: StudySpec
    matrix: Matrix
    datasets: Mapping[str, RawDataset]
    general: Mapping[str, dict[str, object]]


def study_page(study: Workspace, name: str, num_cases: int | None) -> Made:
    """The page of a finished study; ``study`` is its own workspace. BadInput: it is not finished."""
    finished = read_finished(study, name)
    matrix, drawings = finished.matrix, Drawings()
    first = matrix.scores[0]
    sections = [Section("Conclusion", [Sentences(conclusion(matrix))])]
    for score in matrix.scores:
        sections.append(score_section(matrix, score, drawings))
    tests = Table(TEST_HEADER, list(test_rows(matrix)), "Every model against the general one")
    sections.append(Section("Tests", [tests, Text(f"{RULES} {EMPTY_LABEL_RULE}")]))
    commands = [one for one in remembered(study.root.parent.parent) if "study" in one.arguments]
    sections.append(reproduction(commands))
    items = worst_items(study, finished, num_cases)
    datasets = list(finished.datasets.values())
    gallery, problems = make_gallery(items, datasets[0].channels, datasets[0].labels, GALLERY_TEXT)
    page = Page(
        title=f"Study {name}",
        summary=conclusion(matrix)[:1],
        facts={
            "models": str(len(matrix.models)),
            "test sets": str(len(matrix.tests)),
            "test cases": str(sum(len(test.subjects) for test in matrix.tests)),
            "first score": SCORES[first].title,
        },
        sections=sections,
        identity=f"{study.root.resolve()}",
        footer=footer(),
        gallery=gallery if gallery.cases else None,
        name=name,
    )
    return Made(page, drawings.by_name, problems, montage_of(items, datasets[0].labels))


def read_finished(study: Workspace, name: str) -> Finished:
    """What ``study`` left, without training or segmenting anything."""
    spec = read_study_file(study.root / "study.json")
    cells = study.root / "cells"
    rows = {folder.name for folder in cells.iterdir()} if cells.is_dir() else set()
    seen = sorted(row.removeprefix(ONLY) for row in rows if row.startswith(ONLY))
    models = models_of(seen, spec, any(row.startswith(WITHOUT) for row in rows))
    sets = sorted(folder.name for folder in (cells / GENERAL).iterdir()) if GENERAL in rows else []
    sets = [*(one for one in sets if one in seen), *(one for one in sets if one not in seen)]
    missing = [
        f"{model.name} on {one}"
        for model in models
        for one in sets or ["any"]
        if not (cells / model.name / one / "evaluation.json").is_file()
    ]
    if missing or not seen:
        raise BadInput(
            f"{study.root}: the study is not finished ({(missing or ['nothing yet'])[0]}); run `autoseg study` again."
        )
    found = {
        (model.name, one): read_evaluation(cells / model.name / one / "evaluation.json")
        for model in models
        for one in sets
    }
    datasets = {one: dataset_of(study, one) for one in sets}
    tests = []
    for one in sets:
        scored = {row["case"] for row in found[GENERAL, one]["cases"]}
        subjects = {case.name: case.subject for case in datasets[one].cases if case.name in scored}
        tests.append(TestSet(one, one not in seen, subjects))
    scores = {place: scores_of(evaluation) for place, evaluation in found.items()}
    matrix = make_matrix(models, tests, scores, spec.metrics, spec.seed)
    return Finished(spec, matrix, datasets, {one: found[GENERAL, one] for one in sets})


def dataset_of(study: Workspace, name: str) -> RawDataset:
    """A dataset of the study, converted for it or one of the workspace that it is in."""
    own = (study.dataset_folder(name) / "dataset.json").is_file()
    return (study if own else Workspace(study.root.parent.parent)).read_dataset(name)


def score_section(matrix: Matrix, score: str, drawings: Drawings) -> Section:
    """The matrix of one score, and its box plots."""
    title = SCORES[score].title
    rule = (
        f"Mean ± standard deviation (95 % interval of the mean); {BETTER[SCORES[score].best]}. {marks_rule(GENERAL)} "
        "Parentheses: the model was trained on other cases of this dataset."
    )
    table = Table(("model", *test_titles(matrix)), list(matrix_rows(matrix, score)), rule)
    drawing = draw(box_groups(matrix, score), [model.name for model in matrix.models], title, marks_rule(GENERAL))
    boxes = drawings.part(f"boxes_{score}", drawing, f"Box plots of {title} for every model and test set", "")
    parts: list[Part] = [table, boxes]
    return Section(title, parts)


def worst_items(study: Workspace, finished: Finished, num_cases: int | None) -> list[Item]:
    """The worst cases of each test set; of ``num_cases`` each set has its share, None are all."""
    matrix, items = finished.matrix, []
    most = max(len(test.subjects) for test in matrix.tests)
    share = most if num_cases is None else max(1, num_cases // len(matrix.tests))
    for worst in worst_cases(matrix, matrix.scores[0], share):
        dataset = finished.datasets[worst.test]
        case = next(case for case in dataset.cases if case.name == worst.case)
        rows: Sequence[Mapping[str, object]] = finished.general[worst.test]["cases"]  # type: ignore[assignment]
        row = next(row for row in rows if row["case"] == worst.case)
        segmentation = study.root / "cells" / GENERAL / worst.test / f"{worst.case}{dataset.file_ending}"
        items.append(Item(case, segmentation, case.labels, worst.test, list_scores(row)))
    return items
