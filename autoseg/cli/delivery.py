"""Verbs about finished models: select, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoseg.cli.executors import ExecutorOption, SchedulerOption, WorkersOption, chosen_workers
from autoseg.cli.terminal import (
    CONFIGURATION_HELP,
    DatasetArgument,
    DeviceOption,
    JsonOption,
    print_json,
    print_table,
    workspace_root,
)

if TYPE_CHECKING:
    from autoseg.core.selection import Selection


def select(
    dataset: DatasetArgument,
    configurations: Annotated[
        list[str] | None,
        typer.Argument(help=CONFIGURATION_HELP, show_default="all with every fold trained"),
    ] = None,
    ensemble: Annotated[bool, typer.Option(help="Also compare the mean of each two.")] = True,
    device: DeviceOption = None,
    executor: ExecutorOption = "local",
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Choose the best configuration or pair, and its postprocessing, from cross-validation.

    Needs `autoseg train DATASET CONFIGURATION cv`. `predict` and `export` then do what was chosen.

    Example: autoseg select Cord
    """
    from autoseg.io.workspace import Workspace
    from autoseg.pipeline.selection import select as select_best

    workspace = Workspace(workspace_root())
    with chosen_workers(executor, scheduler, workers) as chosen:
        selection = select_best(workspace, dataset, configurations or (), ensemble, device, chosen)
    if as_json:
        print_json(selection.model_dump(mode="json"))
        return
    show_selection(selection)
    print(f"selection: {workspace.selection_file(dataset)}")
    print(f"next: autoseg predict IMAGE... -o OUT --dataset {dataset}, or autoseg export {dataset}")


def show_selection(selection: Selection) -> None:
    """The Dice of every candidate, the postprocessing that was tried, and the reason."""
    labels = list(selection.candidates[0].dice)
    rows = [
        (
            one.title,
            number(one.mean_dice),
            *(number(one.dice[label]) for label in labels),
            "chosen" if one.configurations == selection.configurations else "",
        )
        for one in selection.candidates
    ]
    print_table(f"{selection.dataset}: Dice of the held-out cases", ("configuration", "mean", *labels, ""), rows)
    steps = [
        (step.what, number(step.dice_before), number(step.dice_after), "kept" if step.kept else "no gain")
        for step in selection.steps
    ]
    print_table("Only the largest component of", ("label", "Dice without", "Dice with", ""), steps)
    print(f"{selection.reason}.")


def number(dice: float | None) -> str:
    """Four digits; a dash where there is none."""
    return "-" if dice is None else f"{dice:.4f}"


def export(
    dataset: DatasetArgument,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file.", show_default="./DATASET.autoseg.zip")
    ] = None,
    configuration: Annotated[
        str | None, typer.Option(help="This one alone.", show_default="what `select` chose, else all that are trained")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a trained model to one file, for `autoseg predict --model FILE` on any machine.

    Example: autoseg export Cord -o Cord.autoseg.zip
    """
    from autoseg.io.model_archive import ENDING
    from autoseg.io.workspace import Workspace
    from autoseg.pipeline.models import export as export_model

    output = output or Path(dataset + ENDING)
    members = export_model(Workspace(workspace_root()), dataset, output, configuration)
    size_mb = output.stat().st_size / 1e6
    if as_json:
        print_json({"file": output, "bytes": output.stat().st_size, "members": members})
        return
    print(f"{output}: {size_mb:.1f} MB with {', '.join(sorted({name.rpartition('/')[0] for name in members} - {''}))}")
    print(f"segment images with it: autoseg predict IMAGE... -o OUT --model {output}")
