"""nnU-Net's plans.json and dataset.json as far as we read them, checked field by field.

Facts: nnunetv2 2.8.1, ``utilities/plans_handling/plans_handler.py``. Nothing that a document names is imported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autoseg.core.errors import BadInput

MAX_DEPTH = 20
Whole = Annotated[int, Field(ge=0, le=2**31)]
Positive = Annotated[int, Field(ge=1, le=65536)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Length = Annotated[float, Field(gt=0, lt=1e9, allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=1000)]
Numbers = Annotated[list[Positive], Field(max_length=64)]
Sizes = Annotated[list[Annotated[list[Positive], Field(min_length=2, max_length=3)]], Field(max_length=64)]


# Numbers are not read from text; keys that do not concern us are passed over.
FOREIGN = ConfigDict(frozen=True, extra="ignore", strict=True)


class Statistics(BaseModel):
    """Intensities of the foreground in one channel."""

    model_config = FOREIGN
    mean: Finite
    median: Finite
    std: Finite
    min: Finite
    max: Finite
    percentile_00_5: Finite
    percentile_99_5: Finite


class PeerConfiguration(BaseModel):
    """One configuration, inheritance resolved and its architecture in the present form."""

    model_config = FOREIGN
    preprocessor_name: Text
    batch_size: Positive
    patch_size: Annotated[list[Positive], Field(min_length=2, max_length=3)]
    median_image_size_in_voxels: Annotated[list[Length], Field(min_length=2, max_length=3)]
    spacing: Annotated[list[Length], Field(min_length=2, max_length=3)]
    normalization_schemes: list[Text]
    use_mask_for_norm: list[bool]
    resampling_fn_data: Text
    resampling_fn_data_kwargs: dict[str, Any]
    resampling_fn_seg: Text
    resampling_fn_seg_kwargs: dict[str, Any]
    resampling_fn_probabilities: Text
    resampling_fn_probabilities_kwargs: dict[str, Any]
    batch_dice: bool
    previous_stage: Text | None = None
    architecture: dict[str, Any]


class PeerPlans(BaseModel):
    """What all configurations share; the configurations are read one by one."""

    model_config = FOREIGN
    dataset_name: Text
    plans_name: Text = "nnUNetPlans"
    image_reader_writer: Text
    transpose_forward: Annotated[list[Whole], Field(min_length=3, max_length=3)]
    configurations: dict[str, dict[str, Any]]
    experiment_planner_used: Text = ""
    label_manager: Text = "LabelManager"
    foreground_intensity_properties_per_channel: dict[str, Statistics]


class PeerDataset(BaseModel):
    """dataset.json as far as a model needs it."""

    model_config = FOREIGN
    channel_names: Annotated[dict[str, Text], Field(min_length=1)]
    labels: Annotated[dict[str, Whole | list[Whole]], Field(min_length=2)]
    regions_class_order: list[Whole] | None = None
    file_ending: Annotated[str, Field(pattern=r"^\.[A-Za-z0-9]+(\.[A-Za-z0-9]+)?$", max_length=20)]


D = TypeVar("D", bound=BaseModel)


def parse(text: str | bytes, source: str) -> dict[str, Any]:
    """The JSON object in ``text``; BadInput names ``source``."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{source}: is no JSON document ({str(error)[:100]}); restore the file.") from None
    if not isinstance(document, dict) or _depth(document) > MAX_DEPTH:
        raise BadInput(f"{source}: is no document of nnU-Net (no object, or nested too deeply); restore the file.")
    return document


def _depth(document: Any) -> int:
    """How deeply lists and objects are nested; counted level by level, so that no stack overflows."""
    level, depth = [document], 0
    while level and depth <= MAX_DEPTH:
        parts = [part.values() if isinstance(part, dict) else part for part in level if isinstance(part, dict | list)]
        level, depth = [entry for part in parts for entry in part], depth + 1
    return depth


def check(kind: type[D], document: Mapping[str, Any], source: str, path: str = "") -> D:
    """``document`` as ``kind``; every wrong field is named with its path below ``path``."""
    try:
        return kind.model_validate(dict(document))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        listed = "; ".join(f"{path}{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found[:5])
        more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
        raise BadInput(f"{source}: {listed}{more}; give the file as nnU-Net wrote it.") from None


def read_plans(document: Mapping[str, Any], source: str) -> PeerPlans:
    """The shared part of plans.json; v2.0 called the intensities ``foreground_intensity_properties_by_modality``."""
    old = document.get("foreground_intensity_properties_by_modality")
    renamed = {} if old is None else {"foreground_intensity_properties_per_channel": old}
    return check(PeerPlans, {**renamed, **document}, source)


def read_dataset(document: Mapping[str, Any], source: str) -> PeerDataset:
    """dataset.json; version 1 called the channels ``modality``."""
    old = document.get("modality")
    return check(PeerDataset, {**({} if old is None else {"channel_names": old}), **document}, source)


def read_configuration(plans: PeerPlans, name: str, source: str) -> PeerConfiguration:
    """One configuration with what it inherits; that of v2.0 is brought into the present form."""
    document, visited, parent = dict[str, Any](), list[str](), name
    while True:
        if parent in visited:
            raise BadInput(f"{source}: configurations.{name} inherits from itself; correct inherits_from.")
        if parent not in plans.configurations:
            listed = ", ".join(sorted(plans.configurations)[:8])
            raise BadInput(f"{source}: configurations.{parent[:80]} does not exist (there is: {listed}).")
        visited.append(parent)
        own = plans.configurations[parent]
        document = {**own, **document}
        if "inherits_from" not in own:
            break
        parent = str(own["inherits_from"])
    path = f"configurations.{name}."
    if "architecture" not in document:
        document["architecture"] = _architecture_of_old(document, source, path)
    return check(PeerConfiguration, document, source, path)


class _OldArchitecture(BaseModel):
    """What v2.0 wrote instead of ``architecture``."""

    model_config = FOREIGN
    UNet_class_name: Text
    UNet_base_num_features: Positive
    unet_max_num_features: Positive
    n_conv_per_stage_encoder: Numbers
    n_conv_per_stage_decoder: Numbers
    pool_op_kernel_sizes: Sizes
    conv_kernel_sizes: Sizes


def _architecture_of_old(document: Mapping[str, Any], source: str, path: str) -> dict[str, Any]:
    """Widths double up to the maximum; operators were not written, as there was no choice."""
    old = check(_OldArchitecture, document, source, path)
    stages = len(old.n_conv_per_stage_encoder)
    dimensions = len(old.conv_kernel_sizes[0]) if old.conv_kernel_sizes else 3
    blocks = "n_conv_per_stage" if old.UNet_class_name == "PlainConvUNet" else "n_blocks_per_stage"
    widths = [min(old.unet_max_num_features, old.UNet_base_num_features * 2**stage) for stage in range(stages)]
    numbers = {
        "n_stages": stages,
        "features_per_stage": widths,
        "kernel_sizes": old.conv_kernel_sizes,
        "strides": old.pool_op_kernel_sizes,
        blocks: old.n_conv_per_stage_encoder,
        "n_conv_per_stage_decoder": old.n_conv_per_stage_decoder,
        "conv_bias": True,
    }
    operators = {
        "conv_op": f"torch.nn.modules.conv.Conv{dimensions}d",
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dimensions}d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    name = f"dynamic_network_architectures.architectures.unet.{old.UNet_class_name}"
    return {"network_class_name": name, "arch_kwargs": {**numbers, **operators}}
