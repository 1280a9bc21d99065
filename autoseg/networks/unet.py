"""The plain convolutional U-Net of nnU-Net (Isensee et al., Nature Methods 2021), 2D and 3D.

Encoder stages of ``blocks_per_stage`` convolutions, downsampling by strided convolution; decoder of
transposed convolutions and concatenated skips; one 1x1 segmentation head per decoder stage.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from autoseg.networks.blocks import ConvStack, convolution, initialise_he_normal, transposed_convolution


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
        num_stages = len(features_per_stage)
        channels = in_channels
        encoder = []
        for stage in range(num_stages):
            encoder.append(
                ConvStack(
                    dimensions,
                    channels,
                    features_per_stage[stage],
                    kernel_sizes[stage],
                    blocks_per_stage[stage],
                    strides[stage],
                )
            )
            channels = features_per_stage[stage]
        upsamplers, decoder, heads = [], [], []
        for depth in range(num_stages - 1):  # 0 is the deepest decoder stage
            stage = num_stages - 2 - depth
            width = features_per_stage[stage]
            upsamplers.append(transposed_convolution(dimensions, channels, width, strides[stage + 1]))
            decoder.append(
                ConvStack(dimensions, 2 * width, width, kernel_sizes[stage], blocks_per_decoder_stage[depth])
            )
            heads.append(convolution(dimensions, width, out_channels, (1,) * dimensions))
            channels = width
        self.encoder = nn.ModuleList(encoder)
        self.upsamplers = nn.ModuleList(upsamplers)
        self.decoder = nn.ModuleList(decoder)
        self.heads = nn.ModuleList(heads)
        initialise_he_normal(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits, or a list of them, finest first, with deep supervision."""
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        skips.pop()
        logits = []
        for depth, (upsampler, stage, head) in enumerate(zip(self.upsamplers, self.decoder, self.heads, strict=True)):
            x = stage(torch.cat((upsampler(x), skips.pop()), dim=1))
            if self.deep_supervision or depth == len(self.decoder) - 1:
                logits.append(head(x))
        return logits[::-1] if self.deep_supervision else logits[-1]
