"""Which cases to look at: the worst, the middle and the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autoseg.evaluation.evaluate import mean_of_defined

CaseRow = Mapping[str, Any]  # as in ``cases`` of the summary: ``case``, ``domain``, and ``labels`` with their scores


@dataclass(frozen=True)
class ScoredCase:
    """A case with its mean Dice over the labels that have one."""

    case: str
    domain: str
    mean_dice: float


@dataclass(frozen=True)
class Choice:
    """Cases by falling need to look at them; no case is in two of them. ``worst`` begins with the worst of all."""

    worst: tuple[ScoredCase, ...]
    median: tuple[ScoredCase, ...]
    best: tuple[ScoredCase, ...]


def choose_cases(rows: Sequence[CaseRow], number: int) -> Choice:
    """The ``number`` worst, middle and best of the cases by mean Dice; of equal ones the first given comes first.

    ``rows`` are the ``cases`` of ``evaluation.evaluate.summarize``; those without any Dice do not count. Where there
    are too few cases, the worst are taken first, then the best. The middle ones are those around the median of all.
    """
    ranked = sorted(_scored(rows), key=lambda case: case.mean_dice)  # stable
    worst = ranked[:number]
    rest = ranked[number:]
    num_best = min(number, len(rest))
    best = sorted(rest[len(rest) - num_best :], key=lambda case: -case.mean_dice)
    rest = rest[: len(rest) - num_best]
    num_median = min(number, len(rest))
    start = (len(ranked) - num_median) // 2 - len(worst)
    start = max(0, min(start, len(rest) - num_median))
    return Choice(tuple(worst), tuple(rest[start : start + num_median]), tuple(best))


def score_of(case: CaseRow, score: str, label: str | None = None) -> float | None:
    """One score of a case: of a label, or the mean over the labels that have it (``label`` None)."""
    if label is None:
        return mean_of_defined(scores.get(score) for scores in case["labels"].values())
    value: float | None = case["labels"].get(label, {}).get(score)
    return value


def _scored(rows: Sequence[CaseRow]) -> list[ScoredCase]:
    found = []
    for row in rows:
        mean = score_of(row, "dice")
        if mean is not None:
            found.append(ScoredCase(row["case"], row["domain"], mean))
    return found
