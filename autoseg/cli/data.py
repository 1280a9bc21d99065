"""Verbs about data: convert-bids, plan, preprocess."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from autoseg.cli.executors import ExecutorOption, SchedulerOption, WorkersOption, chosen_workers
from autoseg.cli.terminal import (
    ConfigurationsArgument,
    DatasetArgument,
    JsonOption,
    comma_separated,
    gigabytes,
    print_json,
    print_table,
    workspace_root,
)

if TYPE_CHECKING:
    from autoseg.interop.raw_layout import Problem

MAX_LISTED = 20


def convert_bids(
    bids_dirs: Annotated[list[Path], typer.Argument(metavar="BIDS_DIR...", help="Folders of BIDS datasets.")],
    dataset: Annotated[str, typer.Option(help="Name of the dataset in the workspace.")],
    channels: Annotated[
        str | None,
        typer.Option(help="Contrasts that together make a case, such as FLAIR,T1w,T2w; or one of 4D images."),
    ] = None,
    contrasts: Annotated[
        str | None, typer.Option(help="Contrasts of which each image is a case, such as T2w,T2star.")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="JSON file that overrides what is detected.")] = None,
    exclude: Annotated[
        Path | None, typer.Option(metavar="MARKS.csv", help="Marks of a report: what failed is left out.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what matches; write nothing.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the dataset if it exists.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Merge BIDS datasets with manual segmentations into one dataset. The sources are only read.

    Example: autoseg convert-bids site-a site-b --dataset Cord --contrasts T2w
    """
    from autoseg.interop.bids_conversion import SUMMARY_HEADER, summary_rows
    from autoseg.io.workspace import Workspace, checked_name
    from autoseg.pipeline.conversion import match, write
    from autoseg.runtime.progress import counted, say

    folder = Workspace(workspace_root()).dataset_folder(checked_name(dataset))
    conversion = match(bids_dirs, comma_separated(channels), comma_separated(contrasts), recipe, exclude)
    problems, notes, cases = conversion.problems, conversion.notes, conversion.cases
    if not as_json:
        print_table("What matched", SUMMARY_HEADER, summary_rows(conversion))
    if not dry_run:
        report = write(conversion, folder, dataset, overwrite)
        problems, notes, cases = report.problems, report.notes, report.cases
    if as_json:
        print_json(
            {
                "dataset": dataset,
                "folder": None if dry_run else folder,
                "num_cases": len(cases),
                "domains": Counter(case.domain for case in cases),
                "labels": conversion.labels,
                "channels": conversion.channels,
                "problems": [{"file": p.file, "problem": p.sentence} for p in problems],
                "notes": notes,
            }
        )
        return
    show_left_out(problems, notes)
    names = ", ".join(f"{value} {name}" for name, value in conversion.labels.items())
    done = "(dry run: nothing is written)" if dry_run else f"in {folder}"
    say(f"{counted(len(cases), 'case')} with the labels {names} {done}")
    if not dry_run:
        say(f"next: autoseg plan {dataset}")


def show_left_out(problems: Sequence[Problem], notes: Sequence[str]) -> None:
    """What a conversion could not use, and what its user should read."""
    from autoseg.runtime.progress import say

    if problems:
        rows = [(str(problem.file), problem.sentence) for problem in problems[:MAX_LISTED]]
        print_table(f"What was left out ({len(problems)})", ("file", "why"), rows)
        if len(problems) > MAX_LISTED:
            say(f"the first {MAX_LISTED} of {len(problems)} are listed; --json lists all")
    for note in notes:
        say(f"note: {note}", style="yellow")


def plan(
    dataset: DatasetArgument,
    memory: Annotated[
        str | None,
        typer.Option(help="Memory that a training may use.", show_default="8GB; resenc-l 24GB, resenc-xl 40GB"),
    ] = None,
    planner: Annotated[
        str, typer.Option(help="default (plain U-Net), resenc-m, resenc-l or resenc-xl (residual U-Nets, nnU-Net's).")
    ] = "default",
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Follow a published system, such as paugam, or a JSON file.")
    ] = None,
    fidelity: Annotated[
        Literal["paper", "code"],
        typer.Option(help="Which to follow where a recipe's sources differ."),
    ] = "paper",
    executor: ExecutorOption = "local",
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a dataset and decide how to solve it; prints every decision with its reason.

    Configurations: 2d; 3d_fullres; 3d_lowres and 3d_cascade_fullres, which follows it, if a patch shows little of a
    case; full_volume if a whole case fits.

    Example: autoseg plan Cord --memory 12GB
    """
    from autoseg.io.workspace import Workspace
    from autoseg.pipeline.preparation import plan_dataset
    from autoseg.planning.explain import CONFIGURATION_HEADER, configuration_rows

    how = gigabytes(memory) if memory else None, planner, recipe, fidelity
    with chosen_workers(executor, scheduler, workers) as chosen:
        made = plan_dataset(Workspace(workspace_root()), dataset, *how, chosen)
    if as_json:
        print_json(made.model_dump(mode="json"))
        return
    rows = [(decision.what, decision.choice, decision.reason) for decision in made.decisions]
    print_table(f"The plan of {dataset}", ("decision", "choice", "reason"), rows)
    print_table("Configurations", CONFIGURATION_HEADER, configuration_rows(made))
    print(f"next: autoseg train {dataset} {made.recommended} fold0")


def preprocess(
    dataset: DatasetArgument,
    configurations: ConfigurationsArgument = None,
    executor: ExecutorOption = "local",
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Crop, normalise and resample the cases, so that a training can start at once. Finished cases are kept.

    Example: autoseg preprocess Cord 2d 3d_fullres
    """
    from autoseg.io.workspace import Workspace
    from autoseg.pipeline.cascade import available_label_maps
    from autoseg.pipeline.preparation import (
        prepare_cases,
        read_or_make_plan,
        require_configuration,
        require_own_plan,
    )

    workspace = Workspace(workspace_root())
    made = read_or_make_plan(workspace, dataset)
    chosen = [require_configuration(made, name) for name in configurations or made.configurations]
    raw = workspace.read_dataset(dataset)
    require_own_plan(raw, made)
    previous = available_label_maps(workspace, raw, chosen, required=configurations is not None)
    wanted = [one for one in chosen if one.name in previous]
    with chosen_workers(executor, scheduler, workers) as sharing:
        prepare_cases(workspace, made, wanted, raw.cases, previous, sharing)
    folders = {name: str(workspace.preprocessed_folder(dataset, name)) for name in previous}
    if as_json:
        print_json({"dataset": dataset, "num_cases": len(raw.cases), "folders": folders})
    else:
        for name, folder in folders.items():
            print(f"{name}: {len(raw.cases)} cases in {folder}")
