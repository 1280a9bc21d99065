"""How the held-out cases of trained folds were segmented, read back for a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoseg.core.errors import BadInput
from autoseg.evaluation.case_choice import CaseRow
from autoseg.io.files import read_json
from autoseg.io.workspace import RawDataset, Workspace

DRAWN = ("dice", "hd95_mm", "lesion_f1")


@dataclass(frozen=True)
class HeldOut:
    """``rows`` are the cases of evaluations with their scores; by case, their fold and their segmentation."""

    rows: Sequence[CaseRow]
    folds: Mapping[str, str]
    segmentations: Mapping[str, Path]
    trained_on_its_cases: bool  # for want of other subjects

    @property
    def drawn_scores(self) -> tuple[str, ...]:
        """The scores that are drawn, of those that there are."""
        known = {name for row in self.rows for scores in row["labels"].values() for name in scores}
        return tuple(name for name in DRAWN if name in known)


def held_out(workspace: Workspace, dataset: RawDataset, configuration: str, folds: Sequence[str]) -> HeldOut:
    """What the validations of the folds found; nothing of a fold that held out no case."""
    rows: list[CaseRow] = []
    of_fold: dict[str, str] = {}
    segmentations: dict[str, Path] = {}
    proves_nothing = False
    for fold in folds:
        folder = workspace.model_folder(dataset.name, configuration, fold) / "validation"
        if not (folder / "evaluation.json").is_file():
            continue
        document = read_evaluation(folder / "evaluation.json")
        proves_nothing |= document.get("held_out") is False
        for row in document["cases"]:
            rows.append(row)
            of_fold[row["case"]] = fold
            segmentations[row["case"]] = folder / f"{row['case']}{dataset.file_ending}"
    return HeldOut(rows, of_fold, segmentations, proves_nothing)


def read_evaluation(path: Path) -> dict[str, Any]:
    """An ``evaluation.json``; BadInput where it is none."""
    document = read_json(path)
    try:
        for case in document["cases"]:
            (str(case["case"]), str(case["domain"]), *(scores.items() for scores in case["labels"].values()))
    except (TypeError, KeyError, AttributeError):
        raise BadInput(f"{path}: is no evaluation; validate or evaluate again.") from None
    return dict(document)
