"""The residual encoder U-Net of nnU-Net (Isensee et al., MICCAI 2024), 2D and 3D.

The blocks are those of ResNet-D (He et al., CVPR 2019): two convolutions, and a skip that is averaged over
the stride before its 1x1 projection. A stem of one convolution comes first; the decoder is that of ``unet``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from autoseg.core.plan import NetworkSpec
from autoseg.networks.blocks import LEAKY_SLOPE, ConvNorm, ConvNormAct, ConvStack, average_pool
from autoseg.networks.unet import UNet


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
        y: torch.Tensor = self.act(self.conv2(self.conv1(x)) + self.projection(self.pool(x)))
        return y


def residual_encoder_unet(spec: NetworkSpec, in_channels: int, out_channels: int) -> UNet:
    """ResidualEncoderUNet: ``blocks_per_stage`` residual blocks; the last norm of each starts at zero."""
    widths = (spec.features_per_stage[0], *spec.features_per_stage)
    encoder = []
    for stage, blocks in enumerate(spec.blocks_per_stage):
        modules: list[nn.Module] = []
        if stage == 0:
            modules.append(ConvStack(spec.dimensions, in_channels, widths[0], spec.kernel_sizes[0], 1))
        for block in range(blocks):
            before = widths[stage] if block == 0 else widths[stage + 1]
            stride = spec.strides[stage] if block == 0 else (1,) * spec.dimensions
            modules.append(ResidualBlock(spec.dimensions, before, widths[stage + 1], spec.kernel_sizes[stage], stride))
        encoder.append(nn.Sequential(*modules))
    network = UNet(encoder, spec, out_channels)
    for module in network.modules():
        if isinstance(module, ResidualBlock):  # so that a block passes its input on at first
            nn.init.zeros_(module.conv2.norm.weight)
            nn.init.zeros_(module.conv2.norm.bias)
    return network
