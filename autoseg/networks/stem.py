"""The beginning of the full-volume networks of Li et al. (CMIG 2021): half the size, 64 maps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from autoseg.networks.blocks import convolution

Norm = Callable[[int], nn.Module]  # channels -> a normalisation
STEM_WIDTH = 64
_BEFORE = 32
_NARROW = 16


def unit(in_channels: int, out_channels: int, kernel: int, norm: Norm, stride: int = 1) -> nn.Sequential:
    """A 3D convolution without bias, and a normalisation."""
    return nn.Sequential(
        convolution(3, in_channels, out_channels, (kernel,) * 3, stride, bias=False), norm(out_channels)
    )


class _Bottleneck(nn.Module):
    """Convolutions of 1, 3 and 1 voxels, the middle one narrow, plus the input, which is projected to fit."""

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *unit(in_channels, _NARROW, 1, norm),
            nn.ReLU(inplace=True),
            *unit(_NARROW, _NARROW, 3, norm),
            nn.ReLU(inplace=True),
            *unit(_NARROW, out_channels, 1, norm),
        )
        self.shortcut = unit(in_channels, out_channels, 1, norm) if in_channels != out_channels else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, in_channels, *spatial)`` -> ``(B, out_channels, *spatial)``."""
        return torch.relu(self.layers(x) + self.shortcut(x))


def stem(in_channels: int, norm: Norm) -> nn.Sequential:
    """``(B, in_channels, X, Y, Z)`` -> ``(B, 64, ...)`` of half the size, rounded up."""
    return nn.Sequential(
        *unit(in_channels, _BEFORE, 3, norm, stride=2),
        nn.ReLU(inplace=True),
        _Bottleneck(_BEFORE, STEM_WIDTH, norm),
        _Bottleneck(STEM_WIDTH, STEM_WIDTH, norm),
    )
