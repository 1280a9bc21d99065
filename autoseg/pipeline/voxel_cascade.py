"""The cascade of voxel classifiers (Valverde et al., NeuroImage 2017): its stages, and the voxels that train one.

The second stage of a fold follows the first one of the same fold, in training and in prediction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

from autoseg.core.errors import BadInput
from autoseg.core.plan import Configuration, Plan, read_plan
from autoseg.io.files import read_text, write_bytes
from autoseg.io.store import StoredCase
from autoseg.io.workspace import Workspace
from autoseg.pipeline.models import TrainedModels
from autoseg.preprocessing.prepare import settings_key
from autoseg.runtime.progress import counted, progress, say

if TYPE_CHECKING:
    from autoseg.inference.candidates import CandidatePredictor
    from autoseg.training.candidates import Drawn, Voxels

VOXELS_FILE = "voxels.safetensors"
Folders = Mapping[str, Mapping[str, Traversable]]  # configuration -> fold -> folder of plan and weights


def load_chains(models: TrainedModels, name: str, folds: Sequence[str], device: str | None) -> CandidatePredictor:
    """The folds of a configuration of candidates; before each, where it has one, the previous stage of that fold."""
    from autoseg.inference.candidates import load_candidate_predictor

    chains = []
    for fold in folds:
        folder = models.folds[name][fold]
        plan = read_plan(read_text(folder / "plan.json"), str(folder))
        stage = plan.configurations[name].previous_stage if name in plan.configurations else None
        before = [(previous_folder(models.folds, models.dataset, name, stage, fold), stage)] if stage else []
        chains.append([*before, (folder, name)])
    return load_candidate_predictor(chains, device)


def previous_folder(folders: Folders, dataset: str, name: str, stage: str, fold: str) -> Traversable:
    """Where the previous stage of a fold is; BadInput if it is not trained."""
    if fold not in folders.get(stage, {}):
        raise BadInput(
            f"{dataset}: {name} {fold} follows {stage} {fold}, which is not trained; "
            f"run `autoseg train {dataset} {stage} {fold}` first."
        )
    return folders[stage][fold]


def fold_voxels(
    workspace: Workspace,
    plan: Plan,
    configuration: Configuration,
    fold: str,
    training: Sequence[StoredCase],
    validation: Sequence[StoredCase],
    device: str | None,
) -> tuple[Voxels, Voxels]:
    """The voxels that train and those that validate a fold; their cases are numbered through both lists.

    Those of the validation cases, but no more than a quarter of all; where these cases train too, or none of them has
    a lesion, a quarter of the voxels of the training cases. They are drawn once and kept in the folder of the fold,
    for a continued training.
    """
    import torch

    from autoseg.inference.candidates import require_one_label
    from autoseg.networks import model_file
    from autoseg.training.candidates import Voxels, all_voxels, not_too_many, shared_out

    path = workspace.model_folder(plan.dataset, configuration.name, fold) / VOXELS_FILE
    if path.is_file():
        kept, _ = model_file.read(path)
        return Voxels(kept["training"].numpy()), Voxels(kept["validation"].numpy())
    require_one_label(plan, configuration.name)
    trains = {case.name for case in training}
    held_out = [] if any(case.name in trains for case in validation) else validation
    previous = _previous_predictor(workspace, plan, configuration, fold, device)
    drawn = _drawn([*training, *held_out], plan, configuration, previous)
    ours, theirs = drawn[: len(training)], drawn[len(training) :]
    if any(len(one.positives) for one in theirs):
        voxels = all_voxels(ours), all_voxels(theirs, len(ours))
        voxels = voxels[0], not_too_many(voxels[1], voxels[0], configuration.training.seed)
    else:
        voxels = shared_out(ours, configuration.training.seed)
    if not all(len(one.places) for one in voxels):
        raise BadInput(
            f"{plan.dataset}: the training cases of {fold} have too few lesion voxels to train {configuration.name}; "
            "train another fold, or add cases with lesions."
        )
    tensors = {name: torch.from_numpy(one.places) for name, one in zip(("training", "validation"), voxels, strict=True)}
    write_bytes(path, model_file.serialise(tensors, {}))
    return voxels


def seeing_all(configuration: Configuration, training: Voxels, validation: Voxels) -> Configuration:
    """With as many steps in an epoch as show every voxel once."""
    steps = [voxels.num_batches(configuration.batch_size) for voxels in (training, validation)]
    changes = dict(zip(("steps_per_epoch", "validation_steps"), steps, strict=True))
    return configuration.model_copy(update={"training": configuration.training.model_copy(update=changes)})


def _previous_predictor(
    workspace: Workspace, plan: Plan, configuration: Configuration, fold: str, device: str | None
) -> CandidatePredictor | None:
    """The first stage of the same fold; None for a first stage."""
    from autoseg.inference.candidates import load_candidate_predictor

    stage = configuration.previous_stage
    if stage is None:
        return None
    trained = workspace.trained_configurations(plan.dataset)
    folders = {
        name: {one: workspace.model_folder(plan.dataset, name, one) for one in trained[name]} for name in trained
    }
    folder = previous_folder(folders, plan.dataset, configuration.name, stage, fold)
    predictor = load_candidate_predictor([[(folder, stage)]], device)
    if settings_key(predictor.plan, predictor.configuration, []) != settings_key(plan, configuration, []):
        raise BadInput(
            f"{folder}: was trained with another preparation than the plan gives {configuration.name}; "
            "train it anew with --overwrite, or correct the plan."
        )
    return predictor


def _drawn(
    cases: Sequence[StoredCase], plan: Plan, configuration: Configuration, previous: CandidatePredictor | None
) -> list[Drawn]:
    """Of each case; what cannot be balanced is said."""
    from autoseg.training.candidates import draw_voxels

    assert configuration.candidates is not None
    drawn: list[Drawn] = []
    with progress(f"draw voxels of {counted(len(cases), 'case')}") as shown:
        for case in cases:
            shown.update(len(drawn) / len(cases), case.name)
            found = previous.probability(case.read(tuple((0, size) for size in case.shape))[0]) if previous else None
            drawn.append(draw_voxels(case, configuration.candidates, plan.labels, configuration.training.seed, found))
            if drawn[-1].shortage:
                say(f"note: {case.name} {drawn[-1].shortage}", style="yellow")
    return drawn
