"""Verbs about models: train, predict, evaluate."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from autoseg.cli.executors import ExecutorOption, SchedulerOption, WorkersOption, chosen_workers
from autoseg.cli.profile import profiled
from autoseg.cli.terminal import (
    BAD_INPUT,
    CONFIGURATION_HELP,
    OWN_FAILURE,
    DatasetArgument,
    DeviceOption,
    JsonOption,
    ProfileOption,
    comma_separated,
    print_json,
    print_table,
    seconds,
    workspace_root,
)
from autoseg.core.errors import BadInput
from autoseg.runtime.launching import planned_count, start

if TYPE_CHECKING:
    from autoseg.pipeline.training import Summary, TrainingOptions
    from autoseg.pipeline.trainings import Training


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
    patience: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="EPOCHS", help="End early, gently, after this long without a better validation Dice."
        ),
    ] = None,
    balance: Annotated[
        Literal["cases", "domains"] | None,
        typer.Option(help="What patches come from equally often.", show_default="cases"),
    ] = None,
    freeze: Annotated[
        str | None,
        typer.Option(metavar="PART,...", help="Parts that stay as --init-from gives them, such as encoder."),
    ] = None,
    devices: Annotated[
        int | None,
        typer.Option(min=1, help="Share each batch among so many processes, a GPU each (or the cores of the CPU)."),
    ] = None,
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
    save_probabilities: Annotated[
        bool, typer.Option("--save-probabilities", help="Also OUT/probabilities, a volume a class, and OUT/confidence.")
    ] = False,
    save_masks: Annotated[
        bool, typer.Option("--save-masks", help="Also write OUT/masks/NAME_label-LABEL_mask, a file for each label.")
    ] = False,
    naming: Annotated[
        str | None,
        typer.Option(
            help="bids (a derivative dataset), spine (*_seg masks) or image (names of the inputs, in one folder).",
            show_default="bids for one BIDS dataset, else image",
        ),
    ] = None,
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
    from autoseg.pipeline.evaluation import evaluate_folders

    families = comma_separated(metrics) or ()
    summary = evaluate_folders(predictions, references, output, families, error_maps)
    if as_json:
        print_json(summary)
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
