"""Models of nnU-Net into the workspace, and ours out of it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import Fingerprint
from autoseg.core.plan import Plan, read_plan
from autoseg.interop.nnunet_export import (
    checkpoint,
    dataset_document,
    empty_picture,
    fingerprint_document,
    fold_folder_name,
    model_folder_name,
    plans_document,
    summary_document,
)
from autoseg.interop.nnunet_files import open_model
from autoseg.interop.nnunet_model import PeerModel, read_fold, read_models
from autoseg.io.files import read_text, write_bytes, write_json, write_text
from autoseg.io.fingerprints import read_fingerprint
from autoseg.io.workspace import Workspace, nearest_name
from autoseg.planning.configurations import augmentation
from autoseg.runtime.progress import progress, say

FIRST_NUMBER = 501  # nnU-Net's own datasets are below


def import_model(workspace: Workspace, source: Path, name: str) -> dict[str, list[str]]:
    """Every configuration of a model folder or exported zip, as models of the dataset ``name``.

    Returns configuration -> folds. Nothing is written unless all can be used; BadInput if one is there already.
    """
    from autoseg.networks import model_file

    with open_model(source) as files:
        models = read_models(files, name, augmentation)
        for model in models:
            folder = workspace.model_folder(name, model.configuration.name, "fold").parent
            if folder.exists():
                raise BadInput(f"{folder}: there are models of this name already; choose another --dataset.")
        with _all_or_nothing([_model_root(workspace, name, model) for model in models]) as written:
            total = sum(len(model.checkpoints) for model in models)
            with progress(f"import {source.name}") as shown:
                done = 0
                for model, root in zip(models, written, strict=True):
                    for fold in model.checkpoints:
                        plan, weights = read_fold(files, model, fold)
                        write_bytes(root / fold / "final.safetensors", model_file.serialise(weights, {}))
                        write_text(root / fold / "plan.json", plan.model_dump_json(indent=1) + "\n")
                        done += 1
                        shown.update(done / total, f"{model.configuration.name} {fold}")
    return {model.configuration.name: list(model.checkpoints) for model in models}


def export_model(workspace: Workspace, name: str, destination: Path, configuration: str | None = None) -> list[Path]:
    """The trained folds of ``name`` as a dataset of nnU-Net's results in ``destination``; its model folders.

    All trained configurations that nnU-Net can have, or ``configuration``. BadInput says what it cannot have.
    """
    trained = workspace.trained_configurations(name)
    if not trained:
        raise BadInput(f"{name}: nothing is trained yet; run `autoseg train {name} CONFIGURATION fold0` first.")
    if configuration is not None and configuration not in trained:
        raise BadInput(f"{name}: {configuration} is not trained ({nearest_name(configuration, trained)}).")
    dataset_folder = destination / their_dataset_name(name, destination)
    folders = []
    for chosen in [configuration] if configuration else trained:
        plan = _fold_plan(workspace.model_folder(name, chosen, trained[chosen][0]))
        if configuration is None and plan.configurations[chosen].whole_case and len(trained) > 1:
            say(f"left out: {chosen}, as nnU-Net does not predict whole images", style="yellow")
            continue
        folder = dataset_folder / model_folder_name(plan, plan.configurations[chosen])
        if folder.exists():
            raise BadInput(f"{folder}: is there already; give another folder for the export.")
        with _all_or_nothing([folder]) as (root,):
            _export_configuration(workspace, name, chosen, trained[chosen], root, dataset_folder.name)
        folders.append(folder)
    return folders


def _export_configuration(
    workspace: Workspace, name: str, configuration_name: str, folds: list[str], root: Path, their_name: str
) -> None:
    """Write one model folder of nnU-Net."""
    from autoseg.networks import model_file

    first = workspace.model_folder(name, configuration_name, folds[0])
    plan = _fold_plan(first)
    training = workspace.dataset_folder(name) / "dataset.json"
    num_training = len(workspace.read_dataset(name).cases) if training.is_file() else 0
    documents = plans_document(plan, their_name), dataset_document(plan, num_training)
    write_json(root / "plans.json", documents[0])
    write_json(root / "dataset.json", documents[1])
    write_json(root / "dataset_fingerprint.json", fingerprint_document(plan, _fingerprint(workspace, name)))
    network = plan.configurations[configuration_name].network
    for fold in folds:
        source = workspace.model_folder(name, configuration_name, fold)
        own = _fold_plan(source)
        configuration = own.configurations[configuration_name]
        if configuration.network != network:
            raise BadInput(
                f"{source}: has another network than {first}, and nnU-Net has one for all folds; train anew."
            )
        weights, _ = model_file.read(source / configuration.training.weights_file)
        folder = root / fold_folder_name(fold)
        write_bytes(folder / "checkpoint_final.pth", checkpoint(own, configuration, weights, fold, documents))
        write_bytes(folder / "progress.png", empty_picture())
        write_json(folder / "validation" / "summary.json", summary_document(_mean_dice(source)))


def _model_root(workspace: Workspace, name: str, model: PeerModel) -> Path:
    return workspace.model_folder(name, model.configuration.name, "fold").parent


@contextmanager
def _all_or_nothing(folders: list[Path]) -> Iterator[list[Path]]:
    """A folder to write for each of ``folders``, which it becomes when the block ends; none if the block fails."""
    # Beside the parent, where nothing looks for models.
    parents = [folder.parent.with_name(f".{os.getpid()}.partial.{folder.parent.name}") for folder in folders]
    partial = [parent / folder.name for parent, folder in zip(parents, folders, strict=True)]
    try:
        for folder in partial:
            folder.mkdir(parents=True)
        yield partial
        for temporary, folder in zip(partial, folders, strict=True):
            folder.parent.mkdir(parents=True, exist_ok=True)
            temporary.rename(folder)
    finally:
        for parent in parents:
            shutil.rmtree(parent, ignore_errors=True)


def their_dataset_name(name: str, destination: Path) -> str:
    """``name`` if it is ``DatasetNNN_NAME``; else that with the number it has in ``destination``, or a free one."""
    if re.fullmatch(r"Dataset\d{3}_.+", name):
        return name
    known = sorted(path.name for path in destination.glob("Dataset[0-9][0-9][0-9]_*"))
    own = [other for other in known if other[len("Dataset000_") :] == name]
    if own:
        return own[0]
    taken = {int(other[len("Dataset") : len("Dataset000")]) for other in known}
    number = next((one for one in range(FIRST_NUMBER, 1000) if one not in taken), None)
    if number is None:
        raise BadInput(f"{destination}: has no free dataset number below 1000; give another folder.")
    return f"Dataset{number}_{name}"


def _fold_plan(folder: Path) -> Plan:
    path = folder / "plan.json"
    if not path.is_file():
        raise BadInput(f"{path}: the plan of the fold is missing; train the fold again.")
    return read_plan(read_text(path), str(path))


def _fingerprint(workspace: Workspace, name: str) -> Fingerprint | None:
    path = workspace.dataset_folder(name) / "fingerprint.json"
    if not path.is_file():
        return None
    return read_fingerprint(path)


def _mean_dice(fold: Path) -> float | None:
    """Of the validation, if it was done."""
    path = fold / "validation" / "evaluation.json"
    if not path.is_file():
        return None
    mean: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")).get("mean", {})
    return mean.get("dice")
