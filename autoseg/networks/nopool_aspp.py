"""NoPoolASPP: dilated convolutions at full resolution (Perone et al., Scientific Reports 2018; Paugam et al. 2019).

The original ends in a sigmoid, also with several classes; ours gives the logits. Weights begin as torch's layers do.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from autoseg.core.document import Count
from autoseg.networks.blocks import Share, batch_norm, convolution, dropout_maps
from autoseg.networks.paugam import unit

_BRANCHES = ((3, 1), (3, 6), (3, 12), (3, 18), (3, 24))  # kernel and dilation


class NoPoolASPP(nn.Module):
    """``(B, in_channels, *spatial)`` -> logits ``(B, out_channels, *spatial)`` of any size.

    Two convolutions, two of dilation 2, then side by side: five branches of two convolutions each with dilations 1 (the
    second one 1 voxel large), 6, 12, 18 and 24, and the mean over the image; all of ``features`` maps.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dimensions: int,
        features: int,
        dropout: float,
        norm_momentum: float,
    ) -> None:
        super().__init__()

        def one(before: int, kernel: int, dilation: int, width: int = features) -> nn.Sequential:
            return unit(dimensions, before, width, dropout, norm_momentum, kernel, dilation)

        dilations = (1, 1, 2, 2)
        self.stem = nn.Sequential(
            *(one(features if place else in_channels, 3, dilation) for place, dilation in enumerate(dilations))
        )
        self.branches = nn.ModuleList(
            nn.Sequential(one(features, kernel, dilation), one(features, 1 if dilation == 1 else kernel, dilation))
            for kernel, dilation in _BRANCHES
        )
        joined = (len(_BRANCHES) + 1) * features
        self.norm = batch_norm(dimensions, joined, momentum=norm_momentum)
        self.dropout = dropout_maps(dimensions, dropout)
        self.merge = one(joined, 1, 1, 2 * features)
        self.head = convolution(dimensions, 2 * features, out_channels, (1,) * dimensions)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the size of ``x``."""
        x = self.stem(x)
        mean = x.mean(dim=tuple(range(2, x.ndim)), keepdim=True).expand_as(x)
        x = torch.cat([*(branch(x) for branch in self.branches), mean], dim=1)
        logits: torch.Tensor = self.head(self.merge(self.dropout(self.norm(x))))
        return logits


def nopool_aspp(
    in_channels: Count,
    out_channels: Count,
    dimensions: Literal[2, 3],
    features: Count = 64,
    dropout: Share = 0.4,
    norm_momentum: Share = 0.1,
) -> NoPoolASPP:
    """64 features as in Paugam's code, with Perone's dropout; Perone's own network has 32."""
    return NoPoolASPP(in_channels, out_channels, dimensions, features, dropout, norm_momentum)
