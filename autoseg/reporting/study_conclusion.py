"""What a study says, in sentences with numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from autoseg.evaluation.scores import SCORES
from autoseg.evaluation.statistics import Interval
from autoseg.evaluation.study import GENERAL, Cell, Matrix, StudyModel, TestSet, better
from autoseg.runtime.progress import counted

SIGNIFICANT = 0.05


def conclusion(matrix: Matrix) -> list[str]:
    """The findings by the first score of the matrix, the general one first: plain sentences.

    On unseen data the general model stands against the best specific one, on test cases against that of the dataset.
    """
    score = matrix.scores[0]
    unseen = [test for test in matrix.tests if test.unseen]
    return [
        *_verdicts(matrix, score),
        *(sentence for test in unseen for sentence in _on_unseen(matrix, score, test)),
        *(sentence for test in matrix.tests if not test.unseen for sentence in _on_own(matrix, score, test)),
        *_away_from_home(matrix, score),
        *(sentence for model in matrix.of_kind("balanced") for sentence in _balanced(matrix, score, model)),
        *(sentence for model in matrix.of_kind("left_out") for sentence in _left_out(matrix, score, model)),
    ]


def _verdicts(matrix: Matrix, score: str) -> Iterator[str]:
    """How often the general model is at least as good."""
    for unseen, what in ((True, "unseen"), (False, "training")):
        tests = [test for test in matrix.tests if test.unseen == unseen]
        rivals = [(test, _rival(matrix, score, test)) for test in tests]
        wins, proven, lost = 0, 0, 0
        for test, rival in rivals:
            general = matrix.cell(score, GENERAL, test.name)
            if rival is None or general.mean is None or rival.mean is None:
                continue
            ahead = not better(score, rival.mean, general.mean)
            wins += ahead
            proven += ahead and _significant(rival)
            lost += not ahead and _significant(rival)
        if rivals:
            against = "the best specific one" if unseen else "the specific one of the dataset"
            proof = f"significantly better on {proven}, significantly worse on {lost}"
            yield (
                f"By {SCORES[score].title}, the general model is at least as good as {against} on {wins} of "
                f"{counted(len(rivals), f'{what} dataset')} ({proof})."
            )


def _rival(matrix: Matrix, score: str, test: TestSet) -> Cell | None:
    """The specific model that the general one stands against on a test set."""
    cells = [matrix.cell(score, model.name, test.name) for model in matrix.of_kind("specific")]
    if not test.unseen:
        return next(cell for cell in cells if cell.seen)
    best: Cell | None = None
    for cell in cells:
        if cell.mean is not None and (best is None or best.mean is None or better(score, cell.mean, best.mean)):
            best = cell
    return best


def _on_unseen(matrix: Matrix, score: str, test: TestSet) -> Iterator[str]:
    general, best = matrix.cell(score, GENERAL, test.name), _rival(matrix, score, test)
    if best is None:
        yield f"On {test.name}, which no model has seen, no specific model has a {SCORES[score].title}."
        return
    others = [
        cell for model in matrix.of_kind("specific") if (cell := matrix.cell(score, model.name, test.name)) != best
    ]
    rest = (
        f" The other specific models: {', '.join(f'{one.model} {_number(one)}' for one in others)}." if others else ""
    )
    yield (
        f"On {test.name} ({_cases(general)}), which no model has seen, the general model has {SCORES[score].title} "
        f"{_number(general)} and the best specific one, {best.model}, {_number(best)}: {_difference(best)}.{rest}"
    )


def _on_own(matrix: Matrix, score: str, test: TestSet) -> Iterator[str]:
    general, own = matrix.cell(score, GENERAL, test.name), _rival(matrix, score, test)
    if own is not None:
        yield (
            f"On the test cases of {test.name} ({_cases(general)}), the general model has {SCORES[score].title} "
            f"{_number(general)} and {own.model} {_number(own)}: {_difference(own)}."
        )


def _away_from_home(matrix: Matrix, score: str) -> Iterator[str]:
    """How much a specific model loses on the datasets that it was not trained on."""
    for model in matrix.of_kind("specific"):
        cells = [matrix.cell(score, model.name, test.name) for test in matrix.tests]
        home = next((cell for cell in cells if cell.seen), None)
        away = [cell for cell in cells if not cell.seen and cell.mean is not None]
        if home is not None and away:
            listed = _and([f"{_number(cell)} on {cell.test}" for cell in away])
            title = SCORES[score].title
            yield f"{model.name} has {title} {_number(home)} on {home.test}, its own dataset; away from it {listed}."


def _balanced(matrix: Matrix, score: str, model: StudyModel) -> Iterator[str]:
    cells = [matrix.cell(score, model.name, test.name) for test in matrix.tests]
    parts = [f"{_signed(cell)} on {cell.test} ({_p(cell)})" for cell in cells if cell.against]
    yield f"Showing each dataset equally often changes the {SCORES[score].title} of the general model by {_and(parts)}."


def _left_out(matrix: Matrix, score: str, model: StudyModel) -> Iterator[str]:
    for test in matrix.tests:
        if test.unseen or test.name in model.trained_on:
            continue
        cell, general = matrix.cell(score, model.name, test.name), matrix.cell(score, GENERAL, test.name)
        yield (
            f"Trained without {test.name}, a general model has {SCORES[score].title} {_number(cell)} on its test "
            f"cases, and with it {_number(general)}: {_difference(cell)}."
        )


def _difference(rival: Cell) -> str:
    """The difference general - rival with its interval, and what it proves."""
    against = rival.against
    if against is None or against.difference is None:
        return "they have no case in common"
    digits = SCORES[rival.score].digits
    interval = _interval(against.interval, digits)
    verdict = "a significant difference" if _significant(rival) else "not a significant difference"
    return f"general - {rival.model} = {_shown(-against.difference, digits)}{interval}, {verdict} ({_p(rival)})"


def _interval(interval: Interval | None, digits: int) -> str:
    """Of the difference the other way round."""
    if interval is None:
        return ""
    return f" (95 % interval {_shown(-interval.high, digits)} to {_shown(-interval.low, digits)})"


def _shown(difference: float, digits: int) -> str:
    """With its sign, and none of a zero that is negative."""
    return f"{round(difference, digits) + 0.0:+.{digits}f}"


def _significant(cell: Cell) -> bool:
    p = cell.against.t_p_holm if cell.against else None
    return p is not None and p < SIGNIFICANT


def _p(cell: Cell) -> str:
    p = cell.against.t_p_holm if cell.against else None
    if p is None:
        return "too few cases to test"
    return "Holm-corrected p < 0.001" if p < 0.001 else f"Holm-corrected p = {p:.3f}"


def _number(cell: Cell) -> str:
    return "none" if cell.mean is None else f"{cell.mean:.{SCORES[cell.score].digits}f}"


def _signed(cell: Cell) -> str:
    difference = cell.against.difference if cell.against else None
    return "nothing that can be compared" if difference is None else _shown(difference, SCORES[cell.score].digits)


def _cases(cell: Cell) -> str:
    return counted(cell.num_cases, "case")


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
