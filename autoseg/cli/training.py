"""The verb that trains."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from autoseg.cli.executors import ExecutorOption, SchedulerOption, WorkersOption, chosen_workers
from autoseg.cli.models import show_summary, validation_title
from autoseg.cli.profile import profiled
from autoseg.cli.terminal import (
    CONFIGURATION_HELP,
    DatasetArgument,
    DeviceOption,
    JsonOption,
    ProfileOption,
    comma_separated,
    print_json,
    seconds,
    workspace_root,
)
from autoseg.core.errors import BadInput
from autoseg.runtime.launching import planned_count, start

if TYPE_CHECKING:
    from autoseg.pipeline.training import Summary, TrainingOptions
    from autoseg.pipeline.trainings import Training


PatienceOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="EPOCHS", help="End early, gently, after this long without a better validation Dice."),
]
BalanceOption = Annotated[
    Literal["cases", "domains"] | None,
    typer.Option(help="What patches come from equally often.", show_default="cases"),
]
FreezeOption = Annotated[
    str | None, typer.Option(metavar="PART,...", help="Parts that stay as --init-from gives them, such as encoder.")
]
DevicesOption = Annotated[
    int | None,
    typer.Option(min=1, help="Share each batch among so many processes, a GPU each (or the cores of the CPU)."),
]


def train(
    dataset: DatasetArgument,
    configuration: Annotated[str, typer.Argument(help=CONFIGURATION_HELP)],
    fold: Annotated[str, typer.Argument(help="fold0 ... fold4, cv (all of them in turn) or all (no held-out cases).")],
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of 250 steps.", show_default="1000")] = None,
    time_budget: Annotated[
        str | None, typer.Option(help="Train for this long, such as 20m: the whole schedule is fitted into it.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted training exactly.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Train anew, losing what is there.")] = False,
    splits: Annotated[Path | None, typer.Option(help='JSON list of {"train": [...], "val": [...]} case names.')] = None,
    device: DeviceOption = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Random seed.", show_default="0")] = None,
    init_from: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="Begin with the weights of a fold (its folder or file) or exported model."),
    ] = None,
    patience: PatienceOption = None,
    balance: BalanceOption = None,
    freeze: FreezeOption = None,
    devices: DevicesOption = None,
    profile: ProfileOption = None,
    executor: ExecutorOption = "local",
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a fold and validate it on its held-out cases. Plans and prepares what is missing.

    Example: autoseg train Cord 2d fold0 --time-budget 20m
    """
    from autoseg.io.workspace import Workspace
    from autoseg.pipeline.training import TrainingOptions
    from autoseg.pipeline.trainings import Training

    budget_s = seconds(time_budget) if time_budget else None
    how = splits, init_from, patience, balance, tuple(comma_separated(freeze) or ())
    options = TrainingOptions(epochs, budget_s, resume, overwrite, device, seed, *how)
    workspace = Workspace(workspace_root())
    training, count = Training(workspace, dataset, configuration, fold), devices or planned_count()
    if executor != "local" and count > 1:
        raise BadInput("--devices: shares one training, and --executor several, out; leave one of the two out.")
    with chosen_workers(executor, scheduler, workers) as chosen:
        summaries = train_in_processes(training, replace(options, workers=chosen), count, profile)
    if summaries is None:
        return
    folders = {name: workspace.model_folder(dataset, configuration, name) for name in summaries}
    if as_json:
        trained = {name: {"folder": folders[name], "validation": summary} for name, summary in summaries.items()}
        print_json({"dataset": dataset, "configuration": configuration, "folds": trained})
    else:
        show_trained(dataset, configuration, summaries, folders)


def train_in_processes(
    training: Training, options: TrainingOptions, count: int, profile: Path | None
) -> dict[str, Summary] | None:
    """Train in this process, start ``count`` that train together, or be one of them: None but of the one that speaks.

    typer.Exit with the status of those that were started.
    """
    from autoseg.pipeline.trainings import train_all

    title = f"train {training.dataset} {training.configuration} {training.fold}"
    if count == 1:
        with profiled(profile, title, options.device):
            return train_all([training], options)[0]
    if planned_count() == 1:
        raise typer.Exit(start(sys.argv[1:], count))
    if planned_count() != count:
        raise BadInput(f"--devices {count}: {planned_count()} processes were started; leave the option out.")
    from autoseg.pipeline.following import follow, tell_end
    from autoseg.runtime import ranks

    with ranks.joined(options.device) as device:
        if not ranks.is_first():
            follow(training.workspace, device)
            return None
        with profiled(profile, title, device):
            summaries = train_all([training], replace(options, device=device))[0]
        tell_end()
    return summaries


def show_trained(
    dataset: str, configuration: str, summaries: Mapping[str, dict[str, Any] | None], folders: Mapping[str, Path]
) -> None:
    """How each fold did on its held-out cases, and where it is."""
    for name, summary in summaries.items():
        if summary:
            show_summary(validation_title(dataset, configuration, name, summary), summary)
        print(f"model: {folders[name]}")
