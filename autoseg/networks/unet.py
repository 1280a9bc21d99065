"""The plain convolutional U-Net of nnU-Net (Isensee et al., Nature Methods 2021), 2D and 3D.

Encoder stages of ``blocks_per_stage`` convolutions, downsampling by strided convolution; decoder of
transposed convolutions and concatenated skips; one 1x1 segmentation head per decoder stage.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from autoseg.networks.blocks import ConvStack, initialise_he_normal
from autoseg.networks.decoder import Decoder


class PlainConvUNet(nn.Module):
    """``(B, in_channels, *spatial)`` -> logits ``(B, out_channels, *spatial)``.

    Every spatial size must be a multiple of the product of the strides on its axis.
    With ``deep_supervision`` the forward pass returns a list of logits, finest first, one for each
    stage but the bottleneck; else only the finest, and the other heads are not evaluated.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dimensions: int,
        features_per_stage: Sequence[int],
        kernel_sizes: Sequence[Sequence[int]],
        strides: Sequence[Sequence[int]],
        blocks_per_stage: Sequence[int],
        blocks_per_decoder_stage: Sequence[int],
    ) -> None:
        super().__init__()
        self.deep_supervision = False
        encoder, channels = [], in_channels
        for width, kernel, convs, stride in zip(
            features_per_stage, kernel_sizes, blocks_per_stage, strides, strict=True
        ):
            encoder.append(ConvStack(dimensions, channels, width, kernel, convs, stride))
            channels = width
        self.encoder = nn.ModuleList(encoder)
        self.decoder = Decoder(
            out_channels, dimensions, features_per_stage, kernel_sizes, strides, blocks_per_decoder_stage
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
