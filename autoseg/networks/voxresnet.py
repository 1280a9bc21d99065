"""VoxResNet (Chen et al., NeuroImage 2018) for whole volumes, as Li et al. (CMIG 2021) compared it, 3D.

Layers as in their code, microsoft/VoxHRNet: no auxiliary losses. Weights begin as torch's layers do.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import nn

from autoseg.core.document import Count
from autoseg.networks.blocks import batch_norm, convolution, resized
from autoseg.networks.stem import STEM_WIDTH, stem

_norm = partial(batch_norm, 3)
_KERNEL = (3, 3, 3)
_HEADS = ((3, 1), (4, 2), (6, 4), (10, 8))  # kernel and stride of a level's transposed convolution, padded by 1


def _before(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """Batch normalisation, ReLU, convolution."""
    return nn.Sequential(
        _norm(in_channels), nn.ReLU(inplace=True), convolution(3, in_channels, out_channels, _KERNEL, stride)
    )


class _VoxResModule(nn.Module):
    """Two normalised convolutions, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*_before(channels, channels), *_before(channels, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, channels, *spatial)``, unchanged in size."""
        y: torch.Tensor = x + self.layers(x)
        return y


class VoxResNet(nn.Module):
    """``(B, in_channels, X, Y, Z)`` -> logits ``(B, out_channels, X, Y, Z)`` of any size.

    Four levels of ``channels``, then twice as many maps, the finest of half the size of the input. Each gives logits,
    which are upsampled to the finest and added up.
    """

    def __init__(self, in_channels: int, out_channels: int, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.stem = stem(in_channels, _norm)
        self.levels = nn.ModuleList(
            [nn.Sequential(convolution(3, STEM_WIDTH, channels, _KERNEL), *_before(channels, channels))]
        )
        for before in (channels, wide, wide):
            self.levels.append(nn.Sequential(*_before(before, wide, 2), _VoxResModule(wide), _VoxResModule(wide)))
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose3d(width, width, kernel, stride, padding=1),
                nn.ReLU(inplace=True),
                convolution(3, width, out_channels, _KERNEL),
            )
            for width, (kernel, stride) in zip((channels, wide, wide, wide), _HEADS, strict=True)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the size of ``x``."""
        size, x = x.shape[2:], self.stem(x)
        finest, total = x.shape[2:], x.new_zeros(1)
        for level, head in zip(self.levels, self.heads, strict=True):
            x = level(x)
            total = total + resized(head(x), finest)
        return resized(total, size)


def voxresnet(in_channels: Count, out_channels: Count, dimensions: Literal[3], channels: Count = 16) -> VoxResNet:
    """16 channels give as many weights as the paper reports for 55 classes."""
    return VoxResNet(in_channels, out_channels, channels)
