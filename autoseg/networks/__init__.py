"""The catalogue of networks: every name that a plan may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoseg.core.errors import BadInput
from autoseg.core.network_spec import NetworkSpec, PublishedNetwork

if TYPE_CHECKING:
    from torch import nn

NAMES = ("plain_unet", "residual_unet")


def build(spec: NetworkSpec | PublishedNetwork, in_channels: int, out_channels: int) -> nn.Module:
    """The network of a plan, freshly initialised from torch's random state.

    A forward pass maps ``(B, in_channels, *spatial)`` to logits ``(B, out_channels, *spatial)``; with
    ``network.deep_supervision = True`` it returns a list of logits, finest first.
    """
    from autoseg.networks.residual_unet import residual_encoder_unet
    from autoseg.networks.unet import plain_conv_unet

    builders = dict(zip(NAMES, (plain_conv_unet, residual_encoder_unet), strict=True))
    if not isinstance(spec, NetworkSpec) or spec.name not in builders:
        raise BadInput(f"network {spec.name!r} is not in the catalogue; choose one of {', '.join(NAMES)}.")
    return builders[spec.name](spec, in_channels, out_channels)
