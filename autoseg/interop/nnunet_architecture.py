"""nnU-Net's description of a network and ours.

The names of classes are compared with those that we have; none is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from autoseg.core.errors import BadInput
from autoseg.core.network_spec import MOST_STAGES, Blocks, NetworkSpec
from autoseg.interop.nnunet_documents import FOREIGN, Sizes, Text, check

_PACKAGE = "dynamic_network_architectures.architectures"
CLASSES = {
    "plain_unet": f"{_PACKAGE}.unet.PlainConvUNet",
    "residual_encoder_unet": f"{_PACKAGE}.unet.ResidualEncoderUNet",
}
_KNOWN_CLASSES = {
    **{path: name for name, path in CLASSES.items()},
    f"{_PACKAGE}.residual_unet.ResidualEncoderUNet": "residual_encoder_unet",  # its place in older versions
}
_BLOCKS = {"plain_unet": "n_conv_per_stage", "residual_encoder_unet": "n_blocks_per_stage"}
_IMPORTED = ("conv_op", "norm_op", "dropout_op", "nonlin")
_LEAKY = ("torch.nn.LeakyReLU", "torch.nn.modules.activation.LeakyReLU")


class _Architecture(BaseModel):
    model_config = FOREIGN
    network_class_name: Text
    arch_kwargs: dict[str, Any]


class _Topology(BaseModel):
    """The numbers in ``arch_kwargs``; one number for all stages may stand for a list."""

    model_config = FOREIGN
    n_stages: Annotated[int, Field(ge=2, le=16)]
    features_per_stage: Annotated[list[Annotated[int, Field(ge=1, le=8192)]], Field(max_length=16)]
    kernel_sizes: Sizes
    strides: Sizes
    blocks: Annotated[list[Blocks], Field(max_length=MOST_STAGES)] | Blocks
    n_conv_per_stage_decoder: Annotated[list[Blocks], Field(max_length=MOST_STAGES)] | Blocks


def network_of(architecture: Mapping[str, Any], source: str, path: str = "architecture.") -> NetworkSpec:
    """Our network for nnU-Net's; BadInput names the field that we cannot honour."""
    described = check(_Architecture, architecture, source, path)
    name = _KNOWN_CLASSES.get(described.network_class_name)
    if name is None:
        raise BadInput(
            f"{source}: {path}network_class_name is {described.network_class_name[:100]!r}, which we do not have; "
            "PlainConvUNet and ResidualEncoderUNet can be imported."
        )
    settings, path = described.arch_kwargs, f"{path}arch_kwargs."
    numbers = check(_Topology, {**settings, "blocks": settings.get(_BLOCKS[name])}, source, path)
    stages = numbers.n_stages
    kernels, strides = numbers.kernel_sizes, numbers.strides
    blocks = _for_each(numbers.blocks, stages)
    decoder = _for_each(numbers.n_conv_per_stage_decoder, stages - 1)
    dimensions = len(kernels[0]) if kernels else 3
    lengths = (len(numbers.features_per_stage), len(kernels), len(strides), len(blocks), len(decoder) + 1)
    if set(lengths) != {stages} or any(len(entry) != dimensions for entry in (*kernels, *strides)):
        raise BadInput(f"{source}: {path}n_stages is {stages}, and not every list has as many stages and axes.")
    if any(size % 2 == 0 or size > 31 for kernel in kernels for size in kernel):
        raise BadInput(f"{source}: {path}kernel_sizes has an even size or one above 31; only odd ones keep the grid.")
    if max(strides[0]) > 1 or max(max(stride) for stride in strides) > 64:
        raise BadInput(f"{source}: {path}strides must begin with 1 on every axis, with none above 64.")
    _check_operators(settings, name, dimensions, source, path)
    return NetworkSpec(
        name=name,
        dimensions=2 if dimensions == 2 else 3,
        features_per_stage=tuple(numbers.features_per_stage),
        kernel_sizes=tuple(tuple(kernel) for kernel in kernels),
        strides=tuple(tuple(stride) for stride in strides),
        blocks_per_stage=tuple(blocks),
        blocks_per_decoder_stage=tuple(decoder),
    )


def architecture_of(network: NetworkSpec) -> dict[str, Any]:
    """nnU-Net's description of our network."""
    dimensions = network.dimensions
    numbers = {
        "n_stages": len(network.features_per_stage),
        "features_per_stage": list(network.features_per_stage),
        "kernel_sizes": [list(kernel) for kernel in network.kernel_sizes],
        "strides": [list(stride) for stride in network.strides],
        _BLOCKS[network.name]: list(network.blocks_per_stage),
        "n_conv_per_stage_decoder": list(network.blocks_per_decoder_stage),
    }
    operators = {
        "conv_op": f"torch.nn.modules.conv.Conv{dimensions}d",
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dimensions}d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": _LEAKY[0],
        "nonlin_kwargs": {"inplace": True},
    }
    return {
        "network_class_name": CLASSES[network.name],
        "arch_kwargs": {**numbers, **operators},
        "_kw_requires_import": list(_IMPORTED),
    }


def _for_each(entry: list[int] | int, stages: int) -> list[int]:
    return [entry] * stages if isinstance(entry, int) else entry


def _check_operators(settings: Mapping[str, Any], name: str, dimensions: int, source: str, path: str) -> None:
    """Refuse what our blocks do not do; a field that we do not know must be null or false."""
    allowed: dict[str, tuple[Any, ...]] = {
        "conv_op": tuple(f"torch.nn.{module}Conv{dimensions}d" for module in ("", "modules.conv.")),
        "norm_op": tuple(f"torch.nn.{module}InstanceNorm{dimensions}d" for module in ("", "modules.instancenorm.")),
        "nonlin": _LEAKY,
        "conv_bias": (True,),
        "norm_op_kwargs": ({"eps": 1e-5, "affine": True},),
        "nonlin_kwargs": tuple(
            {"inplace": inplace, **slope} for inplace in (True, False) for slope in ({}, {"negative_slope": 0.01})
        ),
    }
    for field, choices in allowed.items():
        given = settings.get(field)
        if given not in choices:
            raise BadInput(f"{source}: {path}{field} is {str(given)[:100]!r}; only {choices[0]!r} can be imported.")
    numbers = {*_Topology.model_fields, _BLOCKS[name], "dropout_op_kwargs"}
    for field, given in settings.items():
        if field not in allowed and field not in numbers and given not in (None, False):
            raise BadInput(
                f"{source}: {path}{field[:80]} is {str(given)[:100]!r}; networks with it cannot be imported."
            )
