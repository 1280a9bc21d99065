"""From images and trained folds to label maps on the images' own grids."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from autoseg.core.case import CaseFiles, Image
from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.core.plan import Plan, read_plan
from autoseg.core.selection import Postprocessing
from autoseg.inference.postprocess import postprocess
from autoseg.interop.prediction_inputs import find_inputs
from autoseg.io import images
from autoseg.io.probabilities import ENDING, write_probabilities
from autoseg.io.workspace import LABELS_FILE, write_json, write_text
from autoseg.pipeline.models import Choice, TrainedModels, choose
from autoseg.pipeline.voxel_cascade import load_chains
from autoseg.runtime.jobs import map_threads
from autoseg.runtime.profiling import phase, timed
from autoseg.runtime.progress import counted, progress, say

if TYPE_CHECKING:
    from autoseg.inference.candidates import CandidatePredictor
    from autoseg.inference.ensemble import Ensemble
    from autoseg.inference.predictor import Labels as LabelMap
    from autoseg.inference.predictor import Predictor

PROBABILITIES_FOLDER, MASKS_FOLDER = "probabilities", "masks"
UNCHANGED = Postprocessing()


class Segmenter(Protocol):
    """A ``Predictor``, ``Ensemble`` or ``CandidatePredictor``: prepares an image, then segments what that gave."""

    @property
    def plan(self) -> Plan:
        """What holds for all networks."""

    def prepare(self, name: str, image: Image) -> Any:
        """What the networks see of ``image``."""

    def segment(self, case: Any) -> Callable[[], LabelMap]:
        """Run the networks; what is returned gives the labels, once."""


@dataclass(frozen=True)
class Predicted:
    """The outcome of a prediction: files written, files that were there, and sentences about failures."""

    written: tuple[Path, ...]
    skipped: tuple[Path, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class _Places:
    """Where what is found of a case goes."""

    output: Path
    output_name: Callable[[CaseFiles], str]
    labels: Labels
    probabilities: Path | None
    masks: Path | None

    def labels_of(self, case: CaseFiles) -> Path:
        return self.output / self.output_name(case)

    def probabilities_of(self, case: CaseFiles) -> Path | None:
        return self.probabilities and self.probabilities / (images.file_stem(Path(self.output_name(case))) + ENDING)

    def masks_of(self, case: CaseFiles) -> dict[Path, int]:
        return mask_files(self.masks, self.output_name(case), self.labels) if self.masks else {}

    def finished(self, case: CaseFiles) -> bool:
        files = (self.labels_of(case), self.probabilities_of(case), *self.masks_of(case))
        return all(path.is_file() for path in files if path)


def predict_cases(
    predictor: Segmenter,
    cases: Sequence[CaseFiles],
    output: Path,
    overwrite: bool,
    output_name: Callable[[CaseFiles], str] = lambda case: images.label_file_name(case.channels[0]),
    postprocessing: Postprocessing = UNCHANGED,
    probabilities: Path | None = None,
    masks: Path | None = None,
) -> Predicted:
    """Segment each case onto its own grid; finished files are kept unless ``overwrite``.

    The class probabilities, before ``postprocessing``, go to the folder ``probabilities``; a ``Predictor`` has none.
    A mask of each label goes to the folder ``masks``. A case that cannot be used is reported and the others go on.
    While the networks see a case, the next one is read and prepared and the one before is written, each in a
    thread of its own.
    """
    output.mkdir(parents=True, exist_ok=True)
    write_label_table(output, predictor.plan.labels)
    places = _Places(output, output_name, predictor.plan.labels, probabilities, masks)
    todo = [case for case in cases if overwrite or not places.finished(case)]
    written, problems = [], []

    def prepared(case: CaseFiles) -> tuple[CaseFiles, Any]:
        try:
            return case, predictor.prepare(case.name, images.read_channels(case.channels))
        except BadInput as error:
            return case, error

    def segmented() -> Iterator[tuple[CaseFiles, Callable[[], LabelMap] | BadInput]]:
        for case, ready in map_threads(phase("prepare")(prepared), todo, workers=1):
            failed = isinstance(ready, BadInput)
            yield case, ready if failed else segment(predictor, ready, case, places.probabilities_of(case))
            del ready

    def write(found: tuple[CaseFiles, Callable[[], LabelMap] | BadInput]) -> tuple[CaseFiles, Path | BadInput]:
        case, labels = found
        path = places.labels_of(case)
        try:
            if isinstance(labels, BadInput):
                return case, labels
            write_labels(path, postprocess(labels(), postprocessing), case.channels[0], places.masks_of(case))
            return case, path
        except BadInput as error:
            return case, error

    with progress(f"predict {counted(len(todo), 'case')}") as shown:
        for done, (case, result) in enumerate(map_threads(write, segmented(), workers=1), start=1):
            if isinstance(result, BadInput):
                problems.append(str(result))
                say(f"left out: {result}", style="red")
            else:
                written.append(result)
            shown.update(done / len(todo), case.name)
    skipped = [places.labels_of(case) for case in cases if case not in todo]
    return Predicted(tuple(written), tuple(skipped), tuple(problems))


def write_labels(path: Path, label_map: LabelMap, like: Path, masks: Mapping[Path, int]) -> None:
    """The label map, after the masks of its values: where it is, they are."""
    for mask, value in masks.items():
        images.write_labels(mask, (label_map == value).astype(np.uint8), like=like)
    images.write_labels(path, label_map, like=like)


def mask_files(folder: Path, name: str, labels: Labels) -> dict[Path, int]:
    """Where the mask of each value of the segmentation ``name`` goes: ``STEM_label-LABEL_mask``, in the way of BIDS."""
    stem = images.file_stem(Path(name))
    ending = name[len(stem) :]
    short = {value: re.sub(r"[\W_]", "", label) for value, label in labels.written_names.items() if value}
    several = [name for name, number in Counter(short.values()).items() if number > 1 or not name]
    return {
        folder / f"{stem}_label-{label}{value if label in several else ''}_mask{ending}": value
        for value, label in short.items()
    }


def write_label_table(output: Path, labels: Labels) -> None:
    """``dseg.tsv``: values and names, in the way of BIDS; ``labels.json``: regions and ignore, which it cannot say."""
    rows = "".join(f"{value}\t{name}\n" for value, name in labels.written_names.items())
    write_text(output / "dseg.tsv", "index\tname\n" + rows)
    if labels.joins_values or labels.ignore is not None:
        write_json(output / LABELS_FILE, labels.document())


@phase("predict")
def segment(
    predictor: Segmenter, prepared: Any, case: CaseFiles, probabilities_file: Path | None
) -> Callable[[], LabelMap]:
    """What gives the labels, and writes the probabilities where that is asked for."""
    if probabilities_file is None:
        return timed("case", predictor.segment)(prepared)
    from autoseg.inference.ensemble import PROBABILITY_ONE

    labels, probabilities = timed("case", cast("Ensemble", predictor).segment_with_probabilities)(prepared)

    def write_then_give() -> LabelMap:
        write_probabilities(probabilities_file, probabilities, PROBABILITY_ONE, case.channels[0])
        return labels

    return write_then_give


def refuse_to_write_over(cases: Sequence[CaseFiles], output: Path) -> None:
    """Outputs have the names of the inputs: they must lie elsewhere."""
    for case in cases:
        if output.resolve() in (case.channels[0].resolve(), case.channels[0].parent.resolve()):
            raise BadInput(f"{output}: holds the input {case.channels[0].name}; give another folder for the output.")


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


def predict(
    models: TrainedModels,
    inputs: Sequence[Path],
    output: Path,
    configuration: str | None = None,
    fold_names: Sequence[str] = (),
    options: PredictionOptions = PredictionOptions(),
) -> Predicted:
    """Segment the inputs: as the selection says, or with one configuration (``models.choose``)."""
    chosen = choose(models, configuration, fold_names)
    folder = models.folds[chosen.configurations[0]][chosen.folds[0]]
    channels = read_plan((folder / "plan.json").read_text(encoding="utf-8"), str(folder)).channels
    cases, problems = find_inputs(inputs, channels)
    for problem in problems:
        say(f"left out: {problem}", style="red")
    predictor = load(models, chosen, options, len(cases))
    say(f"{models.dataset} {chosen.title} on {predictor.describe()}")
    for values in chosen.postprocessing.keep_largest:
        say(f"then only the largest component of {label_names(predictor.plan.labels, values)}")
    refuse_to_write_over(cases, output)
    probabilities = output / PROBABILITIES_FOLDER if options.save_probabilities else None
    predicted = predict_cases(
        predictor,
        cases,
        output,
        options.overwrite,
        postprocessing=chosen.postprocessing,
        probabilities=probabilities,
        masks=output / MASKS_FOLDER if options.save_masks else None,
    )
    return Predicted(predicted.written, predicted.skipped, (*problems, *predicted.problems))


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
    plan = read_plan((folder / "plan.json").read_text(encoding="utf-8"), str(folder))
    return name in plan.configurations and plan.configurations[name].candidates is not None


def load_configuration(
    models: TrainedModels, name: str, folds: Sequence[str], options: PredictionOptions, num_cases: int
) -> Predictor:
    """The folds of a configuration; before them, in a cascade, all folds of the previous stage."""
    from autoseg.inference.predictor import load_predictor

    folders = [models.folds[name][fold] for fold in folds]
    plan = read_plan((folders[0] / "plan.json").read_text(encoding="utf-8"), str(folders[0]))
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
