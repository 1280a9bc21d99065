"""Verbs about models: train, predict, evaluate."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autoseg.cli.executors import ExecutorOption, SchedulerOption, WorkersOption, chosen_workers
from autoseg.cli.profile import profiled
from autoseg.cli.terminal import (
    BAD_INPUT,
    OWN_FAILURE,
    DeviceOption,
    JsonOption,
    ProfileOption,
    comma_separated,
    print_json,
    print_table,
    workspace_root,
)
from autoseg.core.errors import BadInput

if TYPE_CHECKING:
    pass


ProbabilitiesOption = Annotated[
    bool, typer.Option("--save-probabilities", help="Also OUT/probabilities, a volume a class, and OUT/confidence.")
]
MasksOption = Annotated[
    bool, typer.Option("--save-masks", help="Also write OUT/masks/NAME_label-LABEL_mask, a file for each label.")
]
NamingOption = Annotated[
    str | None,
    typer.Option(
        help="bids (a derivative dataset), spine (*_seg masks) or image (names of the inputs, in one folder).",
        show_default="bids for one BIDS dataset, else image",
    ),
]


def predict(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Images, folders or BIDS datasets.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the segmentations.")],
    dataset: Annotated[str | None, typer.Option(help="Dataset whose trained models are used.")] = None,
    model: Annotated[Path | None, typer.Option(help="File of `autoseg export`, instead of --dataset.")] = None,
    configuration: Annotated[
        str | None, typer.Option(help="This one alone.", show_default="what `select` chose, else the recommended one")
    ] = None,
    folds: Annotated[
        str | None, typer.Option(help="Folds to average, such as fold0,fold1.", show_default="all trained ones")
    ] = None,
    save_probabilities: ProbabilitiesOption = False,
    save_masks: MasksOption = False,
    naming: NamingOption = None,
    mirroring: Annotated[bool, typer.Option(help="Average over mirrored copies of the image.")] = True,
    step: Annotated[float, typer.Option(min=0.1, max=1.0, help="Distance of tiles in patch sizes.")] = 0.5,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Predict finished files again.")] = False,
    device: DeviceOption = None,
    engine: Annotated[
        str | None, typer.Option(help="torch or openvino (CPU only).", show_default="the faster one")
    ] = None,
    profile: ProfileOption = None,
    executor: ExecutorOption = "local",
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Segment images on their own grids: a BIDS dataset becomes a derivative dataset, other files keep their names.

    Does what `autoseg select` chose: one configuration or the mean of two, and the postprocessing.

    Example: autoseg predict new-site/ -o segmentations --dataset Cord
    """
    from autoseg.io.workspace import Workspace
    from autoseg.pipeline.models import archived_models, workspace_models
    from autoseg.pipeline.prediction import PredictionOptions, usual_naming
    from autoseg.pipeline.prediction import predict as predict_inputs
    from autoseg.runtime.progress import counted

    if (dataset is None) == (model is None):
        raise BadInput("predict: give either --dataset NAME or --model FILE.")
    models = archived_models(model) if model else workspace_models(Workspace(workspace_root()), str(dataset))
    naming = naming or usual_naming(inputs)
    how = device, mirroring, step, engine, overwrite, save_probabilities, save_masks, naming
    with (
        profiled(profile, f"predict with {dataset or model}", device),
        chosen_workers(executor, scheduler, workers) as sharing,
    ):
        options = PredictionOptions(*how, sharing)
        result = predict_inputs(models, inputs, output, configuration, comma_separated(folds) or (), options)
    if as_json:
        print_json(asdict(result))
    else:
        kept = f", {len(result.skipped)} were there already (--overwrite predicts them again)" if result.skipped else ""
        print(f"{counted(len(result.written), 'segmentation')} in {output}{kept}")
    if result.problems:
        raise typer.Exit(OWN_FAILURE if result.short_of_memory else BAD_INPUT)


def evaluate(
    predictions: Annotated[Path, typer.Argument(help="Folder of segmentations.")],
    references: Annotated[Path, typer.Argument(help="Folder of label files, or a BIDS dataset with labels.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where the results go.", show_default="PREDICTIONS")
    ] = None,
    metrics: Annotated[
        str,
        typer.Option(
            metavar="FAMILY,...",
            help="overlap (always), surface (HD, HD95, ASSD, NSD), voxels (HD of whole masks in voxels), "
            "skeleton (SHD, SMD; slow), lesions (sensitivity, PPV, F1).",
        ),
    ] = "overlap,surface",
    error_maps: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Also a NIfTI for each case: 1 = missed, 2 = invented, 3 = wrong label, 0 elsewhere."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare segmentations with references, by case, label and domain; writes evaluation.csv and .json.

    A label that is absent from both does not count; one that is missed or invented counts as Dice 0.

    Example: autoseg evaluate segmentations new-site/
    """
    from autoseg.io.files import read_json
    from autoseg.pipeline.evaluation import evaluate_folders

    families = comma_separated(metrics) or ()
    summary = evaluate_folders(predictions, references, output, families, error_maps)
    if as_json:
        print_json(read_json((output or predictions) / "evaluation.json"))
    else:
        show_summary(str(predictions), summary)
        print(f"details: {(output or predictions) / 'evaluation.csv'}")
    if summary["problems"]:
        raise typer.Exit(BAD_INPUT)


def validation_title(dataset: str, configuration: str, fold: str, summary: dict[str, Any]) -> str:
    """Which scores these are."""
    cases = "held-out cases" if summary["held_out"] else "the training cases (one subject: this proves nothing)"
    return f"{dataset} {configuration} {fold}: {cases}"


def show_summary(title: str, summary: dict[str, Any]) -> None:
    """The table of an evaluation."""
    from autoseg.evaluation.evaluate import summary_table

    print_table(title, *summary_table(summary))
