"""A trained model of nnU-Net, a folder or a zip of ``nnUNetv2_export_model_to_zip`` -> our plan and weights.

Checkpoints are pickles. They are read by torch's restricted reader, which builds tensors, plain containers and
the numpy numbers named here, and refuses a file that names anything else before it is called.
"""

from __future__ import annotations

import os
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from autoseg.core.augmentation_spec import AugmentationSpec
from autoseg.core.errors import BadInput
from autoseg.core.network_spec import NetworkSpec
from autoseg.core.plan import Configuration, Plan
from autoseg.interop.nnunet_documents import FOREIGN, Text, check, parse
from autoseg.interop.nnunet_files import ModelFiles
from autoseg.interop.nnunet_plans import plan_of
from autoseg.interop.nnunet_weights import our_weights
from autoseg.preprocessing.previous_stage import num_input_channels

if TYPE_CHECKING:
    import torch

CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth")  # the first that is there


@dataclass(frozen=True)
class PeerModel:
    """One configuration: its plan, with a previous stage if it has one, and where the checkpoints are.

    ``checkpoints`` maps each of our folds to its file.
    """

    folder: str  # TRAINER__PLANS__CONFIGURATION, with what lies above it in a zip
    plan: Plan
    checkpoints: dict[str, str]

    @property
    def configuration(self) -> Configuration:
        """The configuration of the plan; another one there is its previous stage."""
        return self.plan.configurations[self.plan.recommended]


class _InitialArguments(BaseModel):
    model_config = FOREIGN
    configuration: Text


class _Checkpoint(BaseModel):
    """What a prediction needs; without axes nothing is mirrored."""

    model_config = FOREIGN
    network_weights: dict[str, Any]
    trainer_name: Text
    init_args: _InitialArguments
    inference_allowed_mirroring_axes: Annotated[list[Annotated[int, Field(ge=0, le=2)]], Field(max_length=3)] | None = (
        None
    )


def read_models(
    files: ModelFiles, dataset_name: str, augmentation: Callable[[tuple[int, ...]], AugmentationSpec]
) -> list[PeerModel]:
    """Every configuration in ``files``, as models of the dataset ``dataset_name``.

    ``augmentation`` gives the augmentation for a patch size. BadInput if there is none, or two of one name.
    """
    folders: dict[str, dict[str, dict[str, str]]] = {}
    for name in files.names():
        match = re.fullmatch(r"(?:(.*)/)?fold_(\d{1,3}|all)/([^/]+)", name)
        if match and match.group(3) in CHECKPOINTS:
            fold = "all" if match.group(2) == "all" else f"fold{int(match.group(2))}"
            folders.setdefault(match.group(1) or "", {}).setdefault(fold, {})[match.group(3)] = name
    if not folders:
        raise BadInput(
            f"{files.source}: holds no fold_K/{CHECKPOINTS[0]}; give a model folder TRAINER__PLANS__CONFIGURATION of "
            "nnU-Net's results, the folder of its dataset there, an exported zip, or a raw dataset (dataset.json, "
            "imagesTr, labelsTr)."
        )
    models: dict[str, PeerModel] = {}
    for folder, folds in sorted(folders.items()):
        checkpoints = {fold: next(found[one] for one in CHECKPOINTS if one in found) for fold, found in folds.items()}
        model = _read_model(files, folder, dict(sorted(checkpoints.items())), dataset_name, augmentation)
        name = model.configuration.name
        if name in models:
            both = f"{models[name].folder} and {folder}"
            raise BadInput(f"{files.source}: has two models of {name} ({both}); give one of the folders.")
        models[name] = model
    return list(models.values())


def _read_model(
    files: ModelFiles,
    folder: str,
    checkpoints: dict[str, str],
    dataset_name: str,
    augmentation: Callable[[tuple[int, ...]], AugmentationSpec],
) -> PeerModel:
    place = f"{folder}/" if folder else ""
    documents = [
        parse(files.read(f"{place}{name}"), files.describe(f"{place}{name}")) for name in ("plans.json", "dataset.json")
    ]
    parts = files.folder_name(folder).split("__")
    if len(parts) == 3:
        configuration = parts[2]
    else:  # a renamed folder: the checkpoint knows
        first = next(iter(checkpoints.values()))
        configuration = _read_checkpoint(files, first).init_args.configuration
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", configuration):
        raise BadInput(f"{files.describe(folder)}: the configuration {configuration[:80]!r} is no name of a folder.")
    source = files.describe(folder).rstrip("/")
    plan = plan_of(documents[0], documents[1], dataset_name, augmentation, source, [configuration])
    return PeerModel(folder, plan, checkpoints)


