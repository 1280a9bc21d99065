"""The U-Net as it is usually written in Keras (after Ronneberger et al., MICCAI 2015), in Blázquez Martínez, EPFL 2021.

Convolutions keep the size, unlike Ronneberger's; a map is doubled by repeating voxels, then convolved with a kernel
of 2. The report's text puts a batch normalisation behind each convolution. The number of weights that it gives for
TensorFlow fits the network without any, the one for PyEDDL the network with all, so there are both. Weights begin
He-normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from autoseg.core.document import Count
from autoseg.networks.blocks import Share, batch_norm, convolution, initialise_he_normal, max_pool

Norm = Literal["none", "batch"]
_WIDTHS = (64, 128, 256, 512, 1024)


class _Unit(nn.Module):
    """A convolution that keeps the size, batch normalisation with the constants of Keras if there is one, ReLU.

    A kernel of 2 sees one voxel more behind, as with TensorFlow's padding.
    """

    def __init__(self, dimensions: int, in_channels: int, out_channels: int, kernel: int, norm: Norm) -> None:
        super().__init__()
        self.conv = convolution(dimensions, in_channels, out_channels, (kernel,) * dimensions)
        self.norm = _normalisation(dimensions, out_channels, norm)
        self.padding = (0, 1) * dimensions if kernel == 2 else ()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, in_channels, *spatial)`` -> ``(B, out_channels, *spatial)``."""
        if self.padding:
            x = functional.pad(x, self.padding)
        return functional.relu(self.norm(self.conv(x)))


def _normalisation(dimensions: int, channels: int, norm: Norm) -> nn.Module:
    return batch_norm(dimensions, channels, eps=1e-3, momentum=0.01) if norm == "batch" else nn.Identity()


class ClassicUNet(nn.Module):
    """``(B, in_channels, *spatial)`` -> logits ``(B, out_channels, *spatial)``; any size of at least 16.

    Five levels of 64 to 1024 maps. The last two lose ``dropout`` of their values. The logits come from as many maps as
    there are classes, at least 2, and with ``norm`` they are normalised too.
    """

    def __init__(self, in_channels: int, out_channels: int, dimensions: int, norm: Norm, dropout: float) -> None:
        super().__init__()

        def chain(*widths: int) -> nn.Sequential:
            return nn.Sequential(*(_Unit(dimensions, *pair, 3, norm) for pair in pairwise(widths)))

        def dropped(layers: nn.Sequential, level: int) -> nn.Sequential:
            return nn.Sequential(*layers, nn.Dropout(dropout)) if level >= len(_WIDTHS) - 2 else layers

        before = (in_channels, *_WIDTHS)
        self.encoder = nn.ModuleList(
            dropped(chain(before[level], width, width), level) for level, width in enumerate(_WIDTHS)
        )
        self.pool = max_pool(dimensions)
        upward: Sequence[tuple[int, int]] = list(zip(_WIDTHS[:0:-1], _WIDTHS[-2::-1], strict=True))
        self.upsamplers = nn.ModuleList(_Unit(dimensions, below, width, 2, norm) for below, width in upward)
        self.decoder = nn.ModuleList(chain(2 * width, width, width) for _, width in upward)
        last = max(2, out_channels)
        self.last = _Unit(dimensions, _WIDTHS[0], last, 3, norm)
        self.head = nn.Sequential(
            convolution(dimensions, last, out_channels, (1,) * dimensions),
            _normalisation(dimensions, out_channels, norm),
        )
        initialise_he_normal(self, slope=0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the size of ``x``."""
        skips: list[torch.Tensor] = []
        for level in self.encoder:
            x = level(self.pool(x) if skips else x)
            skips.append(x)
        x = skips.pop()
        for upsampler, level in zip(self.upsamplers, self.decoder, strict=True):
            skip = skips.pop()
            x = upsampler(functional.interpolate(x, skip.shape[2:], mode="nearest"))
            x = level(torch.cat((skip, x), dim=1))
        logits: torch.Tensor = self.head(self.last(x))
        return logits


def classic_unet(
    in_channels: Count,
    out_channels: Count,
    dimensions: Literal[2, 3],
    norm: Norm = "none",
    dropout: Share = 0.5,
) -> ClassicUNet:
    """As counted for TensorFlow; PyEDDL's is ``norm="batch"`` with three channels. The dropout is Keras listings'."""
    return ClassicUNet(in_channels, out_channels, dimensions, norm, dropout)
