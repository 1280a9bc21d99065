"""Validation of a trained fold on its held-out cases; several processes share them out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autoseg.core.case import CaseFiles
from autoseg.core.plan import read_plan
from autoseg.interop.prediction_outputs import Layout, image_layout
from autoseg.interop.prediction_table import TABLE, certainties, read_table, recording
from autoseg.io.workspace import RawDataset, Workspace
from autoseg.pipeline.cascade import held_out_label_maps, reading
from autoseg.pipeline.evaluation import Pair, evaluate_pairs
from autoseg.pipeline.models import workspace_models
from autoseg.pipeline.preparation import require_labels
from autoseg.pipeline.safety import Safety, calibrate, dice_by_case, write_calibration
from autoseg.pipeline.segmenting import Predicted, Segmenter, is_finished, predict_cases
from autoseg.pipeline.voxel_cascade import load_chains
from autoseg.planning.folds import Fold
from autoseg.runtime import ranks
from autoseg.runtime.progress import say


def validate_fold(
    workspace: Workspace, dataset: RawDataset, configuration_name: str, fold_name: str, fold: Fold, device: str | None
) -> dict[str, Any] | None:
    """Segment the held-out cases (those to test on if there are any) and score them; None if nothing is held out."""
    if not fold.scored:
        return None
    folder = workspace.model_folder(dataset.name, configuration_name, fold_name)
    output = folder / "validation"
    held_out = [case for case in dataset.cases if case.name in set(fold.scored)]
    short_of_memory = segment_together(workspace, dataset, configuration_name, fold_name, held_out, device)
    if short_of_memory:
        raise MemoryError(f"{folder} is trained and not validated: {short_of_memory[0]}")
    files = {case: output / (case.name + dataset.file_ending) for case in held_out}
    pairs = [Pair(case.name, case.domain, files[case], require_labels(case)) for case in held_out]
    summary = evaluate_pairs(pairs, dataset.labels, output, facts={"held_out": not fold.validates_on_training_cases})
    if not fold.validates_on_training_cases:
        known = certainties(output / TABLE)
        by_case = {case.name: known[file.name] for case, file in files.items() if file.name in known}
        write_calibration(folder, calibrate(by_case, dice_by_case(summary)))
    return summary


def segment_together(
    workspace: Workspace,
    dataset: RawDataset,
    configuration_name: str,
    fold_name: str,
    cases: Sequence[CaseFiles],
    device: str | None,
) -> list[str]:
    """In the first process: segment its share, and take over what the others did; what failed for lack of memory."""
    output = workspace.model_folder(dataset.name, configuration_name, fold_name) / "validation"
    for left in output.glob(f"{_scratch(output, 0).name[:-1]}*"):
        shutil.rmtree(left)  # of an interrupted validation
    layout, table = _layout(workspace, dataset, configuration_name, fold_name, output), read_table(output / TABLE)
    todo = [case.name for case in cases if not is_finished(layout.outputs(case), table)]
    shares = [todo[rank :: ranks.count()] for rank in range(ranks.count())]
    ranks.tell(
        {
            "do": "validate",
            "dataset": dataset.name,
            "configuration": configuration_name,
            "fold": fold_name,
            "held_out": [case.name for case in cases],
            "shares": shares,
        }
    )
    elsewhere = {name for share in shares[1:] for name in share}
    own = [case for case in cases if case.name not in elsewhere]
    predicted = _segment(workspace, dataset, configuration_name, fold_name, cases, own, layout, device)
    short_of_memory = list(predicted.short_of_memory)
    for rank, part in enumerate(ranks.gathered(None)):
        if part is not None:
            short_of_memory += part["short_of_memory"]
            _take_over(output, rank, part)
    return short_of_memory


def segment_share(workspace: Workspace, message: dict[str, Any], device: str) -> None:
    """In another process: segment the share that the first one tells of, into a folder that it then takes over."""
    dataset, names = workspace.read_dataset(message["dataset"]), (message["configuration"], message["fold"])
    share = message["shares"][ranks.number()]
    cases = [case for case in dataset.cases if case.name in set(message["held_out"])]
    own = [case for case in cases if case.name in set(share)]
    predicted = Predicted((), (), ())
    scratch = _scratch(workspace.model_folder(dataset.name, *names) / "validation", ranks.number())
    if own:
        layout = _layout(workspace, dataset, *names, scratch)
        predicted = _segment(workspace, dataset, *names, cases, own, layout, device)
    table = read_table(scratch / TABLE)
    ranks.gathered(
        {
            "rows": {path.name: table.rows[table.name(path)] for path in predicted.written},
            "problems": predicted.problems,
            "short_of_memory": predicted.short_of_memory,
        }
    )


def _scratch(output: Path, rank: int) -> Path:
    return output / f".of-process-{rank}"


def _take_over(output: Path, rank: int, part: dict[str, Any]) -> None:
    """The files and the rows of another process, and what it could not do."""
    scratch = _scratch(output, rank)
    with recording(output / TABLE) as table:
        for name, rows in part["rows"].items():
            os.replace(scratch / name, output / name)
            table.put(output / name, [tuple(row) for row in rows])
    for problem in part["problems"]:
        say(f"left out: {problem}", style="red")
    shutil.rmtree(scratch, ignore_errors=True)


def _layout(workspace: Workspace, dataset: RawDataset, configuration_name: str, fold_name: str, output: Path) -> Layout:
    folder = workspace.model_folder(dataset.name, configuration_name, fold_name)
    plan = read_plan((folder / "plan.json").read_text(encoding="utf-8"), str(folder / "plan.json"))
    return image_layout(output, plan.labels, output_name=lambda case: case.name + dataset.file_ending)


def _segment(
    workspace: Workspace,
    dataset: RawDataset,
    configuration_name: str,
    fold_name: str,
    cases: Sequence[CaseFiles],
    own: Sequence[CaseFiles],
    layout: Layout,
    device: str | None,
) -> Predicted:
    """Those of the held-out ``cases`` that are this process's ``own``."""
    folder = workspace.model_folder(dataset.name, configuration_name, fold_name)
    plan = read_plan((folder / "plan.json").read_text(encoding="utf-8"), str(folder / "plan.json"))
    configuration = plan.configurations[configuration_name]
    predictor: Segmenter
    if configuration.candidates:
        predictor = load_chains(workspace_models(workspace, dataset.name), configuration_name, [fold_name], device)
    else:
        from autoseg.inference.predictor import load_predictor

        names = [case.name for case in cases]
        previous = reading(held_out_label_maps(workspace, dataset, configuration, names))
        predictor = load_predictor([folder], configuration_name, device, num_cases=len(cases), previous=previous)
    return predict_cases(predictor, own, layout, overwrite=False, safety=Safety(predictor.plan.labels))
