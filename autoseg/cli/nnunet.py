"""Verbs about nnU-Net: import-nnunet, export-nnunet."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from autoseg.cli.data import show_left_out
from autoseg.cli.terminal import DatasetArgument, JsonOption, print_json, workspace_root


class What(StrEnum):
    """What export-nnunet writes."""

    MODELS = "models"
    DATASET = "dataset"


def import_nnunet(
    source: Annotated[
        Path,
        typer.Argument(
            help="A raw dataset (DatasetNNN_NAME with dataset.json), or a trained model: its folder in nnU-Net's "
            "results, or an exported zip."
        ),
    ],
    dataset: Annotated[str, typer.Option(help="Name of the dataset in the workspace.")],
    as_json: JsonOption = False,
) -> None:
    """Take over a raw dataset of nnU-Net (links; the source is only read), or models that nnU-Net has trained.

    Checkpoints are read without running anything in them.

    Example: autoseg import-nnunet nnUNet_raw/Dataset001_Cord --dataset Cord

    Example: autoseg import-nnunet nnUNet_results/Dataset001_Cord --dataset Cord
    """
    from autoseg.interop.nnunet_raw import is_raw_dataset
    from autoseg.io.workspace import checked_name

    if is_raw_dataset(source):
        _import_dataset(source, checked_name(dataset), as_json)
    else:
        _import_models(source, checked_name(dataset), as_json)


def _import_dataset(source: Path, dataset: str, as_json: bool) -> None:
    from autoseg.io.workspace import Workspace
    from autoseg.pipeline.nnunet_dataset import import_dataset
    from autoseg.runtime.progress import counted, say

    workspace = Workspace(workspace_root())
    imported = import_dataset(workspace, source, dataset)
    folder = workspace.dataset_folder(dataset)
    if as_json:
        print_json(
            {
                "what": "dataset",
                "dataset": dataset,
                "folder": folder,
                "num_cases": len(imported.cases),
                "problems": [{"file": p.file, "problem": p.sentence} for p in imported.problems],
                "notes": imported.notes,
            }
        )
        return
    show_left_out(imported.problems, imported.notes)
    say(f"{counted(len(imported.cases), 'case')} in {folder}")
    say(f"next: autoseg plan {dataset}")


def _import_models(source: Path, dataset: str, as_json: bool) -> None:
    from autoseg.io.workspace import Workspace
    from autoseg.pipeline.nnunet import import_model

    imported = import_model(Workspace(workspace_root()), source, dataset)
    if as_json:
        print_json({"what": "models", "dataset": dataset, "configurations": imported})
        return
    for configuration, folds in imported.items():
        print(f"{configuration}: {', '.join(folds)}")
    print(f"next: autoseg predict INPUT -o OUTPUT --dataset {dataset} --configuration {next(iter(imported))}")


def export_nnunet(
    dataset: DatasetArgument,
    destination: Annotated[
        Path, typer.Argument(metavar="DEST", help="Folder like nnUNet_results; for a dataset, like nnUNet_raw.")
    ],
    what: Annotated[What, typer.Option(help="The trained models, or the images and labels.")] = What.MODELS,
    configuration: Annotated[
        str | None, typer.Option(help="Which one, if several are trained.", show_default="all that nnU-Net can have")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write trained models, or the dataset (as links), as nnU-Net keeps them, so that its commands can go on.

    Example: autoseg export-nnunet Cord nnUNet_results

    Example: autoseg export-nnunet Cord nnUNet_raw --what dataset
    """
    if what is What.DATASET:
        _export_dataset(dataset, destination, configuration, as_json)
    else:
        _export_models(dataset, destination, configuration, as_json)


def _export_dataset(dataset: str, destination: Path, configuration: str | None, as_json: bool) -> None:
    from autoseg.core.errors import BadInput
    from autoseg.io.workspace import Workspace
    from autoseg.pipeline.nnunet_dataset import export_dataset
    from autoseg.runtime.progress import counted, say

    if configuration is not None:
        raise BadInput("--configuration: is for models, and a dataset has none; leave it out.")
    exported = export_dataset(Workspace(workspace_root()), dataset, destination)
    if as_json:
        print_json({"what": "dataset", "dataset": dataset, "folders": [exported.folder], "notes": exported.notes})
        return
    for note in exported.notes:
        say(f"note: {note}", style="yellow")
    say(f"{counted(exported.num_cases, 'case')} in {exported.folder}")
    number = int(exported.folder.name[len("Dataset") : len("Dataset000")])
    print(f"next: nnUNetv2_plan_and_preprocess -d {number} --verify_dataset_integrity")


def _export_models(dataset: str, destination: Path, configuration: str | None, as_json: bool) -> None:
    from autoseg.io.workspace import Workspace
    from autoseg.pipeline.nnunet import export_model

    folders = export_model(Workspace(workspace_root()), dataset, destination, configuration)
    if as_json:
        print_json({"what": "models", "dataset": dataset, "folders": folders, "notes": []})
        return
    for folder in folders:
        print(f"next: nnUNetv2_predict_from_modelfolder -i INPUT -o OUTPUT -m {folder}")
