"""The cells of a study: the test cases of a dataset as a model segments them, and their scores."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from autoseg.core.case import CaseFiles
from autoseg.core.plan import read_plan
from autoseg.evaluation.study import ScoresOfCases
from autoseg.interop.prediction_outputs import image_layout
from autoseg.io import images
from autoseg.io.files import write_json
from autoseg.io.workspace import Workspace
from autoseg.pipeline.elsewhere import in_networks
from autoseg.pipeline.evaluation import Pair, evaluate_pairs
from autoseg.pipeline.models import Choice, workspace_models
from autoseg.pipeline.prediction import PredictionOptions, load
from autoseg.pipeline.preparation import require_labels, source_state
from autoseg.pipeline.segmenting import UNCHANGED, Segmenter, predict_cases
from autoseg.pipeline.study_datasets import StudyDataset, digest
from autoseg.runtime.progress import say
from autoseg.runtime.workers import LostWork, Workers

KEY = "cell.json"

Trained = tuple[str, str, str]  # dataset, configuration and fold in the workspace of the study


@dataclass(frozen=True)
class Rows:
    """What all rows of the matrix have in common."""

    study: Workspace
    tests: Sequence[StudyDataset]
    families: Sequence[str]
    device: str | None


def fill_rows(
    rows: Rows, trained: Mapping[str, Trained], workers: Workers | None
) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """The name of each model and its row (``fill_row``), by the workers if there are any.

    ChildProcessError: the workers that were at one were lost.
    """
    if workers is None:
        yield from ((name, fill_row(rows, (name, place))) for name, place in trained.items())
        return
    workers.require_seen([rows.study.root])
    for (name, _), row in workers.results(partial(fill_row_alone, rows), trained.items(), share=1.0):
        if isinstance(row, LostWork):
            raise ChildProcessError(f"{name} on the test cases: {row.reason}; the same command continues.")
        yield name, row


def fill_row_alone(rows: Rows, model: tuple[str, Trained]) -> dict[str, dict[str, Any]]:
    """In a worker: one row at a time."""
    with in_networks:
        return fill_row(rows, model)


def fill_row(rows: Rows, model: tuple[str, Trained]) -> dict[str, dict[str, Any]]:
    """What a model makes of each test set: its evaluation, by dataset.

    The folder of the model and the test set in ``cells`` has the segmentations, ``evaluation.csv`` and ``.json``. It is
    kept, finished or not, until the model, the cases or the families of scores change.
    """
    name, (dataset, configuration, fold) = model
    study, tests, families, device = rows.study, rows.tests, rows.families, rows.device
    folder = study.root / "cells" / name
    trained = study.model_folder(dataset, configuration, fold)
    plan = (trained / "plan.json").read_text(encoding="utf-8")
    weights = read_plan(plan, str(trained)).configurations[configuration].training.weights_file
    of_model = {"plan": plan, "weights": hashlib.sha256((trained / weights).read_bytes()).hexdigest()}
    num_cases = sum(len(test.testing) for test in tests)  # decides what computes: the same if run again for some

    @cache
    def segmenter() -> Segmenter:
        chosen = Choice((configuration,), (fold,), UNCHANGED)
        return load(workspace_models(study, dataset), chosen, PredictionOptions(device=device), num_cases)

    found = {}
    for test in tests:
        cell = folder / test.name
        files = {case.name: _files(case) for case in test.testing}
        key = digest({**of_model, "families": list(families), "cases": files})
        if _key(cell) != key:
            shutil.rmtree(cell, ignore_errors=True)
            write_json(cell / KEY, {"sha256": key})
        if not (cell / "evaluation.json").is_file():
            say(f"{folder.name} on {test.name}")
            _fill(cell, segmenter(), test, families)
        found[test.name] = json.loads((cell / "evaluation.json").read_text(encoding="utf-8"))
    return found


def scores_of(evaluation: dict[str, Any]) -> ScoresOfCases:
    """Case -> label -> score -> value, of an evaluation."""
    return {case["case"]: case["labels"] for case in evaluation["cases"]}


def _fill(cell: Path, segmenter: Segmenter, test: StudyDataset, families: Sequence[str]) -> None:
    """Segment what is not yet segmented, then score all of it."""

    def name(case: CaseFiles) -> str:
        return case.name + test.dataset.file_ending

    layout = image_layout(cell, segmenter.plan.labels, output_name=name)
    predict_cases(segmenter, test.testing, layout, overwrite=False)
    pairs = [Pair(case.name, test.name, cell / name(case), require_labels(case)) for case in test.testing]
    evaluate_pairs(pairs, test.dataset.labels, cell, families)


def _key(cell: Path) -> str | None:
    path = cell / KEY
    return str(json.loads(path.read_text(encoding="utf-8"))["sha256"]) if path.is_file() else None


def _files(case: CaseFiles) -> list[str]:
    paths = (*case.channels, require_labels(case))
    return [source_state(one) for path in paths for one in images.files_of(path)]
