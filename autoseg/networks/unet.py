"""The U-Net of nnU-Net (Isensee et al., Nature Methods 2021), 2D and 3D: around any encoder, and the plain one.

The plain encoder has stages of ``blocks_per_stage`` convolutions and downsamples by strided convolution.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from autoseg.core.network_spec import NetworkSpec
from autoseg.networks.blocks import ConvStack, initialise_he_normal
from autoseg.networks.decoder import Decoder


class UNet(nn.Module):
    """``(B, in_channels, *spatial)`` -> logits ``(B, out_channels, *spatial)``.

    ``encoder`` has one module for each stage of ``spec``: ``features_per_stage`` channels, smaller by the
    stage's stride. Every spatial size must be a multiple of the product of the strides on its axis.
    With ``deep_supervision`` the forward pass returns a list of logits, finest first, one for each
    stage but the bottleneck; else only the finest, and the other heads are not evaluated.
    """

    def __init__(self, encoder: Sequence[nn.Module], spec: NetworkSpec, out_channels: int) -> None:
        super().__init__()
        self.deep_supervision = False
        self.encoder = nn.ModuleList(encoder)
        self.decoder = Decoder(
            out_channels,
            spec.dimensions,
            spec.features_per_stage,
            spec.kernel_sizes,
            spec.strides,
            spec.blocks_per_decoder_stage,
        )
        initialise_he_normal(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits, or a list of them, finest first, with deep supervision."""
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        logits: torch.Tensor | list[torch.Tensor] = self.decoder(skips, self.deep_supervision)
        return logits


def plain_conv_unet(spec: NetworkSpec, in_channels: int, out_channels: int) -> UNet:
    """PlainConvUNet: each encoder stage is a stack of convolutions."""
    encoder, channels = [], in_channels
    for width, kernel, convs, stride in zip(
        spec.features_per_stage, spec.kernel_sizes, spec.blocks_per_stage, spec.strides, strict=True
    ):
        encoder.append(ConvStack(spec.dimensions, channels, width, kernel, convs, stride))
        channels = width
    return UNet(encoder, spec, out_channels)
