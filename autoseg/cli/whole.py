"""Verbs that do everything: run and demo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autoseg.cli.executors import ExecutorOption, SchedulerOption, WorkersOption, chosen_workers
from autoseg.cli.models import show_summary, validation_title
from autoseg.cli.terminal import (
    CONFIGURATION_HELP,
    DeviceOption,
    JsonOption,
    comma_separated,
    gigabytes,
    print_json,
    seconds,
    workspace_root,
)
from autoseg.io.history import remember

if TYPE_CHECKING:
    from autoseg.io.workspace import Workspace


def run(
    bids_dirs: Annotated[list[Path], typer.Argument(metavar="BIDS_DIR...", help="Folders of BIDS datasets.")],
    dataset: Annotated[str, typer.Option(help="Name of the dataset in the workspace.")],
    time_budget: Annotated[str | None, typer.Option(help="Time for the training of each fold, such as 20m.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of 250 steps.", show_default="1000")] = None,
    configuration: Annotated[
        str | None, typer.Option(help=CONFIGURATION_HELP, show_default="the recommended one")
    ] = None,
    fold: Annotated[str, typer.Option(help="fold0 ... fold4, cv or all.")] = "fold0",
    channels: Annotated[str | None, typer.Option(help="Contrasts that together make a case.")] = None,
    contrasts: Annotated[str | None, typer.Option(help="Contrasts of which each image is a case.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="JSON file that overrides what is detected.")] = None,
    memory: Annotated[str | None, typer.Option(help="Memory that a training may use.", show_default="8GB")] = None,
    device: DeviceOption = None,
    executor: ExecutorOption = "local",
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """From BIDS datasets to a validated model. Run again after an interruption, it continues.

    Example: autoseg run site-a site-b --dataset Cord --time-budget 1h
    """
    from autoseg.io.workspace import Workspace, checked_name
    from autoseg.pipeline.training import TrainingOptions
    from autoseg.pipeline.whole import run as run_path

    budget_s, workspace = seconds(time_budget) if time_budget else None, Workspace(workspace_root())
    with chosen_workers(executor, scheduler, workers) as chosen:
        result = run_path(
            workspace,
            bids_dirs,
            checked_name(dataset),
            TrainingOptions(epochs, budget_s, resume=True, device=device, workers=chosen),
            fold,
            configuration,
            comma_separated(channels),
            comma_separated(contrasts),
            recipe,
            gigabytes(memory) if memory else None,
        )
    show_run(reported(workspace, result), as_json)


def demo(
    time_budget: Annotated[str, typer.Option(help="Time for the training.")] = "3m",
    as_json: JsonOption = False,
) -> None:
    """Make a small synthetic two-site spinal-cord dataset and run the whole path on it.

    Example: autoseg --workspace /tmp/demo demo
    """
    from autoseg.interop.synthetic_bids import write_demo
    from autoseg.io.workspace import Workspace
    from autoseg.pipeline.training import TrainingOptions
    from autoseg.pipeline.whole import run as run_path
    from autoseg.runtime.progress import say

    workspace = Workspace(workspace_root())
    source = workspace.root / "demo-bids"
    if not source.exists():
        say(f"writing two synthetic BIDS datasets to {source}")
        write_demo(source)
    sites = sorted(path for path in source.iterdir() if path.is_dir())
    options = TrainingOptions(time_budget_s=seconds(time_budget), resume=True)
    show_run(reported(workspace, run_path(workspace, sites, "Demo", options)), as_json)


def reported(workspace: Workspace, result: dict[str, Any]) -> dict[str, Any]:
    """The result with a report, in which this command is found too."""
    from autoseg.pipeline.whole import with_report

    remember(workspace.root, sys.argv[1:])
    return with_report(workspace, result)


def show_run(result: dict[str, Any], as_json: bool) -> None:
    """The Dice table of every fold, and where everything is."""
    dataset, configuration, root = result["dataset"], result["configuration"], Path(result["workspace"])
    if as_json:
        models = root / "models" / dataset / configuration
        trained = {fold: {"folder": models / fold, "validation": found} for fold, found in result["folds"].items()}
        print_json({**result, "folds": trained})
        return
    for fold, summary in result["folds"].items():
        if summary:
            show_summary(validation_title(dataset, configuration, fold, summary), summary)
        folder = root / "models" / dataset / configuration / fold
        print(f"model, curves and segmentations of the held-out cases: {folder}")
    print(f"report: {result['report']}")
    print(f"everything: {root}")
    print(f"segment new images: autoseg --workspace {root} predict IMAGE... -o OUT --dataset {dataset}")
