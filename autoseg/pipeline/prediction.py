"""From images and trained folds to label maps on the images' own grids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.core.case import Case, CaseFiles
from autoseg.core.errors import BadInput
from autoseg.core.plan import read_plan
from autoseg.interop.prediction_inputs import find_inputs
from autoseg.io import images
from autoseg.io.workspace import LABELS_FILE, Workspace, nearest_name, write_json, write_text
from autoseg.pipeline.preparation import read_or_make_plan
from autoseg.runtime.jobs import map_threads
from autoseg.runtime.progress import counted, progress, say

if TYPE_CHECKING:
    from autoseg.inference.predictor import Labels, Predictor


BEST_FIRST = ("3d_fullres", "3d_lowres", "2d")


@dataclass(frozen=True)
class Predicted:
    """The outcome of a prediction: files written, files that were there, and sentences about failures."""

    written: tuple[Path, ...]
    skipped: tuple[Path, ...]
    problems: tuple[str, ...]


def predict_cases(
    predictor: Predictor,
    cases: Sequence[CaseFiles],
    output: Path,
    overwrite: bool,
    output_name: Callable[[CaseFiles], str] = lambda case: images.label_file_name(case.channels[0]),
) -> Predicted:
    """Segment each case onto its own grid; finished files are kept unless ``overwrite``.

    A case that cannot be used is reported and the others go on. While the networks see a case, the next one
    is read and prepared and the one before is written, each in a thread of its own.
    """
    output.mkdir(parents=True, exist_ok=True)
    names = predictor.plan.labels
    rows = "".join(f"{value}\t{name}\n" for value, name in names.written_names.items())
    write_text(output / "dseg.tsv", "index\tname\n" + rows)
    if names.has_regions:
        write_json(output / LABELS_FILE, names.document())
    todo = [case for case in cases if overwrite or not (output / output_name(case)).is_file()]
    written, problems = [], []

    def prepared(case: CaseFiles) -> tuple[CaseFiles, Case | BadInput]:
        try:
            return case, predictor.prepare(case.name, images.read_channels(case.channels))
        except BadInput as error:
            return case, error

    def segmented() -> Iterator[tuple[CaseFiles, Callable[[], Labels] | BadInput]]:
        for case, ready in map_threads(prepared, todo, workers=1):
            yield case, ready if isinstance(ready, BadInput) else predictor.segment(ready)
            del ready

    def write(found: tuple[CaseFiles, Callable[[], Labels] | BadInput]) -> tuple[CaseFiles, Path | BadInput]:
        case, labels = found
        path = output / output_name(case)
        try:
            if isinstance(labels, BadInput):
                return case, labels
            images.write_labels(path, labels(), like=case.channels[0])
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
    skipped = [output / output_name(case) for case in cases if case not in todo]
    return Predicted(tuple(written), tuple(skipped), tuple(problems))


def refuse_to_write_over(cases: Sequence[CaseFiles], output: Path) -> None:
    """Outputs have the names of the inputs: they must lie elsewhere."""
    for case in cases:
        if output.resolve() in (case.channels[0].resolve(), case.channels[0].parent.resolve()):
            raise BadInput(f"{output}: holds the input {case.channels[0].name}; give another folder for the output.")


def _recommended(workspace: Workspace, dataset: str, trained: Mapping[str, Sequence[str]]) -> str | None:
    """What the plan of the dataset recommends; for imported models, which have none, the usual best."""
    if (workspace.dataset_folder(dataset) / "dataset.json").is_file():
        return read_or_make_plan(workspace, dataset).recommended
    return next((name for name in BEST_FIRST if name in trained), None)


def predict(
    workspace: Workspace,
    inputs: Sequence[Path],
    output: Path,
    dataset: str,
    configuration: str | None = None,
    fold_names: Sequence[str] = (),
    device: str | None = None,
    mirror: bool = True,
    step: float = 0.5,
    overwrite: bool = False,
    engine: str | None = None,
) -> Predicted:
    """Segment the inputs with the trained folds of a configuration (default: the recommended one, if trained)."""
    from autoseg.inference.predictor import load_predictor

    trained = workspace.trained_configurations(dataset)
    if not trained:
        workspace.require_dataset(dataset)
        raise BadInput(f"{dataset}: nothing is trained yet; run `autoseg train {dataset} CONFIGURATION fold0` first.")
    if configuration is None:
        recommended = _recommended(workspace, dataset, trained)
        configuration = recommended if recommended in trained else next(iter(trained))
    if configuration not in trained:
        raise BadInput(f"{dataset}: {configuration} is not trained ({nearest_name(configuration, trained)}).")
    for fold in fold_names:
        if fold not in trained[configuration]:
            raise BadInput(
                f"{dataset} {configuration}: {fold} is not trained ({nearest_name(fold, trained[configuration])})."
            )
    chosen = fold_names or trained[configuration]
    models = [workspace.model_folder(dataset, configuration, fold) for fold in chosen]
    channels = read_plan((models[0] / "plan.json").read_text(encoding="utf-8"), str(models[0])).channels
    cases, problems = find_inputs(inputs, channels)
    for problem in problems:
        say(f"left out: {problem}", style="red")
    predictor = load_predictor(models, configuration, device, mirror, step, engine, len(cases))
    say(f"{dataset} {configuration} {', '.join(chosen)} on {predictor.describe()}")
    refuse_to_write_over(cases, output)
    predicted = predict_cases(predictor, cases, output, overwrite)
    return Predicted(predicted.written, predicted.skipped, (*problems, *predicted.problems))
