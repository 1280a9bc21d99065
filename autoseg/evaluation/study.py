"""The matrix of a study: every model on every test set, each cell against the general model.

A case counts with its mean over labels, and each label alone. What is drawn for the intervals and what is paired in the
tests are subjects: several images of one person are not independent. Tests are corrected by Holm's method for all
tests of one kind, score and label in the matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import numpy as np

from autoseg.evaluation.comparison import Against, corrected, mean_of_each_case, tested
from autoseg.evaluation.scores import SCORES
from autoseg.evaluation.statistics import (
    Interval,
    Numbers,
    as_numbers,
    bootstrap_ratios,
)

Kind = Literal["specific", "general", "balanced", "left_out"]
ScoresOfCases = Mapping[str, Mapping[str, Mapping[str, float | None]]]  # case -> label -> score -> value
MEAN = "mean"  # the label of the mean over labels
GENERAL = "general"
RULES = (
    "A case counts with its mean over labels. sd is the standard deviation over cases with n - 1. Intervals are 95 % "
    "percentile intervals of 10,000 bootstrap samples of subjects. Differences are model - general over the cases in "
    "which both have the score. Tests are two-tailed and paired by subject (the mean of its cases); p_holm is "
    "corrected by Holm's method for all tests of one kind, score and label in the matrix. Every model is trained once: "
    "that another training would end elsewhere is in no interval and no p."
)


@dataclass(frozen=True)
class StudyModel:
    """A row of the matrix: a model and the names of the datasets that it is trained on."""

    name: str
    kind: Kind
    trained_on: tuple[str, ...]


@dataclass(frozen=True)
class TestSet:
    """A column of the matrix: the test cases of a dataset with their subjects; ``unseen`` by every model."""

    __test__ = False  # no test of pytest

    name: str
    unseen: bool
    subjects: Mapping[str, str]


@dataclass(frozen=True)
class Cell:
    """One score of one model on one test set; ``values`` are those of the cases that have it, by case.

    ``label`` is ``MEAN`` or one label. ``seen`` says that the model was trained on other cases of this dataset.
    """

    score: str
    label: str
    model: str
    test: str
    seen: bool
    num_cases: int
    num_subjects: int
    mean: float | None
    sd: float | None
    interval: Interval | None
    values: Mapping[str, float]
    against: Against | None = None  # None for the general model itself


@dataclass(frozen=True)
class Matrix:
    """All cells: by score, label (the mean first), test set and model."""

    models: tuple[StudyModel, ...]
    tests: tuple[TestSet, ...]
    scores: tuple[str, ...]
    cells: tuple[Cell, ...]

    def cell(self, score: str, model: str, test: str, label: str = MEAN) -> Cell:
        """One of them."""
        wanted = score, label, model, test
        return next(cell for cell in self.cells if (cell.score, cell.label, cell.model, cell.test) == wanted)

    def of_kind(self, kind: Kind) -> list[StudyModel]:
        """The models of one kind."""
        return [model for model in self.models if model.kind == kind]


@dataclass(frozen=True)
class WorstCase:
    """A case in which the general model is worst, and the score of each model in it."""

    test: str
    case: str
    values: Mapping[str, float | None]


def make_matrix(
    models: Sequence[StudyModel],
    tests: Sequence[TestSet],
    found: Mapping[tuple[str, str], ScoresOfCases],
    scores: Sequence[str],
    seed: int = 0,
) -> Matrix:
    """Every cell of the scores ``found`` for (model, test set); the model ``GENERAL`` is the baseline of all tests."""
    labels = list(dict.fromkeys(name for cases in found.values() for case in cases.values() for name in case))
    cells = [cell for test in tests for cell in _cells_of(test, models, found, scores, labels, seed)]
    groups = [[cell for cell in cells if (cell.score, cell.label) == one] for one in product(scores, (MEAN, *labels))]
    compared = tuple(cell for group in groups for cell in _with_corrected_p(group))
    return Matrix(tuple(models), tuple(tests), tuple(scores), compared)


def better(score: str, one: float, other: float) -> bool:
    """Whether ``one`` is better than ``other``."""
    best = SCORES[score].best
    if best == "highest":
        return one > other
    return one < other if best == "lowest" else abs(one) < abs(other)


def worst_cases(matrix: Matrix, score: str, most: int) -> list[WorstCase]:
    """Of each test set the ``most`` cases in which the general model has the worst defined score, the worst first."""
    best = SCORES[score].best
    worst = []
    for test in matrix.tests:
        cells = {model.name: matrix.cell(score, model.name, test.name) for model in matrix.models}
        values = cells[GENERAL].values
        badness = {case: {"highest": -value, "lowest": value}.get(best, abs(value)) for case, value in values.items()}
        for case in sorted(values, key=lambda name: (-badness[name], name))[:most]:
            worst.append(WorstCase(test.name, case, {name: cell.values.get(case) for name, cell in cells.items()}))
    return worst


def _cells_of(
    test: TestSet,
    models: Sequence[StudyModel],
    found: Mapping[tuple[str, str], ScoresOfCases],
    scores: Sequence[str],
    labels: Sequence[str],
    seed: int,
) -> Iterator[Cell]:
    """The cells of a test set; the intervals of all from the same draws of subjects."""
    cases = list(test.subjects)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(test.subjects.values()))}
    subjects = np.array([numbers[test.subjects[case]] for case in cases])
    keys = list(product(scores, (MEAN, *labels), models))
    columns = []
    for score, label, model in keys:
        chosen = labels if label == MEAN else [label]
        own, general = (_array(found[name, test.name], cases, chosen, score) for name in (model.name, GENERAL))
        columns += [mean_of_each_case(own)[:, 0], mean_of_each_case(own - general)[:, 0]]
    values = np.stack(columns, axis=1)
    belongs = (subjects == np.arange(len(numbers))[:, None]).astype(np.float64)
    sums, counts = belongs @ np.nan_to_num(values), belongs @ np.isfinite(values)
    intervals = bootstrap_ratios(sums, counts, seed)
    for place, (score, label, model) in enumerate(keys):
        own, known = values[:, 2 * place], np.isfinite(values[:, 2 * place])
        against = None
        if model.name != GENERAL:
            general = values[:, 2 * keys.index((score, label, _general(models)))]
            dropped = int(((known | np.isfinite(general)) & ~np.isfinite(values[:, 2 * place + 1])).sum())
            there = counts[:, 2 * place + 1] > 0
            differences = values[:, 2 * place + 1]
            of_subjects = sums[there, 2 * place + 1] / counts[there, 2 * place + 1]
            against = tested(differences[np.isfinite(differences)], of_subjects, intervals[2 * place + 1], dropped)
        yield Cell(
            score=score,
            label=label,
            model=model.name,
            test=test.name,
            seen=test.name in model.trained_on,
            num_cases=int(known.sum()),
            num_subjects=int((counts[:, 2 * place] > 0).sum()),
            mean=float(own[known].mean()) if known.any() else None,
            sd=float(own[known].std(ddof=1)) if known.sum() > 1 else None,
            interval=intervals[2 * place],
            values={case: float(value) for case, value in zip(cases, own, strict=True) if np.isfinite(value)},
            against=against,
        )


def _general(models: Sequence[StudyModel]) -> StudyModel:
    return next(model for model in models if model.name == GENERAL)


def _array(cases: ScoresOfCases, names: Sequence[str], labels: Sequence[str], score: str) -> Numbers:
    """``(cases, labels)``, NaN for what is undefined or not there."""
    rows = [as_numbers([cases.get(name, {}).get(label, {}).get(score) for label in labels]) for name in names]
    return np.stack(rows)


def _with_corrected_p(cells: Sequence[Cell]) -> list[Cell]:
    tests = iter(corrected([cell.against for cell in cells if cell.against]))
    return [replace(cell, against=next(tests)) if cell.against else cell for cell in cells]
