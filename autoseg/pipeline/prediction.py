"""From images and trained folds to label maps on the images' own grids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.core.plan import read_plan
from autoseg.interop.bids_derivative import bids_layout, spine_layout
from autoseg.interop.prediction_inputs import EVERYONE, Subset, find_inputs, single_bids_dataset
from autoseg.interop.prediction_outputs import Layout, image_layout, refuse_to_write_over
from autoseg.io.files import read_text
from autoseg.io.locks import held
from autoseg.pipeline.elsewhere import segment_elsewhere
from autoseg.pipeline.memory_checks import memory_guard
from autoseg.pipeline.models import Choice, TrainedModels, choose, placed_models
from autoseg.pipeline.safety import safety_of
from autoseg.pipeline.segmenting import InWork, Line, OutputsOf, Predicted, pass_through, recorded
from autoseg.pipeline.voxel_cascade import load_chains
from autoseg.runtime.progress import counted, say
from autoseg.runtime.workers import Workers

if TYPE_CHECKING:
    from autoseg.inference.candidates import CandidatePredictor
    from autoseg.inference.ensemble import Ensemble
    from autoseg.inference.predictor import Predictor

NAMINGS = ("bids", "spine", "image")


@dataclass(frozen=True)
class PredictionOptions:
    """What a user may say about a prediction."""

    device: str | None = None
    mirror: bool = True
    step: float = 0.5
    engine: str | None = None
    overwrite: bool = False
    save_probabilities: bool = False
    save_masks: bool = False
    naming: str = "image"
    workers: Workers | None = None  # None: this process


@dataclass(frozen=True)
class Request:
    """All that a process needs to know to segment any of the cases; ``place`` is that of the models."""

    place: Path
    chosen: Choice
    options: PredictionOptions
    num_cases: int
    in_documents: bool


def predict(
    models: TrainedModels,
    inputs: Sequence[Path],
    output: Path,
    configuration: str | None = None,
    fold_names: Sequence[str] = (),
    options: PredictionOptions = PredictionOptions(),
    subset: Subset = EVERYONE,
) -> Predicted:
    """Segment the inputs: as the selection says, or with one configuration (``models.choose``).

    Of BIDS datasets, the participants and sessions of ``subset`` are.
    """
    if options.workers is not None:  # which have other working directories
        inputs, output = [path.absolute() for path in inputs], output.absolute()
    chosen = choose(models, configuration, fold_names)
    folder = models.folds[chosen.configurations[0]][chosen.folds[0]]
    plan = read_plan(read_text(folder / "plan.json"), str(folder))
    cases, problems = find_inputs(inputs, plan.channels, subset)
    for problem in problems:
        say(f"left out: {problem}", style="red")
    layout = named_layout(inputs, output, plan.labels, f"the model {models.dataset}, {chosen.title}", options)
    refuse_to_write_over(cases, layout)
    request = Request(models.place, chosen, replace(options, workers=None), len(cases), layout.table is None)
    segmented: Callable[[Sequence[CaseFiles], OutputsOf], Iterator[InWork]]
    if options.workers is None:
        line = make_line(models, request)
        where, segmented = line.guard.predictor.describe(), partial(pass_through, line)
    else:
        output.mkdir(parents=True, exist_ok=True)
        options.workers.require_seen([models.place, output, *(case.channels[0] for case in cases[:1])])
        where = counted(options.workers.num_workers, "worker")
        segmented = partial(segment_elsewhere, options.workers, line_of, request)
    say(f"{models.dataset} {chosen.title} on {where}")
    for values in chosen.postprocessing.keep_largest:
        say(f"then only the largest component of {label_names(plan.labels, values)}")
    with held(output / "predictions", "written"):
        predicted = recorded(cases, layout, options.overwrite, not request.in_documents, segmented)
    return replace(predicted, problems=(*problems, *predicted.problems))


def line_of(request: Request) -> Line:
    """What cases go through, in a process that knows only the request."""
    return make_line(placed_models(request.place), request)


def make_line(models: TrainedModels, request: Request) -> Line:
    """What cases go through: the networks that were chosen, and what is known of their training."""
    chosen = request.chosen
    others = [name for name in models.folds if name not in chosen.configurations]
    guard = memory_guard(load(models, chosen, request.options, request.num_cases), others)
    return Line(guard, chosen.postprocessing, safety_of(models, chosen), request.in_documents)


def usual_naming(inputs: Sequence[Path]) -> str:
    """A BIDS dataset for a BIDS dataset; for anything else the names of the images."""
    return "bids" if single_bids_dataset(inputs) else "image"


def named_layout(
    inputs: Sequence[Path], output: Path, labels: Labels, model: str, options: PredictionOptions
) -> Layout:
    """The layout of ``options.naming``; BadInput where the inputs cannot have it."""
    extras = (options.save_probabilities, options.save_masks)
    if options.naming == "image":
        return image_layout(output, labels, *extras)
    source = single_bids_dataset(inputs)
    if options.naming not in NAMINGS or source is None:
        raise BadInput(
            f"--naming {options.naming}: is one of {', '.join(NAMINGS)}, and all but image are for one BIDS dataset; "
            "give a single dataset, or leave the option out."
        )
    if options.naming == "bids":
        return bids_layout(source, output, labels, model, *extras)
    if options.save_probabilities:
        raise BadInput("--naming spine: has no name for probabilities; leave --save-probabilities out.")
    return spine_layout(source, output, labels, model)


def load(
    models: TrainedModels, chosen: Choice, options: PredictionOptions, num_cases: int
) -> Predictor | Ensemble | CandidatePredictor:
    """The predictor of one configuration; of several, or if probabilities are wanted, an ensemble."""
    from autoseg.inference.ensemble import Ensemble

    voxelwise = [name for name in chosen.configurations if classifies_voxels(models, name, chosen.folds[0])]
    if voxelwise and len(chosen.configurations) > 1:
        raise BadInput(
            f"{models.dataset}: {voxelwise[0]} classifies single voxels, which cannot be averaged with "
            "another configuration; name one of them with --configuration."
        )
    if voxelwise:
        if options.engine not in (None, "torch"):
            raise BadInput(f"--engine {options.engine}: {voxelwise[0]} runs with torch only; leave the option out.")
        return load_chains(models, voxelwise[0], chosen.folds, options.device)
    members = [load_configuration(models, name, chosen.folds, options, num_cases) for name in chosen.configurations]
    return members[0] if len(members) == 1 and not options.save_probabilities else Ensemble(members)


def classifies_voxels(models: TrainedModels, name: str, fold: str) -> bool:
    """Whether a configuration is one of candidate voxels."""
    folder = models.folds[name][fold]
    plan = read_plan(read_text(folder / "plan.json"), str(folder))
    return name in plan.configurations and plan.configurations[name].candidates is not None


def load_configuration(
    models: TrainedModels, name: str, folds: Sequence[str], options: PredictionOptions, num_cases: int
) -> Predictor:
    """The folds of a configuration; before them, in a cascade, all folds of the previous stage."""
    from autoseg.inference.predictor import load_predictor

    folders = [models.folds[name][fold] for fold in folds]
    plan = read_plan(read_text(folders[0] / "plan.json"), str(folders[0]))
    stage = plan.configurations[name].previous_stage if name in plan.configurations else None
    previous = None
    if stage is not None:
        if stage not in models.folds:
            raise BadInput(f"{models.dataset}: {name} follows {stage}, which is not trained; train or import it too.")
        previous = load_configuration(models, stage, tuple(models.folds[stage]), options, num_cases).predict
    how = options.device, options.mirror, options.step, options.engine
    return load_predictor(folders, name, *how, num_cases, previous)


def label_names(labels: Labels, values: Sequence[int]) -> str:
    """Such as ``liver and tumour``: what is predicted with one of ``values``."""
    return " and ".join(name for value, name in labels.written_names.items() if value in values)
