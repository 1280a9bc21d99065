"""The catalogue of networks: every name that a plan may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoseg.core.errors import BadInput
from autoseg.core.plan import NetworkSpec

if TYPE_CHECKING:
    from torch import nn

NAMES = ("plain_unet",)


def build(spec: NetworkSpec, in_channels: int, out_channels: int) -> nn.Module:
    """The network of a plan, freshly initialised from torch's random state.

    A forward pass maps ``(B, in_channels, *spatial)`` to logits ``(B, out_channels, *spatial)``; with
    ``network.deep_supervision = True`` it returns a list of logits, finest first.
    """
    if spec.name not in NAMES:
        raise BadInput(f"network {spec.name!r} is not in the catalogue; choose one of {', '.join(NAMES)}.")
    from autoseg.networks.unet import PlainConvUNet

    return PlainConvUNet(
        in_channels,
        out_channels,
        spec.dimensions,
        spec.features_per_stage,
        spec.kernel_sizes,
        spec.strides,
        spec.blocks_per_stage,
        spec.blocks_per_decoder_stage,
    )
