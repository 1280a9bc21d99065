"""The 3D U-Net for whole volumes that Li et al. (CMIG 2021) compared with VoxHRNet.

Layers as in their code, microsoft/VoxHRNet: a block ends in a batch normalisation without activation. Weights begin as
torch's layers do.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from autoseg.core.document import Count
from autoseg.networks.blocks import batch_norm, convolution, max_pool, resized

_LEVELS = 5
_KERNEL = (3, 3, 3)


def _activated(conv: nn.Module, channels: int) -> nn.Sequential:
    """A convolution, batch normalisation, leaky ReLU."""
    return nn.Sequential(conv, batch_norm(3, channels), nn.LeakyReLU(0.2, inplace=True))


def _block(before: int, width: int) -> nn.Sequential:
    first = _activated(convolution(3, before, width, _KERNEL), width)
    return nn.Sequential(*first, convolution(3, width, width, _KERNEL), batch_norm(3, width))


class FullVolumeUNet(nn.Module):
    """``(B, in_channels, X, Y, Z)`` -> logits ``(B, out_channels, X, Y, Z)``; any size of at least 32.

    Five levels and a bridge; the widths double from ``features``. Transposed convolutions double the size; the
    result is resampled to that of the skip.
    """

    def __init__(self, in_channels: int, out_channels: int, features: int, activated_logits: bool) -> None:
        super().__init__()
        widths = [features * 2**level for level in range(_LEVELS + 1)]
        befores = (in_channels, *widths)
        self.encoder = nn.ModuleList(_block(befores[level], widths[level]) for level in range(_LEVELS))
        self.pool = max_pool(3)
        self.bridge = _block(widths[-2], widths[-1])
        self.upsamplers = nn.ModuleList(
            _activated(nn.ConvTranspose3d(below, below, 3, 2, padding=1, output_padding=1), below)
            for below in widths[:0:-1]
        )
        self.decoder = nn.ModuleList(_block(3 * width, width) for width in widths[-2::-1])
        head = convolution(3, features, out_channels, _KERNEL)
        self.head = _activated(head, out_channels) if activated_logits else head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the size of ``x``."""
        skips = []
        for level in self.encoder:
            x = level(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bridge(x)
        for upsampler, level in zip(self.upsamplers, self.decoder, strict=True):
            skip = skips.pop()
            x = level(torch.cat((resized(upsampler(x), skip.shape[2:]), skip), dim=1))
        logits: torch.Tensor = self.head(x)
        return logits


def full_volume_unet(
    in_channels: Count,
    out_channels: Count,
    dimensions: Literal[3],
    features: Count = 4,
    activated_logits: bool = True,
) -> FullVolumeUNet:
    """4 features, and a batch normalisation and leaky ReLU of the logits: the weights that the paper reports."""
    return FullVolumeUNet(in_channels, out_channels, features, activated_logits)
