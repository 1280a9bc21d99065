"""autoseg from Python, as ``import autoseg`` offers it: what the verbs of the command line do, as functions.

Paths may be text. The workspace is the folder ``workspace``, else ``$AUTOSEG_WORKSPACE``, else
``./autoseg-workspace``. What a person would watch goes to stderr. BadInput, one sentence with the remedy, where
something given cannot be used.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from autoseg.core.plan import Balance, Plan
from autoseg.core.selection import Selection
from autoseg.evaluation.scores import DEFAULT_FAMILIES
from autoseg.interop.bids_conversion import ConversionReport
from autoseg.io.files import read_json
from autoseg.io.workspace import checked_name, usual_workspace
from autoseg.pipeline import conversion, models, preparation, training, whole
from autoseg.pipeline import evaluation as scoring
from autoseg.pipeline import prediction as predicting
from autoseg.pipeline import report as pages
from autoseg.pipeline import selection as choosing
from autoseg.pipeline.prediction import PredictionOptions
from autoseg.pipeline.report import Written
from autoseg.pipeline.segmenting import Predicted
from autoseg.pipeline.training import TrainingOptions
from autoseg.planning.recipe import Fidelity
from autoseg.training.tracking import Record

PathLike = Path | str


def convert_bids(
    bids_dirs: PathLike | Sequence[PathLike],
    dataset: str,
    *,
    channels: Sequence[str] | None = None,
    contrasts: Sequence[str] | None = None,
    recipe: PathLike | None = None,
    exclude: PathLike | None = None,
    overwrite: bool = False,
    workspace: PathLike | None = None,
) -> ConversionReport:
    """Merge BIDS datasets with manual segmentations into the dataset ``dataset``; the sources are only read.

    ``channels`` are contrasts that together make a case, ``contrasts`` those of which each image is one. ``exclude``
    are the marks of a report: what failed is left out. The result has the ``cases``, the ``labels`` (name -> value),
    and the ``problems`` of files that were left out.
    """
    folder = usual_workspace(workspace).dataset_folder(checked_name(dataset))
    matched = conversion.match(_paths(bids_dirs), channels, contrasts, _path(recipe), _path(exclude))
    return conversion.write(matched, folder, dataset, overwrite)


def plan(
    dataset: str,
    *,
    memory_gb: float | None = None,
    planner: str = "default",
    recipe: PathLike | None = None,
    fidelity: Fidelity = "paper",
    workspace: PathLike | None = None,
) -> Plan:
    """Measure the dataset and decide how to solve it; writes ``plan.json``.

    ``plan(...).decisions`` are the decisions with their reasons, ``configurations`` the ways of solving it by name, and
    ``recommended`` is the name of one. ``memory_gb`` is what a training may use (8 unless given).
    """
    named = None if recipe is None else str(recipe)
    return preparation.plan_dataset(usual_workspace(workspace), dataset, memory_gb, planner, named, fidelity)


def train(
    dataset: str,
    configuration: str | None = None,
    fold: str = "fold0",
    *,
    epochs: int | None = None,
    time_budget_s: float | None = None,
    resume: bool = False,
    overwrite: bool = False,
    device: str | None = None,
    seed: int | None = None,
    splits: PathLike | None = None,
    init_from: PathLike | None = None,
    patience_epochs: int | None = None,
    balance: Balance | None = None,
    frozen: Sequence[str] = (),
    on_epoch: Record | None = None,
    workspace: PathLike | None = None,
) -> dict[str, dict[str, Any] | None]:
    """Train a configuration (the recommended one unless given) and validate it on its held-out cases.

    ``fold`` is one of fold0 to fold4, ``cv`` or ``all``. The result maps each fold to the summary of its validation
    (``["mean"]["dice"]``; None for ``all``). ``on_epoch`` is called with the figures of each epoch, a line of
    ``progress.jsonl``; an exception in it ends the training, which ``resume`` continues from the last saved state.
    """
    place = usual_workspace(workspace)
    configuration = configuration or preparation.read_or_make_plan(place, dataset).recommended
    options = TrainingOptions(
        epochs=epochs,
        time_budget_s=time_budget_s,
        resume=resume,
        overwrite=overwrite,
        device=device,
        seed=seed,
        splits=_path(splits),
        init_from=_path(init_from),
        patience_epochs=patience_epochs,
        balance=balance,
        frozen=tuple(frozen),
        on_epoch=on_epoch,
    )
    return training.train(place, dataset, configuration, fold, options)


def select(
    dataset: str,
    configurations: Sequence[str] = (),
    *,
    ensemble: bool = True,
    device: str | None = None,
    workspace: PathLike | None = None,
) -> Selection:
    """Choose the best of the cross-validated configurations, or of each two (``ensemble``), and the postprocessing."""
    return choosing.select(usual_workspace(workspace), dataset, configurations, ensemble, device)


def export(
    dataset: str, output: PathLike, *, configuration: str | None = None, workspace: PathLike | None = None
) -> list[str]:
    """Write the trained model to one file, ``NAME.autoseg.zip``; the names of its members."""
    return models.export(usual_workspace(workspace), dataset, Path(output), configuration)


def predict(
    inputs: PathLike | Sequence[PathLike],
    output: PathLike,
    model: PathLike,
    *,
    configuration: str | None = None,
    folds: Sequence[str] = (),
    naming: str | None = None,
    overwrite: bool = False,
    save_probabilities: bool = False,
    save_masks: bool = False,
    mirroring: bool = True,
    step: float = 0.5,
    engine: str | None = None,
    device: str | None = None,
    workspace: PathLike | None = None,
) -> Predicted:
    """Segment images, folders or BIDS datasets into the folder ``output``; ``model`` is as for ``Predictor.load``.

    The result lists the files ``written`` and ``skipped`` (they were there), and the ``problems`` of images left out.
    """
    paths = _paths(inputs)
    naming = naming or predicting.usual_naming(paths)
    options = PredictionOptions(device, mirroring, step, engine, overwrite, save_probabilities, save_masks, naming)
    found = models.named_models(model, usual_workspace(workspace))
    return predicting.predict(found, paths, Path(output), configuration, folds, options)


def evaluate(
    predictions: PathLike,
    references: PathLike,
    *,
    output: PathLike | None = None,
    metrics: Collection[str] = DEFAULT_FAMILIES,
    error_maps: PathLike | None = None,
) -> dict[str, Any]:
    """Compare segmentations with references by case, label and domain: the content of ``evaluation.json``."""
    folder = Path(output or predictions)
    scoring.evaluate_folders(Path(predictions), Path(references), folder, metrics, _path(error_maps))
    document: dict[str, Any] = read_json(folder / "evaluation.json")
    return document


def run(
    bids_dirs: PathLike | Sequence[PathLike],
    dataset: str,
    *,
    time_budget_s: float | None = None,
    epochs: int | None = None,
    configuration: str | None = None,
    fold: str = "fold0",
    channels: Sequence[str] | None = None,
    contrasts: Sequence[str] | None = None,
    recipe: PathLike | None = None,
    memory_gb: float | None = None,
    device: str | None = None,
    on_epoch: Record | None = None,
    workspace: PathLike | None = None,
) -> dict[str, Any]:
    """From BIDS datasets to a validated model; run again after an interruption, it continues.

    The result names the ``configuration`` and the ``report``, and has the validation summary of each of the ``folds``.
    """
    options = TrainingOptions(epochs, time_budget_s, resume=True, device=device, on_epoch=on_epoch)
    where = usual_workspace(workspace), _paths(bids_dirs), checked_name(dataset)
    result = whole.run(*where, options, fold, configuration, channels, contrasts, _path(recipe), memory_gb)
    return whole.with_report(where[0], result)


def report(
    name: PathLike,
    *,
    images: PathLike | Sequence[PathLike] = (),
    configuration: str | None = None,
    num_cases: int | None = 9,
    output: PathLike | None = None,
    figures: PathLike | None = None,
    workspace: PathLike | None = None,
) -> Written:
    """Write the page of a dataset or a study, or of a folder of segmentations of ``images``; where it is.

    ``num_cases`` are in the viewer (None: all); into ``figures`` goes every drawing as SVG and PNG.
    """
    how = configuration, num_cases, _path(output), _path(figures)
    return pages.report(usual_workspace(workspace), str(name), _paths(images), *how)


def _paths(given: PathLike | Sequence[PathLike]) -> list[Path]:
    """One path, or several."""
    return [Path(given)] if isinstance(given, Path | str) else [Path(one) for one in given]


def _path(given: PathLike | None) -> Path | None:
    return None if given is None else Path(given)
