"""Validation of a trained fold on its held-out cases; several processes share them out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from autoseg.core.case import CaseFiles
from autoseg.core.plan import read_plan
from autoseg.interop.prediction_outputs import Layout, image_layout
from autoseg.interop.prediction_table import TABLE, certainties
from autoseg.io.files import read_json
from autoseg.io.workspace import RawDataset, Workspace
from autoseg.pipeline.cascade import held_out_label_maps, reading
from autoseg.pipeline.evaluation import Pair, evaluate_pairs
from autoseg.pipeline.memory_checks import memory_guard
from autoseg.pipeline.models import workspace_models
from autoseg.pipeline.preparation import require_labels
from autoseg.pipeline.safety import Safety, calibrate, dice_by_case, write_calibration
from autoseg.pipeline.segmenting import UNCHANGED, InWork, Line, OutputsOf, Segmenter, pass_through, recorded
from autoseg.pipeline.voxel_cascade import load_chains
from autoseg.planning.folds import Fold
from autoseg.runtime import ranks


def validate_fold(
    workspace: Workspace, dataset: RawDataset, configuration_name: str, fold_name: str, fold: Fold, device: str | None
) -> dict[str, Any] | None:
    """Segment the held-out cases (those to test on if there are any) and score them; None if nothing is held out."""
    if not fold.scored:
        return None
    folder = workspace.model_folder(dataset.name, configuration_name, fold_name)
    output = folder / "validation"
    scored = set(fold.scored)
    held_out = [case for case in dataset.cases if case.name in scored]
    short_of_memory = segment_together(workspace, dataset, configuration_name, fold_name, held_out, device)
    if short_of_memory:
        raise MemoryError(f"{folder} is trained and not validated: {short_of_memory[0]}")
    files = {case: output / (case.name + dataset.file_ending) for case in held_out}
    pairs = [Pair(case.name, case.domain, files[case], require_labels(case)) for case in held_out]
    evaluate_pairs(pairs, dataset.labels, output, facts={"held_out": not fold.validates_on_training_cases})
    summary: dict[str, Any] = read_json(output / "evaluation.json")
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
    """In the first process: segment its share, and record what the others did; what failed for lack of memory."""
    names = configuration_name, fold_name

    def segmented(todo: Sequence[CaseFiles], outputs: OutputsOf) -> Iterator[InWork]:
        shares = [[case.name for case in todo][rank :: ranks.count()] for rank in range(ranks.count())]
        held_out = [case.name for case in cases]
        message = {"dataset": dataset.name, "names": names, "held_out": held_out, "shares": shares}
        ranks.tell({"do": "validate", **message})
        by_name = {case.name: case for case in todo}
        own = [by_name[name] for name in shares[0]]
        if own:
            yield from pass_through(_line(workspace, dataset, *names, held_out, device), own, outputs)
        for part in ranks.gathered([])[1:]:
            for name, failed, short_of_memory, rows in part:
                known = [tuple(row) for row in rows]
                yield InWork(by_name[name], failed=failed, short_of_memory=short_of_memory, rows=known)

    return list(recorded(cases, _layout(workspace, dataset, *names), False, True, segmented).short_of_memory)


def segment_share(workspace: Workspace, message: dict[str, Any], device: str) -> None:
    """In another process: segment the share that the first one tells of."""
    dataset, (configuration_name, fold_name) = workspace.read_dataset(message["dataset"]), message["names"]
    names: tuple[str, str] = configuration_name, fold_name
    share, layout = set(message["shares"][ranks.number()]), _layout(workspace, dataset, *names)
    own = [case for case in dataset.cases if case.name in share]
    done: Iterable[InWork] = ()
    if own:
        done = pass_through(_line(workspace, dataset, *names, message["held_out"], device), own, layout.outputs)
    ranks.gathered([(one.case.name, one.failed, one.short_of_memory, one.rows) for one in done])


def _layout(workspace: Workspace, dataset: RawDataset, configuration_name: str, fold_name: str) -> Layout:
    folder = workspace.model_folder(dataset.name, configuration_name, fold_name)
    plan = read_plan((folder / "plan.json").read_text(encoding="utf-8"), str(folder / "plan.json"))
    return image_layout(folder / "validation", plan.labels, output_name=lambda case: case.name + dataset.file_ending)


def _line(
    workspace: Workspace,
    dataset: RawDataset,
    configuration_name: str,
    fold_name: str,
    held_out: Sequence[str],
    device: str | None,
) -> Line:
    """The trained fold, to segment cases of those that it held out."""
    folder = workspace.model_folder(dataset.name, configuration_name, fold_name)
    plan = read_plan((folder / "plan.json").read_text(encoding="utf-8"), str(folder / "plan.json"))
    configuration = plan.configurations[configuration_name]
    predictor: Segmenter
    if configuration.candidates:
        predictor = load_chains(workspace_models(workspace, dataset.name), configuration_name, [fold_name], device)
    else:
        from autoseg.inference.predictor import load_predictor

        previous = reading(held_out_label_maps(workspace, dataset, configuration, held_out))
        predictor = load_predictor([folder], configuration_name, device, num_cases=len(held_out), previous=previous)
    return Line(memory_guard(predictor), UNCHANGED, Safety(predictor.plan.labels), in_documents=False)
