"""What there is to predict with: the trained folds of a dataset, or a model file; and the export of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

from autoseg.core.calibration import CALIBRATION
from autoseg.core.errors import BadInput
from autoseg.core.plan import Plan, read_plan
from autoseg.core.selection import Postprocessing, Selection, read_selection
from autoseg.io.files import read_text
from autoseg.io.model_archive import ENDING, PLAN, SELECTION, WEIGHTS, open_archive, write_archive
from autoseg.io.workspace import Workspace, nearest_name
from autoseg.pipeline.preparation import read_or_make_plan
from autoseg.runtime.progress import progress

BEST_FIRST = ("3d_fullres", "3d_cascade_fullres", "3d_lowres", "2d")


@dataclass(frozen=True)
class TrainedModels:
    """``folds`` maps configuration -> fold -> the folder of its plan and weights; ``selection`` if there is one.

    ``place`` is the file, the folder of a fold or the folder of a dataset's models, from which ``placed_models`` makes
    the same again.
    """

    place: Path
    dataset: str
    folds: Mapping[str, Mapping[str, Traversable]]
    recommended: str
    selection: Selection | None


@dataclass(frozen=True)
class Choice:
    """Configurations whose probabilities are averaged, the folds of each, and what follows."""

    configurations: tuple[str, ...]
    folds: tuple[str, ...]
    postprocessing: Postprocessing

    @property
    def title(self) -> str:
        """Such as ``2d + 3d_fullres fold0, fold1``."""
        return f"{' + '.join(self.configurations)} {', '.join(self.folds)}"


def workspace_models(workspace: Workspace, dataset: str) -> TrainedModels:
    """What is trained for a dataset of the workspace; BadInput if nothing is."""
    trained = workspace.trained_configurations(dataset)
    if not trained:
        workspace.require_dataset(dataset)
        raise BadInput(f"{dataset}: nothing is trained yet; run `autoseg train {dataset} CONFIGURATION fold0` first.")
    folders = {
        configuration: {fold: workspace.model_folder(dataset, configuration, fold) for fold in folds}
        for configuration, folds in trained.items()
    }
    path = workspace.selection_file(dataset)
    selection = read_selection(read_text(path), str(path)) if path.is_file() else None
    place = workspace.root / "models" / dataset
    return TrainedModels(place, dataset, folders, dataset_plan(workspace, dataset, trained).recommended, selection)


def dataset_plan(workspace: Workspace, dataset: str, trained: Mapping[str, Sequence[str]]) -> Plan:
    """The plan of the dataset; of imported models, which come without one, that of the usually best."""
    if (workspace.dataset_folder(dataset) / "dataset.json").is_file():
        return read_or_make_plan(workspace, dataset)
    first = next((name for name in BEST_FIRST if name in trained), next(iter(trained)))
    path = workspace.model_folder(dataset, first, trained[first][0]) / PLAN
    return read_plan(read_text(path), str(path)).model_copy(update={"recommended": first})


def archived_models(path: Path) -> TrainedModels:
    """What a file of ``export`` holds; BadInput if it is damaged or anything else."""
    root, manifest = open_archive(path)
    plan = read_plan(read_text(root / PLAN), f"{path}/{PLAN}")
    chosen = root / SELECTION
    selection = read_selection(read_text(chosen), str(chosen)) if chosen.is_file() else None
    folders = {
        configuration.name: {fold.name: fold for fold in configuration.iterdir()}
        for configuration in root.iterdir()
        if configuration.is_dir()
    }
    return TrainedModels(path.absolute(), manifest.dataset, folders, plan.recommended, selection)


def fold_models(folder: Path) -> TrainedModels:
    """The one fold in ``folder`` (models/NAME/CONFIGURATION/foldK), and in a cascade the previous stage beside it."""
    plan = read_plan(read_text(folder / PLAN), str(folder / PLAN))
    name = plan.recommended
    folds = {name: {folder.name: folder}}
    stage = plan.configurations[name].previous_stage
    if stage is not None:
        trained = sorted((folder.parent.parent / stage).glob(f"*/{WEIGHTS}"))
        folds |= {stage: {weights.parent.name: weights.parent for weights in trained}} if trained else {}
    return TrainedModels(folder.absolute(), plan.dataset, folds, name, None)


def named_models(model: str | Path, workspace: Workspace) -> TrainedModels:
    """Of a file of ``export``, the folder of a trained fold, or the name of a dataset in the workspace."""
    path = Path(model)
    if path.name.endswith(ENDING) or path.is_file():
        return archived_models(path)
    if (path / PLAN).is_file() and (path / WEIGHTS).is_file():
        return fold_models(path)
    if len(path.parts) > 1:
        raise BadInput(
            f"{path}: is no trained model; give a file of `autoseg export`, the folder of a trained fold "
            "(models/NAME/CONFIGURATION/foldK), or the name of a dataset in the workspace."
        )
    return workspace_models(workspace, str(model))


def placed_models(place: Path) -> TrainedModels:
    """The models whose ``place`` this is."""
    if place.is_file() or (place / PLAN).is_file():
        return named_models(place, Workspace(place.parent))
    return workspace_models(Workspace(place.parent.parent), place.name)


def choose(models: TrainedModels, configuration: str | None, fold_names: Sequence[str] = ()) -> Choice:
    """What is asked for; without a configuration what the selection says, else the recommended one, if trained.

    A configuration that is asked for has the postprocessing of the selection only if it was selected alone.
    """
    selection = models.selection
    if configuration is None and selection is not None:
        configurations, folds = selection.configurations, tuple(fold_names) or selection.folds
    else:
        if configuration is None:
            configuration = models.recommended if models.recommended in models.folds else next(iter(models.folds))
        configurations = (configuration,)
        folds = tuple(fold_names) or tuple(models.folds.get(configuration, ()))
    for name in configurations:
        if name not in models.folds:
            raise BadInput(f"{models.dataset}: {name} is not trained ({nearest_name(name, models.folds)}).")
        for fold in folds:
            if fold not in models.folds[name]:
                raise BadInput(
                    f"{models.dataset} {name}: {fold} is not trained ({nearest_name(fold, models.folds[name])})."
                )
    selected = selection is not None and selection.configurations == configurations
    return Choice(configurations, folds, selection.postprocessing if selection and selected else Postprocessing())


def export(workspace: Workspace, dataset: str, output: Path, configuration: str | None = None) -> list[str]:
    """Write what ``predict`` needs to one file: of a configuration, else of the selection, else of all trained ones.

    Previous stages go with it. Returns the names of the members. The selection goes with it if all that it names does.
    """
    if not output.name.endswith(ENDING):
        raise BadInput(f"{output}: give a name that ends with {ENDING}, such as {dataset}{ENDING}.")
    models = workspace_models(workspace, dataset)
    folds = {name: tuple(of_name) for name, of_name in models.folds.items()}
    if configuration is not None or models.selection is not None:
        chosen = choose(models, configuration)
        folds = dict.fromkeys(chosen.configurations, chosen.folds)
    plan = dataset_plan(workspace, dataset, {name: tuple(of_name) for name, of_name in models.folds.items()})
    folds = with_previous_stages(folds, models, plan)
    members: dict[str, Path | str] = {PLAN: plan.model_dump_json(indent=1) + "\n"}
    for name in folds:
        for fold in folds[name]:
            folder = workspace.model_folder(dataset, name, fold)
            own = read_plan(read_text(folder / PLAN), str(folder / PLAN))
            parts = (PLAN, own.configurations[name].training.weights_file)
            members |= {f"{name}/{fold}/{part}": folder / part for part in parts}
            if (folder / CALIBRATION).is_file():
                members[f"{name}/{fold}/{CALIBRATION}"] = folder / CALIBRATION
    selection = models.selection
    if selection is not None and all(
        set(selection.folds) <= set(folds.get(name, ())) for name in selection.configurations
    ):
        members[SELECTION] = selection.model_dump_json(indent=1) + "\n"
    with progress(f"write {output.name}") as shown:
        write_archive(output, dataset, members, shown.update)
    return sorted(members)


def with_previous_stages(
    folds: Mapping[str, tuple[str, ...]], models: TrainedModels, plan: Plan
) -> dict[str, tuple[str, ...]]:
    """What else predicts: every fold of a previous stage; of one that chooses voxels, those of the stage after it."""
    complete = dict(folds)
    for name in [name for name in folds if name in plan.configurations]:
        stage = plan.configurations[name].previous_stage
        if stage is None:
            continue
        needed = folds[name] if plan.configurations[name].candidates else complete.get(stage, models.folds.get(stage))
        missing = "" if stage in models.folds else stage
        missing = missing or next((f"{stage} {fold}" for fold in needed or () if fold not in models.folds[stage]), "")
        if missing:
            raise BadInput(
                f"{models.dataset}: the previous stage {missing} is not trained; train it before the export."
            )
        complete[stage] = tuple(dict.fromkeys((*complete.get(stage, ()), *(needed or ()))))
    return complete
