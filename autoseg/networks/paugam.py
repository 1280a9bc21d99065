"""The U-Nets of Paugam et al. (Magnetic Resonance Imaging 2019): the small one of Figure 5, and the larger one.

Layers and widths as in the authors' code, neuropoly/multiclass-segmentation. Their networks end in a softmax or a
sigmoid; ours give the logits. Weights begin as torch's layers do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from autoseg.core.document import Count
from autoseg.networks.blocks import Share, batch_norm, convolution, dropout_maps, max_pool, resized

_SMALL_WIDTHS = (32, 64, 128)
_WIDTHS = (64, 128, 256, 512)


def unit(
    dimensions: int,
    in_channels: int,
    out_channels: int,
    dropout: float,
    norm_momentum: float,
    kernel: int = 3,
    dilation: int = 1,
) -> nn.Sequential:
    """Convolution, ReLU, batch normalisation behind the ReLU, dropout of whole maps."""
    return nn.Sequential(
        convolution(dimensions, in_channels, out_channels, (kernel,) * dimensions, dilation=dilation),
        nn.ReLU(inplace=True),
        batch_norm(dimensions, out_channels, momentum=norm_momentum),
        dropout_maps(dimensions, dropout),
    )


class PaugamUNet(nn.Module):
    """``(B, in_channels, *spatial)`` -> logits ``(B, out_channels, *spatial)``; any size of at least 2^levels.

    ``widths`` are those of the levels from the finest; the bottom is as wide as the last one. A map is upsampled
    linearly, to the size of its skip.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dimensions: int,
        widths: Sequence[int],
        dropout: float,
        norm_momentum: float,
    ) -> None:
        super().__init__()

        def pair(before: int, width: int) -> nn.Sequential:
            first = unit(dimensions, before, width, dropout, norm_momentum)
            return nn.Sequential(*first, *unit(dimensions, width, width, dropout, norm_momentum))

        self.encoder = nn.ModuleList(map(pair, (in_channels, *widths[:-1]), widths))
        self.pool = max_pool(dimensions)
        self.bottom = pair(widths[-1], widths[-1])
        below = (widths[-1], *reversed(widths[1:]))
        self.decoder = nn.ModuleList(pair(deep + width, width) for deep, width in zip(below, widths[::-1], strict=True))
        self.head = convolution(dimensions, widths[0], out_channels, (3,) * dimensions)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the size of ``x``."""
        skips = []
        for level in self.encoder:
            x = level(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        for level in self.decoder:
            skip = skips.pop()
            x = level(torch.cat((resized(x, skip.shape[2:]), skip), dim=1))
        logits: torch.Tensor = self.head(x)
        return logits


def paugam_small_unet(
    in_channels: Count,
    out_channels: Count,
    dimensions: Literal[2, 3],
    dropout: Share = 0.3,
    norm_momentum: Share = 0.1,
) -> PaugamUNet:
    """Three levels of 32, 64 and 128 maps; the paper's dropout and momentum."""
    return PaugamUNet(in_channels, out_channels, dimensions, _SMALL_WIDTHS, dropout, norm_momentum)


def paugam_unet(
    in_channels: Count,
    out_channels: Count,
    dimensions: Literal[2, 3],
    dropout: Share = 0.3,
    norm_momentum: Share = 0.1,
) -> PaugamUNet:
    """Four levels of 64, 128, 256 and 512 maps; the paper's dropout and momentum."""
    return PaugamUNet(in_channels, out_channels, dimensions, _WIDTHS, dropout, norm_momentum)