def read_fold(files: ModelFiles, model: PeerModel, fold: str) -> tuple[Plan, dict[str, torch.Tensor]]:
    """The plan of one fold, with the axes that its checkpoint says to mirror, and its float32 weights by our names."""
    name = model.checkpoints[fold]
    source = files.describe(name)
    checkpoint = _read_checkpoint(files, name)
    configuration = model.configuration
    if checkpoint.init_args.configuration != configuration.name:
        raise BadInput(
            f"{source}: was trained as {checkpoint.init_args.configuration[:80]!r} and lies in the folder of "
            f"{configuration.name!r}; restore its folder."
        )
    axes = tuple(sorted(set(checkpoint.inference_allowed_mirroring_axes or ())))
    if any(axis >= configuration.network.dimensions for axis in axes):
        raise BadInput(f"{source}: inference_allowed_mirroring_axes {list(axes)} has an axis that the network has not.")
    inputs, outputs = num_input_channels(model.plan, configuration), model.plan.labels.num_outputs
    assert isinstance(configuration.network, NetworkSpec)  # of nnU-Net's plan
    weights = our_weights(checkpoint.network_weights, configuration.network, inputs, outputs, source)
    augmentation = configuration.augmentation.model_copy(update={"mirror_axes": axes})
    own = configuration.model_copy(update={"augmentation": augmentation})
    return model.plan.model_copy(update={"configurations": {**model.plan.configurations, own.name: own}}), weights


def _read_checkpoint(files: ModelFiles, name: str) -> _Checkpoint:
    import torch

    source = files.describe(name)
    with files.open(name) as file:
        _require_unpacked(file, source)
        try:
            with _allowed_numbers():
                content = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # of a foreign file anything may come
            raise BadInput(f"{source}: {_why_not(error)}") from None
    if not isinstance(content, Mapping):
        raise BadInput(f"{source}: holds no checkpoint of nnU-Net; give the file that its trainer wrote.")
    keys = {str(key): value for key, value in content.items()}
    axes = keys.get("inference_allowed_mirroring_axes")
    if isinstance(axes, tuple):
        keys["inference_allowed_mirroring_axes"] = list(axes)
    weights = keys.get("network_weights")
    if isinstance(weights, Mapping):
        keys["network_weights"] = dict(weights)
    return check(_Checkpoint, keys, source)


def _require_unpacked(file: IO[bytes], source: str) -> None:
    """BadInput where torch's zip of a checkpoint is compressed, as torch never does it, or claims too much."""
    size = file.seek(0, os.SEEK_END)
    try:
        with zipfile.ZipFile(file) as inner:
            entries = inner.infolist()
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            if packed or sum(entry.file_size for entry in entries) > size:
                raise BadInput(f"{source}: is packed as no checkpoint of nnU-Net is; copy it again.")
    except (zipfile.BadZipFile, RuntimeError, ValueError, OSError, struct.error, OverflowError):
        pass  # of an older torch, or damaged: its own reader will say so
    file.seek(0)


def _allowed_numbers() -> AbstractContextManager[None]:
    """The numpy scalars in nnU-Net's log of a training may be built, under the names of numpy 1 and 2."""
    import numpy as np
    import torch

    scalar = np.float64(0).__reduce__()[0]
    names: list[Any] = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    kinds: list[Any] = [
        type(np.dtype(kind)) for kind in (np.float16, np.float32, np.float64, np.int32, np.int64, np.bool_)
    ]
    return torch.serialization.safe_globals([*names, np.dtype, *kinds])


def _why_not(error: Exception) -> str:
    """A sentence for what torch's reader said."""
    text = str(error)
    named = re.search(r"GLOBAL (\S+)", text) or re.search(r"[Uu]nsupported (?:class|global)[: ]+(\S+)", text)
    if named:
        return (
            f"names {named.group(1)[:100]}, which loading could run, and nothing was run; "
            "take only checkpoints that nnU-Net has written."
        )
    if "weights_only" in text or "WeightsUnpickler" in text:
        return (
            "is damaged, or a pickle that could run code, and nothing was run; take only checkpoints that nnU-Net has "
            "written."
        )
    return "is damaged or no checkpoint; copy it again."
