"""U-Net++ (Zhou et al., TMI 2020) for whole volumes, as Li et al. (CMIG 2021) compared it with VoxHRNet, 3D.

Layers as in their code, microsoft/VoxHRNet. Weights begin as torch's layers do.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import nn

from autoseg.core.document import Count
from autoseg.networks.blocks import batch_norm, convolution, max_pool, resized
from autoseg.networks.stem import STEM_WIDTH, stem

_LEVELS = 5
_norm = partial(batch_norm, 3)


def _node(before: int, width: int) -> nn.Sequential:
    """Twice a convolution, batch normalisation and ReLU."""
    layers: list[nn.Module] = []
    for channels in (before, width):
        layers += [convolution(3, channels, width, (3, 3, 3)), _norm(width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class UNetPlusPlus(nn.Module):
    """``(B, in_channels, X, Y, Z)`` -> logits ``(B, out_channels, X, Y, Z)``; any size of at least 32.

    Node (level, column) sees all earlier nodes of its level and the node one level below in the column before; level 0
    has half the size of the input, ``features`` maps, and each level half the size and twice the maps of the one above.
    With ``upsampled_nodes`` every node is upsampled to the size of level 0 before any other sees it, the next one
    below too.
    """

    def __init__(self, in_channels: int, out_channels: int, features: int, upsampled_nodes: bool) -> None:
        super().__init__()
        self.upsampled_nodes = upsampled_nodes
        widths = [features * 2**level for level in range(_LEVELS)]
        self.stem = stem(in_channels, _norm)
        self.pool = max_pool(3)
        self.nodes = nn.ModuleList()
        for level, width in enumerate(widths):
            first = _node(widths[level - 1] if level else STEM_WIDTH, width)
            later = (_node(column * width + 2 * width, width) for column in range(1, _LEVELS - level))
            self.nodes.append(nn.ModuleList([first, *later]))
        self.head = convolution(3, features, out_channels, (1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the size of ``x``."""
        size, x = x.shape[2:], self.stem(x)
        maps: list[list[torch.Tensor]] = [[] for _ in range(_LEVELS)]
        for diagonal in range(_LEVELS):
            for level in range(diagonal, -1, -1):
                seen = maps[level]
                if seen:
                    below = resized(maps[level + 1][-1], seen[0].shape[2:], align_corners=True)
                    source = torch.cat([*seen, below], dim=1)
                else:
                    source = self.pool(maps[level - 1][0]) if level else x
                node = self.nodes[level][len(seen)](source)  # type: ignore[index]
                if self.upsampled_nodes and level:
                    node = resized(node, maps[0][0].shape[2:], align_corners=True)
                seen.append(node)
        return resized(self.head(maps[0][-1]), size, align_corners=True)


def unet_plus_plus(
    in_channels: Count,
    out_channels: Count,
    dimensions: Literal[3],
    features: Count = 9,
    upsampled_nodes: bool = False,
) -> UNetPlusPlus:
    """9 features give as many weights as the paper reports; ``upsampled_nodes`` is what the authors' code does."""
    return UNetPlusPlus(in_channels, out_channels, features, upsampled_nodes)
