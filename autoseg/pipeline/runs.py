"""What a training is begun with and records beside its weights: its cases, how it is executed, its own plan."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.core.plan import Configuration, Decision, Plan
from autoseg.io import store
from autoseg.io.files import write_json, write_text
from autoseg.io.workspace import RawDataset, Workspace
from autoseg.pipeline.memory_checks import fits
from autoseg.pipeline.voxel_cascade import fold_voxels, seeing_all
from autoseg.planning.folds import Fold, split_document
from autoseg.preprocessing.intensity import value_of_zero
from autoseg.preprocessing.previous_stage import num_input_channels
from autoseg.runtime import ranks
from autoseg.runtime.memory import left_bytes
from autoseg.runtime.progress import counted, duration, progress, say
from autoseg.training.budget import fit_to_budget
from autoseg.training.sampling import with_counted_steps
from autoseg.training.schedule import Clock

if TYPE_CHECKING:
    import torch

    from autoseg.runtime.devices import Execution
    from autoseg.training.trainer import Assignment


SPLIT_FILE = "split.json"
EXECUTION_FILE = "execution.json"


def within_domains(fold: Fold, cases: Collection[CaseFiles], configuration: Configuration) -> Fold:
    """The fold of a configuration that only cases of its domains train and choose the weights of.

    All held-out cases are scored, whatever their domain. BadInput if nothing is left to train on.
    """
    if not configuration.train_domains:
        return fold
    known = {case.name for case in cases if case.domain in configuration.train_domains}
    train, validation = (tuple(name for name in side if name in known) for side in (fold.train, fold.validation))
    if not train:
        raise BadInput(
            f"{configuration.name}: no training case of the fold is of {', '.join(configuration.train_domains)}; "
            "train another fold or correct train_domains in the plan."
        )
    return Fold(train, validation, fold.scored)


def cases_of_fold(
    workspace: Workspace, dataset: RawDataset, configuration: Configuration, name: str, fold: Fold, anew: bool
) -> Fold:
    """What the configuration trains in a fold: those that its training was begun with, unless it begins ``anew``."""
    fold = within_domains(fold, dataset.cases, configuration)
    if not anew:
        fold = recorded_split(workspace.model_folder(dataset.name, configuration.name, name)) or fold
    if configuration.candidates and configuration.previous_stage:
        # The stages of a fold share their cases: nothing that validates has trained either of them.
        first = workspace.model_folder(dataset.name, configuration.previous_stage, name)
        fold = recorded_split(first) or fold
    return fold


def recorded_split(folder: Path) -> Fold | None:
    """The cases that a training was begun with; None if it was not."""
    path = folder / SPLIT_FILE
    if not path.is_file():
        return None
    try:
        split = json.loads(path.read_text(encoding="utf-8"))
        return Fold(tuple(split["train"]), tuple(split["val"]), tuple(split.get("test", ())))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadInput(f"{path}: does not list train and val cases; restore it or add --overwrite.") from None


def assignment_of(
    workspace: Workspace,
    dataset: RawDataset,
    plan: Plan,
    configuration: Configuration,
    fold_name: str,
    fold: Fold,
    device: str | None,
    weights: Mapping[str, torch.Tensor],
) -> Assignment:
    """What is to be trained in a fold whose cases are prepared, beginning with ``weights`` of another model if any."""
    from autoseg.training.trainer import Assignment

    prepared = workspace.preprocessed_folder(dataset.name, configuration.name)
    stored = store.open_cases(prepared, dict.fromkeys((*fold.train, *fold.validation)))
    training, validation = ([stored[name] for name in names] for names in (fold.train, fold.validation or fold.train))
    domains, voxels = {case.name: case.domain for case in dataset.cases}, None
    if configuration.candidates:
        voxels = fold_voxels(workspace, plan, configuration, fold_name, training, validation, device)
        configuration = seeing_all(configuration, *voxels)
    return Assignment(
        configuration,
        plan.labels,
        num_input_channels(plan, configuration),
        training,
        validation,
        workspace.model_folder(dataset.name, configuration.name, fold_name),
        weights,
        voxels,
        zeros=[value_of_zero(*one) for one in zip(configuration.normalization, plan.intensities, strict=True)],
        domains=[domains[name] for name in fold.train],
    )


def settle(
    assignment: Assignment, plan: Plan, clock: Clock, device: str | None, budget_s: float | None, resuming: bool
) -> tuple[Assignment, Execution, list[Decision]]:
    """How to execute, how many steps see everything once, and what fits into a time budget; a resumed run keeps all.

    Another number format or memory layout would round differently, and so end in other weights.
    """
    from autoseg.runtime.devices import choose_device, usual_execution
    from autoseg.training.probe import seconds_per_step

    device = choose_device(device)
    counted_steps = with_counted_steps(assignment.configuration, assignment.training, assignment.validation)
    assignment = replace(assignment, configuration=counted_steps)
    execution = recorded_execution(assignment.folder, device)
    execution = execution or usual_execution(device, assignment.configuration.training.precision)
    if budget_s is None or resuming:
        return assignment, execution, []

    left = left_bytes(device)

    def measure(candidate: Configuration) -> float:
        if not fits(plan, candidate, device, left):
            return math.inf  # it is not tried
        tell_to_probe(replace(assignment, configuration=candidate), execution)
        return seconds_per_step(replace(assignment, configuration=candidate), execution)

    left_s = budget_s - clock.elapsed_s
    with progress("time training steps"):
        configuration, decisions = fit_to_budget(
            assignment.configuration, max(left_s, 1.0), measure, bool(assignment.initial_weights)
        )
    training = configuration.training.model_copy(update={"time_budget_s": budget_s})
    configuration = configuration.model_copy(update={"training": training})
    return replace(assignment, configuration=configuration), execution, decisions


def recorded_execution(folder: Path, device: str) -> Execution | None:
    """How a training was begun on this device; None if it was not, or on another one."""
    from autoseg.runtime.devices import Execution

    path = folder / EXECUTION_FILE
    if not path.is_file():
        return None
    try:
        execution = Execution(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise BadInput(f"{path}: does not say how the training is executed; restore it or add --overwrite.") from None
    return execution if execution.device == device else None


def record_run(
    assignment: Assignment, execution: Execution, plan: Plan, decisions: Sequence[Decision], fold: Fold
) -> None:
    """The run's own copy of the plan, its split, and how it is executed."""
    configuration, folder = assignment.configuration, assignment.folder
    stages = [configuration.previous_stage] if configuration.previous_stage else []
    own = plan.model_copy(
        update={
            "configurations": {name: plan.configurations[name] for name in stages}
            | {configuration.name: configuration},
            "comparisons": {},
            "recommended": configuration.name,
            "decisions": (*plan.decisions, *decisions),
        }
    )
    write_json(folder / SPLIT_FILE, split_document(fold))
    write_json(folder / EXECUTION_FILE, asdict(execution))
    write_text(folder / "plan.json", own.model_dump_json(indent=1) + "\n")


