"""Verbs about nnU-Net: import-nnunet, export-nnunet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autoseg.cli.data import checked_name
from autoseg.cli.terminal import DatasetArgument, JsonOption, print_json, workspace_root


def import_nnunet(
    source: Annotated[
        Path, typer.Argument(help="A trained model: its folder in nnU-Net's results, or an exported zip.")
    ],
    dataset: Annotated[str, typer.Option(help="Name of the dataset in the workspace that the models get.")],
    as_json: JsonOption = False,
) -> None:
    """Take over models that nnU-Net has trained. Checkpoints are read without running anything in them.

    Example: autoseg import-nnunet nnUNet_results/Dataset001_Cord --dataset Cord
    """
    from autoseg.io.workspace import Workspace
    from autoseg.pipeline.nnunet import import_model

    imported = import_model(Workspace(workspace_root()), source, checked_name(dataset))
    if as_json:
        print_json({"dataset": dataset, "configurations": imported})
        return
    for configuration, folds in imported.items():
        print(f"{configuration}: {', '.join(folds)}")
    print(f"next: autoseg predict INPUT -o OUTPUT --dataset {dataset} --configuration {next(iter(imported))}")


def export_nnunet(
    dataset: DatasetArgument,
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="Folder like nnUNet_results.")],
    configuration: Annotated[
        str | None, typer.Option(help="Which one, if several are trained.", show_default="all that nnU-Net can have")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write trained models as nnU-Net keeps them, so that its commands predict with them.

    Example: autoseg export-nnunet Cord nnUNet_results
    """
    from autoseg.io.workspace import Workspace
    from autoseg.pipeline.nnunet import export_model

    folders = export_model(Workspace(workspace_root()), dataset, destination, configuration)
    if as_json:
        print_json({"dataset": dataset, "folders": folders})
        return
    for folder in folders:
        print(f"next: nnUNetv2_predict_from_modelfolder -i INPUT -o OUTPUT -m {folder}")
