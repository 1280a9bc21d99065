"""SegNet (Badrinarayanan et al., TPAMI 2017) as in Paugam et al. 2019: VGG-16 with batch norms, and its mirror image.

Units are convolution, batch normalisation, dropout of whole maps, ReLU: another order than in Paugam's U-Nets.
Weights begin as torch's layers do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import nn

from autoseg.core.document import Count
from autoseg.networks.blocks import Share, batch_norm, convolution, dropout_maps, max_pool

_ENCODER = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
_DECODER = ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64,))


def unpooled(x: torch.Tensor, indices: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """``(B, C, *small)`` -> ``(B, C, *size)``: each value back where ``max_pool`` took it from, zeros elsewhere.

    As ``torch.nn.functional.max_unpool2d``, in both dimensions and in a form that OpenVINO reads.
    """
    empty = x.new_zeros(*x.shape[:2], *size)
    return empty.flatten(2).scatter(2, indices.flatten(2), x.flatten(2)).view_as(empty)


class SegNet(nn.Module):
    """``(B, in_channels, *spatial)`` -> logits ``(B, out_channels, *spatial)``; any size of at least 32."""

    def __init__(
        self, in_channels: int, out_channels: int, dimensions: int, dropout: float, norm_momentum: float
    ) -> None:
        super().__init__()

        def stack(before: int, widths: Iterable[int]) -> nn.Sequential:
            layers: list[nn.Module] = []
            for width in widths:
                layers += [
                    convolution(dimensions, before, width, (3,) * dimensions),
                    batch_norm(dimensions, width, momentum=norm_momentum),
                    dropout_maps(dimensions, dropout),
                    nn.ReLU(inplace=True),
                ]
                before = width
            return nn.Sequential(*layers)

        ends = (in_channels, *(widths[-1] for widths in (*_ENCODER, *_DECODER)))
        self.encoder = nn.ModuleList(map(stack, ends, _ENCODER))
        self.pool = max_pool(dimensions, indices=True)
        self.decoder = nn.ModuleList(map(stack, ends[len(_ENCODER) :], _DECODER))
        self.head = convolution(dimensions, ends[-1], out_channels, (3,) * dimensions)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the size of ``x``."""
        pooled = []
        for stage in self.encoder:
            x = stage(x)
            size = x.shape[2:]
            x, indices = self.pool(x)
            pooled.append((indices, size))
        for stage in self.decoder:
            x = stage(unpooled(x, *pooled.pop()))
        logits: torch.Tensor = self.head(x)
        return logits


def segnet(
    in_channels: Count,
    out_channels: Count,
    dimensions: Literal[2, 3],
    dropout: Share = 0.3,
    norm_momentum: Share = 0.1,
) -> SegNet:
    """The widths of Paugam's code and the paper's dropout and momentum."""
    return SegNet(in_channels, out_channels, dimensions, dropout, norm_momentum)