def announce(assignment: Assignment, execution: Execution, fold_name: str) -> None:
    """What is about to run, and for how long."""
    configuration = assignment.configuration
    spec = configuration.training
    patch = " x ".join(str(size) for size in configuration.patch_size)
    length = (
        duration(spec.time_budget_s) if spec.time_budget_s else f"{spec.epochs} epochs x {spec.steps_per_epoch} steps"
    )
    say(
        f"train {configuration.name} {fold_name}: {counted(len(assignment.training), 'case')}, patch {patch}, "
        f"batch {configuration.batch_size}, {configuration.network.describe()}, {length}, "
        f"{execution.describe()}" + (f", {ranks.count()} processes" if ranks.count() > 1 else "")
    )
    idle = ranks.count() - configuration.batch_size
    if idle > 0:
        say(
            f"note: the batch has {counted(configuration.batch_size, 'sample')}, so {idle} of {ranks.count()} "
            "processes wait for the others in every step; start fewer.",
            style="yellow",
        )


def tell_to_probe(assignment: Assignment, execution: Execution) -> None:
    """The other processes of the training, if any, time steps together with this one."""
    ranks.tell(
        {
            "do": "probe",
            "configuration": assignment.configuration.model_dump(mode="json"),
            "labels": assignment.labels.model_dump(mode="json"),
            "num_channels": assignment.num_channels,
            "execution": asdict(execution),
        }
    )


def tell_to_train(assignment: Assignment, execution: Execution, dataset: str, fold_name: str) -> None:
    """The other processes of the training, if any, train together with this one."""
    ranks.tell(
        {
            "do": "train",
            "dataset": dataset,
            "fold": fold_name,
            "configuration": assignment.configuration.model_dump(mode="json"),
            "execution": asdict(execution),
        }
    )
