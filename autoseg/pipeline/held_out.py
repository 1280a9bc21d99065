"""How the held-out cases of trained folds were segmented, read back for a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoseg.core.errors import BadInput
from autoseg.evaluation.evaluate import mean_of_defined
from autoseg.io.workspace import read_json

Scores = Mapping[str, Mapping[str, float | None]]  # by label, by score


@dataclass(frozen=True)
class ScoredCase:
    """A case that trained no network of ``fold``, its scores, and its segmentation on the grid of its image."""

    case: str
    domain: str
    fold: str
    scores: Scores
    segmentation: Path

    def mean(self, score: str) -> float | None:
        """The mean over the labels that have the score."""
        return mean_of_defined(scores.get(score) for scores in self.scores.values())


def read_evaluation(path: Path) -> dict[str, Any]:
    """An ``evaluation.json``; BadInput where it is none."""
    document = read_json(path)
    try:
        for case in document["cases"]:
            (str(case["case"]), str(case["domain"]), *(scores.items() for scores in case["labels"].values()))
    except (TypeError, KeyError, AttributeError):
        raise BadInput(f"{path}: is no evaluation; validate or evaluate again.") from None
    return dict(document)


def scored_cases(folders: Mapping[str, Path], ending: str) -> list[ScoredCase]:
    """The cases of every ``evaluation.json`` in ``folders`` (name -> folder with it and the segmentations)."""
    return [
        ScoredCase(one["case"], one["domain"], name, one["labels"], folder / f"{one['case']}{ending}")
        for name, folder in folders.items()
        for one in read_evaluation(folder / "evaluation.json")["cases"]
    ]


def trained_on_its_cases(folders: Sequence[Path]) -> bool:
    """Whether the scores of a fold are of cases that it was trained on, for want of others."""
    return any(read_json(folder / "evaluation.json").get("held_out") is False for folder in folders)
