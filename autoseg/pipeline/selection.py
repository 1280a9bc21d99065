"""Which configuration or pair of configurations predicts best, and its postprocessing, from cross-validation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from autoseg.core.calibration import Calibration
from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.core.plan import Plan
from autoseg.core.selection import Candidate, Selection, Step
from autoseg.evaluation.selection import ComponentTable, best, case_dice, component_table, decide_postprocessing, rate
from autoseg.interop.prediction_table import TABLE, certainties, recording
from autoseg.io.files import write_json, write_text
from autoseg.io.locks import held
from autoseg.io.workspace import RawDataset, Workspace
from autoseg.pipeline.evaluation import Pair, read_both
from autoseg.pipeline.pairs import PairsOfFold, segment_fold
from autoseg.pipeline.preparation import (
    dataset_folds,
    read_or_make_plan,
    require_configuration,
    require_labels,
    source_state,
)
from autoseg.pipeline.runs import recorded_split
from autoseg.pipeline.safety import calibrate
from autoseg.planning.folds import Fold
from autoseg.preprocessing.case_grid import crops_alike
from autoseg.runtime.jobs import map_threads
from autoseg.runtime.progress import counted, progress, say
from autoseg.runtime.workers import Workers

WEIGHTS_FILE = "made_from.json"
SEVERAL = " + "


@dataclass(frozen=True)
class CrossValidation:
    """The held-out cases of a dataset by fold, and where a configuration keeps each fold."""

    workspace: Workspace
    dataset: RawDataset
    plan: Plan
    folds: Mapping[str, Sequence[CaseFiles]]
    folders: Mapping[str, Mapping[str, Path]]  # configuration -> fold -> folder


def select(
    workspace: Workspace,
    name: str,
    configurations: Sequence[str] = (),
    ensembles: bool = True,
    device: str | None = None,
    workers: Workers | None = None,
) -> Selection:
    """Compare the configurations (default: all) and, with ``ensembles``, their pairs; writes ``selection.json``.

    Classifiers of single voxels are not paired, nor those that crop cases otherwise than the first of the others.
    The best mean foreground Dice over all held-out cases wins; a pair must be better than the best single one.
    BadInput: no configuration is trained in every fold, or one that is asked for is not.
    """
    dataset, plan = workspace.read_dataset(name), read_or_make_plan(workspace, name)
    validated = cross_validation(workspace, dataset, plan, configurations)
    names: list[tuple[str, ...]] = [(one,) for one in validated.folders]
    several = [plan.configurations[one] for one in validated.folders if plan.configurations[one].candidates is None]
    averaged = [one.name for one in several if crops_alike(one, several[0])]
    pairs: list[tuple[str, ...]] = list(combinations(averaged, 2)) if ensembles else []
    pair_folders = {pair: workspace.ensemble_folder(name, "+".join(pair)) for pair in pairs}
    with held(workspace.selection_file(name), "made", waiting=say):
        predict_pairs(validated, pair_folders, device, workers)
    structures = dataset.labels.foreground
    candidates: list[Candidate] = []
    tables: list[ComponentTable] = []
    with progress(f"compare {counted(len(names) + len(pairs), 'candidate')}") as shown:
        for done, members in enumerate([*names, *pairs], start=1):
            found = list(component_tables(validated, members, pair_folders.get(members)))
            candidates.append(rate(members, found, structures))
            if best(candidates) == len(candidates) - 1:
                tables = found
            shown.update(done / (len(names) + len(pairs)), SEVERAL.join(members))
    chosen = candidates[best(candidates)]
    postprocessing, steps, mean_dice = decide_postprocessing(tables, structures)
    selection = Selection(
        dataset=name,
        configurations=chosen.configurations,
        folds=tuple(validated.folds),
        postprocessing=postprocessing,
        mean_dice=mean_dice,
        reason=reason(candidates, steps),
        candidates=tuple(candidates),
        steps=steps,
        calibration=pair_calibration(validated, chosen.configurations, pair_folders, tables),
    )
    write_text(workspace.selection_file(name), selection.model_dump_json(indent=1) + "\n")
    return selection


def cross_validation(
    workspace: Workspace, dataset: RawDataset, plan: Plan, configurations: Sequence[str]
) -> CrossValidation:
    """The configurations whose every fold is trained and validated; the others are named with what to do."""
    folds = {f"fold{number}": fold for number, fold in enumerate(dataset_folds(dataset, split=plan.split))}
    if any(fold.validates_on_training_cases for fold in folds.values()):
        say("note: there is one subject; its cases were held out of nothing, so this proves nothing.", style="yellow")
    for name in configurations:
        require_configuration(plan, name)
    candidates = [name for name in plan.configurations if name in (configurations or plan.configurations)]
    complete: dict[str, dict[str, Path]] = {}
    sentences = []
    for name in candidates:
        folders = {fold: workspace.model_folder(dataset.name, name, fold) for fold in folds}
        if problem := missing(dataset, folders, folds):
            sentences.append(f"{name}: {problem}; `autoseg train {dataset.name} {name} cv` makes what is missing")
        else:
            complete[name] = folders
    if not complete or (configurations and sentences):
        raise BadInput(f"{dataset.name}: select needs the whole cross-validation ({'; '.join(sentences)}).")
    for sentence in sentences:
        say(f"left out: {sentence}.", style="yellow")
    by_name = {case.name: case for case in dataset.cases}
    held_out = {fold: [by_name[case] for case in one.scored] for fold, one in folds.items()}
    return CrossValidation(workspace, dataset, plan, held_out, complete)


def missing(dataset: RawDataset, folders: Mapping[str, Path], folds: Mapping[str, Fold]) -> str | None:
    """What a configuration lacks of its cross-validation, in words."""
    untrained = [fold for fold, folder in folders.items() if not (folder / "final.safetensors").is_file()]
    if untrained:
        return f"{', '.join(untrained)} not trained"
    for fold, folder in folders.items():
        split = recorded_split(folder)
        if split is None or set(split.scored) != set(folds[fold].scored):
            return f"{fold} was trained with other cases than splits.json says (--overwrite trains it anew)"
        unseen = [
            case for case in folds[fold].scored if not (folder / "validation" / (case + dataset.file_ending)).is_file()
        ]
        if unseen:
            return f"{fold} has not segmented {counted(len(unseen), 'held-out case')}"
    return None


def component_tables(
    validated: CrossValidation, members: Sequence[str], pair_folder: Path | None
) -> Iterator[ComponentTable]:
    """The table of every held-out case, as one configuration or a pair (in ``pair_folder``) segmented it."""
    labels = validated.dataset.labels

    def table(found: tuple[str, CaseFiles]) -> ComponentTable:
        fold, case = found
        folder = pair_folder or validated.folders[members[0]][fold] / "validation"
        prediction = folder / (case.name + validated.dataset.file_ending)
        one, other, _ = read_both(Pair(case.name, case.domain, prediction, require_labels(case)), labels)
        return component_table(one, other, labels.stored_values[1:], labels.ignore)

    return map_threads(table, [(fold, case) for fold, cases in validated.folds.items() for case in cases])


def pair_calibration(
    validated: CrossValidation,
    members: tuple[str, ...],
    pair_folders: Mapping[tuple[str, ...], Path],
    tables: Sequence[ComponentTable],
) -> Calibration | None:
    """How sure and how right a pair was of the held-out cases, whose ``tables`` are in their order."""
    if members not in pair_folders:
        return None
    known = certainties(pair_folders[members] / TABLE)
    names = [case.name for cases in validated.folds.values() for case in cases]
    structures = validated.dataset.labels.foreground
    dice = {
        name: case_dice(table, np.ones(len(table.numbers), bool), structures)
        for name, table in zip(names, tables, strict=True)
    }
    ending = validated.dataset.file_ending
    return calibrate({name: known[name + ending] for name in names if name + ending in known}, dice)


def predict_pairs(
    validated: CrossValidation,
    pair_folders: Mapping[tuple[str, ...], Path],
    device: str | None,
    workers: Workers | None = None,
) -> None:
    """Segment the held-out cases as each pair; finished ones are kept unless a network was trained anew.

    A case goes through the networks of each configuration once, whatever the number of pairs; no
    probabilities are stored.
    """
    for pair, folder in pair_folders.items():
        keep_if_made_from(folder, {name: weights_states(validated.folders[name]) for name in pair})
    ending, dataset = validated.dataset.file_ending, validated.dataset
    with ExitStack() as opened:
        tables = {folder: opened.enter_context(recording(folder / TABLE)) for folder in pair_folders.values()}

        def is_done(case: CaseFiles) -> bool:
            files = [(folder / (case.name + ending), table) for folder, table in tables.items()]
            return all(file.is_file() and table.has(file) for file, table in files)

        left = {fold: [case for case in cases if not is_done(case)] for fold, cases in validated.folds.items()}
        todo = {fold: cases for fold, cases in left.items() if cases}
        total, done = sum(map(len, todo.values())), 0
        if not total:
            return
        shown = opened.enter_context(
            progress(f"predict {counted(total, 'held-out case')} as {counted(len(tables), 'pair')}")
        )
        for fold, cases in todo.items():
            request = PairsOfFold(validated.workspace, dataset.name, fold, pair_folders, len(cases), device)
            for case, rows in segment_fold(request, cases, workers):
                for (folder, table), of_pair in zip(tables.items(), rows, strict=True):
                    table.put(folder / (case.name + ending), of_pair)
                done += 1
                shown.update(done / total, case.name)


def weights_states(folders: Mapping[str, Path]) -> dict[str, str]:
    """What tells whether a fold was trained anew."""
    return {fold: source_state(folder / "final.safetensors") for fold, folder in folders.items()}


def keep_if_made_from(folder: Path, states: Mapping[str, Mapping[str, str]]) -> None:
    """Empty the folder unless its label maps were made by the networks of ``states``."""
    record = folder / WEIGHTS_FILE
    if record.is_file() and record.read_text(encoding="utf-8") == json.dumps(states, indent=1) + "\n":
        return
    if folder.exists():
        shutil.rmtree(folder)
    write_json(record, states)


def reason(candidates: Sequence[Candidate], steps: Sequence[Step]) -> str:
    """Why this one, in a sentence."""
    chosen = candidates[best(candidates)]
    others = [one for one in candidates if one is not chosen and one.mean_dice is not None]
    if chosen.mean_dice is None:
        text = f"{chosen.title}: no Dice is defined, as neither the references nor the predictions have any label"
    elif not others:
        text = f"{chosen.title} is the only candidate"
    else:
        second = max(others, key=lambda one: one.mean_dice or 0.0)
        gain = chosen.mean_dice - (second.mean_dice or 0.0)
        text = f"{chosen.title} has the best mean Dice, {chosen.mean_dice:.4f}; {second.title} has {gain:.4f} less"
    kept = [f"{step.what} ({step.dice_before:.4f} to {step.dice_after:.4f})" for step in steps if step.kept]
    return text + (f"; keeping the largest component helps {', '.join(kept)}" if kept else "")
