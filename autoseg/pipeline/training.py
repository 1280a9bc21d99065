"""Training of folds, and their validation on whole cases."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoseg.core.errors import BadInput
from autoseg.core.plan import Balance, Configuration, Decision, Plan, read_plan
from autoseg.io.files import remove_partial
from autoseg.io.locks import held
from autoseg.io.workspace import RawDataset, Workspace, nearest_name
from autoseg.pipeline.cascade import held_out_label_maps
from autoseg.pipeline.fine_tuning import begin
from autoseg.pipeline.memory_checks import require_memory_to_train, telling_shortage
from autoseg.pipeline.preparation import (
    dataset_folds,
    prepare_cases,
    read_or_make_plan,
    require_configuration,
    require_own_plan,
)
from autoseg.pipeline.runs import (
    announce,
    assignment_of,
    cases_of_fold,
    record_run,
    settle,
    tell_to_train,
)
from autoseg.pipeline.validation import validate_fold
from autoseg.planning.folds import Fold
from autoseg.runtime.memory import keep_freed_memory
from autoseg.runtime.progress import say
from autoseg.runtime.workers import Workers
from autoseg.training.budget import smallest_of_budget
from autoseg.training.schedule import Clock
from autoseg.training.tracking import Record

if TYPE_CHECKING:
    from autoseg.training.trainer import Assignment

Summary = dict[str, Any] | None  # of the validation of a fold; None where nothing is held out


@dataclass(frozen=True)
class TrainingOptions:
    """What a user may say about a training."""

    epochs: int | None = None
    time_budget_s: float | None = None
    resume: bool = False
    overwrite: bool = False
    device: str | None = None
    seed: int | None = None
    splits: Path | None = None
    init_from: Path | None = None
    patience_epochs: int | None = None
    balance: Balance | None = None
    frozen: tuple[str, ...] = ()
    on_epoch: Record | None = None  # called with the figures of each epoch
    workers: Workers | None = None  # that train (``pipeline.trainings``); None: this process
    waits: bool = False  # for a process that trains the same fold; else it is refused


def resolve_folds(dataset: RawDataset, plan: Plan, fold: str, splits: Path | None) -> dict[str, Fold]:
    """Fold name -> its cases, for ``fold0``..., ``cv`` (every fold) or ``all`` (every case trains)."""
    if fold == "all":
        names = tuple(case.name for case in dataset.cases)
        return {"all": Fold(names, ())}
    known = {f"fold{index}": one for index, one in enumerate(dataset_folds(dataset, splits, plan.split))}
    if fold == "cv":
        return known
    if fold not in known:
        raise BadInput(f"fold {fold!r} is unknown ({nearest_name(fold, [*known, 'cv', 'all'])}).")
    return {fold: known[fold]}


def train(
    workspace: Workspace, name: str, configuration_name: str, fold: str, options: TrainingOptions
) -> dict[str, Summary]:
    """Train the folds that ``fold`` means and validate each; fold -> summary (None for ``all``).

    Folds that are finished are not trained again when ``cv`` or ``resume`` is asked for.
    FloatingPointError: the loss of a fold became no number; with ``cv`` after the other folds.
    """
    dataset = workspace.read_dataset(name)
    plan = read_or_make_plan(workspace, name)
    require_own_plan(dataset, plan)
    configuration = require_configuration(plan, configuration_name)
    summaries: dict[str, Summary] = {}
    failures: list[str] = []
    folds = resolve_folds(dataset, plan, fold, options.splits)
    folders = {fold_name: workspace.model_folder(name, configuration_name, fold_name) for fold_name in folds}
    waiting = [one for one in folds if options.overwrite or not (folders[one] / "final.safetensors").is_file()]
    for fold_name, cases in folds.items():
        folder, left = folders[fold_name], len(waiting) - sum(one in summaries for one in waiting)
        cases = cases_of_fold(workspace, dataset, configuration, fold_name, cases, anew=options.overwrite)
        try:
            with held(folder, "trained", waiting=say if options.waits else None):
                if not already_trained(folder, options, several=fold == "cv"):
                    train_fold(workspace, dataset, plan, configuration_name, fold_name, cases, options, left)
                summaries[fold_name] = validate_fold(
                    workspace, dataset, configuration_name, fold_name, cases, options.device
                )
        except FloatingPointError as error:
            if fold != "cv":
                raise
            say(f"{fold_name} failed: {error}", style="red")
            failures.append(str(error))
    if failures:
        raise FloatingPointError(told_together(failures, "folds"))
    return summaries


def already_trained(folder: Path, options: TrainingOptions, several: bool) -> bool:
    """Whether a fold is finished and to be kept; BadInput where it alone was asked for."""
    if options.overwrite or not (folder / "final.safetensors").is_file():
        return False
    if not several and not options.resume:
        raise BadInput(f"{folder}: this fold is trained already; predict with it, or add --overwrite to train it anew.")
    say(f"{folder.name} is trained already")
    return True


def told_together(failures: Sequence[str], what: str) -> str:
    """One sentence of several: the first, and how many ``what`` failed in all."""
    more = f" (so failed {len(failures)} {what}; the others are trained)." if len(failures) > 1 else ""
    return failures[0].removesuffix(".") + more if more else failures[0]


def train_fold(
    workspace: Workspace,
    dataset: RawDataset,
    plan: Plan,
    configuration_name: str,
    fold_name: str,
    fold: Fold,
    options: TrainingOptions,
    folds_left: int = 1,
) -> None:
    """Prepare the cases and train one fold, the first of ``folds_left``."""
    folder = workspace.model_folder(dataset.name, configuration_name, fold_name)
    resuming = (folder / "state.safetensors").is_file() and not options.overwrite
    if resuming:
        plan = read_plan((folder / "plan.json").read_text(encoding="utf-8"), str(folder / "plan.json"))
        if options.frozen not in ((), plan.configurations[configuration_name].training.frozen):
            raise BadInput(f"{folder}: this training began with other parts frozen; resume it without --freeze.")
    configuration = with_options(plan.configurations[configuration_name], options)
    # Before --overwrite empties the folder: the model may lie there.
    beginning = None if resuming else begin(options.init_from, configuration, plan, fold.scored)
    configuration = beginning.configuration if beginning else configuration
    require_memory(plan, configuration, options, beginning is not None)
    start_or_continue(folder, options)
    remove_partial([folder])
    wanted = set(fold.train) | set(fold.validation)
    cases = [case for case in dataset.cases if case.name in wanted]
    stages = held_out_label_maps(workspace, dataset, configuration, [case.name for case in cases])
    prepare_cases(workspace, plan, [configuration], cases, {configuration_name: stages})
    weights = beginning.weights if beginning else {}
    assignment = assignment_of(workspace, dataset, plan, configuration, fold_name, fold, options.device, weights)
    keep_freed_memory()
    clock = Clock(assignment.configuration.training, folds=folds_left)
    fit(assignment, plan, clock, fold_name, fold, options, beginning.decision if beginning else None)


def fit(
    assignment: Assignment,
    plan: Plan,
    clock: Clock,
    fold_name: str,
    fold: Fold,
    options: TrainingOptions,
    decision: Decision | None,
) -> None:
    """Settle how the training is executed, record it, and train; MemoryError names the remedy."""
    from autoseg.runtime.devices import choose_device
    from autoseg.training.trainer import train

    resuming = assignment.state_path.is_file()
    with telling_shortage(plan, assignment.configuration, choose_device(options.device), assignment.state_path):
        assignment, execution, decisions = settle(
            assignment, plan, clock, options.device, options.time_budget_s, resuming
        )
        if not resuming:
            record_run(assignment, execution, plan, [*decisions, *([decision] if decision else [])], fold)
        clock.spec = assignment.configuration.training
        announce(assignment, execution, fold_name)
        tell_to_train(assignment, execution, plan.dataset, fold_name)
        train(assignment, execution, clock, options.on_epoch)


def require_memory(plan: Plan, configuration: Configuration, options: TrainingOptions, width_is_given: bool) -> None:
    """MemoryError before anything is prepared where a step clearly does not fit, even the smallest of a budget."""
    from autoseg.runtime.devices import choose_device

    smallest = configuration
    if options.time_budget_s is not None:
        smallest = smallest_of_budget(configuration, width_is_given)
    require_memory_to_train(plan, smallest, choose_device(options.device))


def start_or_continue(folder: Path, options: TrainingOptions) -> None:
    """Refuse to lose an unfinished training; make or empty the folder where that was asked for."""
    unfinished = (folder / "state.safetensors").is_file()
    if options.overwrite and folder.exists():
        shutil.rmtree(folder)
    elif unfinished and not options.resume:
        raise BadInput(
            f"{folder}: holds an unfinished training; add --resume to continue it or --overwrite to start anew."
        )
    folder.mkdir(parents=True, exist_ok=True)


def with_options(configuration: Configuration, options: TrainingOptions) -> Configuration:
    """The configuration with the user's epochs, budget, patience, seed, balance and frozen weights.

    BadInput where that cannot be.
    """
    asked = {
        "seed": options.seed,
        "epochs": options.epochs,
        "time_budget_s": options.time_budget_s,
        "patience_epochs": options.patience_epochs,
        "frozen": options.frozen or None,
    }
    changes = {field: value for field, value in asked.items() if value is not None}
    balance = options.balance or configuration.balance
    if balance == "domains" and configuration.sampling != "patches":
        raise BadInput(
            f"--balance domains: {configuration.name} does not draw patches at random "
            f"(its sampling is {configuration.sampling}); leave the option out."
        )
    training = configuration.training.model_copy(update=changes)
    return configuration.model_copy(update={"training": training, "balance": balance})
