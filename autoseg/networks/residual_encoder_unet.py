"""The residual encoder U-Net of nnU-Net (Isensee et al., MICCAI 2024), 2D and 3D.

The blocks are those of ResNet-D (He et al., CVPR 2019): two convolutions, and a skip that is averaged over
the stride before its 1x1 projection. A stem of one convolution comes first; the decoder is that of ``unet``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from autoseg.core.document import Count
from autoseg.networks.blocks import LEAKY_SLOPE, ConvNorm, ConvNormAct, ConvStack, average_pool
from autoseg.networks.unet import UNet, topology


class ResidualBlock(nn.Module):
    """Convolution, norm, leaky ReLU, convolution, norm; plus the skip; leaky ReLU.

    The first convolution carries the stride. The skip is the input itself, averaged over the stride
    if there is one, and projected where the number of channels changes.
    """

    def __init__(
        self,
        dimensions: int,
        in_channels: int,
        out_channels: int,
        kernel_size: Sequence[int],
        stride: Sequence[int],
    ) -> None:
        super().__init__()
        self.conv1 = ConvNormAct(dimensions, in_channels, out_channels, kernel_size, stride)
        self.conv2 = ConvNorm(dimensions, out_channels, out_channels, kernel_size)
        self.pool = average_pool(dimensions, stride) if max(stride) > 1 else nn.Identity()
        self.projection = (
            ConvNorm(dimensions, in_channels, out_channels, (1,) * dimensions, bias=False)
            if in_channels != out_channels
            else nn.Identity()
        )
        self.act = nn.LeakyReLU(LEAKY_SLOPE, inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, in_channels, *spatial)`` -> ``(B, out_channels, *spatial / stride)``."""
        y: torch.Tensor = self.act(self.conv2(self.conv1(x)).add_(self.projection(self.pool(x))))
        return y


def residual_encoder_unet(
    in_channels: Count,
    out_channels: Count,
    dimensions: Literal[2, 3],
    features_per_stage: tuple[Count, ...] | None = None,
    kernel_sizes: tuple[tuple[Count, ...], ...] | None = None,
    strides: tuple[tuple[Count, ...], ...] | None = None,
    blocks_per_stage: tuple[Count, ...] = (1, 3, 4, 6),
    blocks_per_decoder_stage: tuple[Count, ...] = (1,),
) -> UNet:
    """ResidualEncoderUNet: ``blocks_per_stage`` residual blocks; the last norm of each starts at zero.

    The parameters are those of ``plain_unet``, and the blocks those of nnU-Net's planners: 1, 3, 4, 6, 6, ...
    """
    spec = topology(
        "residual_encoder_unet",
        dimensions,
        features_per_stage,
        kernel_sizes,
        strides,
        blocks_per_stage,
        blocks_per_decoder_stage,
    )
    encoder, channels = [], spec.features_per_stage[0]
    for stage, (width, kernel, blocks, stride) in enumerate(
        zip(spec.features_per_stage, spec.kernel_sizes, spec.blocks_per_stage, spec.strides, strict=True)
    ):
        stem = [ConvStack(spec.dimensions, in_channels, channels, kernel, 1)] if stage == 0 else []
        residual = []
        for block in range(blocks):
            step = stride if block == 0 else (1,) * spec.dimensions
            residual.append(ResidualBlock(spec.dimensions, channels, width, kernel, step))
            channels = width
        encoder.append(nn.Sequential(*stem, *residual))
    network = UNet(encoder, spec, out_channels)
    for module in network.modules():
        if isinstance(module, ResidualBlock):  # so that a block passes its input on at first
            nn.init.zeros_(module.conv2.norm.weight)
            nn.init.zeros_(module.conv2.norm.bias)
    return network
