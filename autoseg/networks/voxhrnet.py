"""VoxHRNet (Li et al., CMIG 2021): a whole volume at several resolutions side by side, 3D.

Sizes and fusions as in the authors' code, microsoft/VoxHRNet, where it differs from Table 1 of the paper: no ReLU
behind the last strided convolution of a fusion, a convolution of one voxel before upsampling, a ReLU behind the sum.
Normalisations are instance norms without weights. Weights begin as torch's layers do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import nn

from autoseg.core.document import Count
from autoseg.core.errors import BadInput
from autoseg.networks.blocks import convolution, resized
from autoseg.networks.stem import STEM_WIDTH, stem, unit


@dataclass(frozen=True)
class _Size:
    """Widths of the ``branches``, finest first; stage i has ``modules[i]`` modules of i + 2 branches of ``blocks``."""

    branches: tuple[int, ...]
    modules: tuple[int, ...] = (1, 2)
    blocks: int = 3


_SIZES = {
    "small": _Size((12, 24, 48)),
    "base": _Size((16, 32, 64)),
    "large": _Size((24, 48, 96)),
    "hammers": _Size((16, 32, 64, 128), modules=(2, 2, 2), blocks=4),
}


def _norm(channels: int) -> nn.Module:
    """Instance normalisation without weights; see ``blocks.instance_norm`` for its form."""
    return nn.GroupNorm(channels, channels, eps=1e-5, affine=False)


class _Block(nn.Module):
    """Two convolutions, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *unit(channels, channels, 3, _norm), nn.ReLU(inplace=True), *unit(channels, channels, 3, _norm)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, channels, *spatial)``, unchanged in size."""
        return torch.relu(self.layers(x) + x)


def _path(branches: Sequence[int], source: int, target: int) -> nn.Module:
    """What brings the maps of one branch to another: to a coarser one by strides, to a finer one but for its size."""
    if source == target:
        return nn.Identity()
    if source > target:
        return unit(branches[source], branches[target], 1, _norm)
    layers: list[nn.Module] = []
    for _ in range(target - source - 1):
        layers += [*unit(branches[source], branches[source], 3, _norm, stride=2), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, *unit(branches[source], branches[target], 3, _norm, stride=2))


class Fusion(nn.Module):
    """Each branch becomes the ReLU of the sum over all branches, brought to its width and size."""

    def __init__(self, branches: Sequence[int]) -> None:
        super().__init__()
        places = range(len(branches))
        self.paths = nn.ModuleList(
            nn.ModuleList(_path(branches, source, target) for source in places) for target in places
        )

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Maps of the branches, finest first, unchanged in size."""
        fused = []
        for target, paths in enumerate(self.paths):
            total = maps[target]
            for source, path in enumerate(cast(nn.ModuleList, paths)):
                if source > target:
                    total = total + resized(path(maps[source]), maps[target].shape[2:])
                elif source < target:
                    total = total + path(maps[source])
            fused.append(torch.relu(total))
        return fused


class _Module(nn.Module):
    """Blocks in each branch, then a fusion."""

    def __init__(self, branches: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(_Block(width) for _ in range(blocks))) for width in branches)
        self.fusion = Fusion(branches)

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Maps of the branches, finest first, unchanged in size."""
        fused: list[torch.Tensor] = self.fusion([branch(x) for branch, x in zip(self.branches, maps, strict=True)])
        return fused


class VoxHRNet(nn.Module):
    """``(B, in_channels, X, Y, Z)`` -> logits ``(B, out_channels, X, Y, Z)`` of any size.

    The finest branch has half the size of the input; the logits are upsampled.
    """

    def __init__(self, in_channels: int, out_channels: int, size: _Size) -> None:
        super().__init__()

        def entry(before: int, width: int, stride: int) -> nn.Sequential:
            return nn.Sequential(*unit(before, width, 3, _norm, stride), nn.ReLU(inplace=True))

        branches = size.branches
        self.stem = stem(in_channels, _norm)
        self.first = entry(STEM_WIDTH, branches[0], 1)
        befores = (STEM_WIDTH, *branches[1:])  # the second branch begins at the stem
        self.entries = nn.ModuleList(entry(a, b, 2) for a, b in zip(befores, branches[1:], strict=False))
        self.stages = nn.ModuleList(
            nn.Sequential(*(_Module(branches[: stage + 2], size.blocks) for _ in range(modules)))
            for stage, modules in enumerate(size.modules)
        )
        width = sum(branches)
        self.head = nn.Sequential(
            convolution(3, width, width, (1, 1, 1)),
            _norm(width),
            nn.ReLU(inplace=True),
            convolution(3, width, out_channels, (1, 1, 1)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the size of ``x``."""
        size = x.shape[2:]
        x = self.stem(x)
        maps = [self.first(x)]
        for entry, stage in zip(self.entries, self.stages, strict=True):
            maps = stage([*maps, entry(maps[-1] if len(maps) > 1 else x)])
        finest = maps[0].shape[2:]
        joined = torch.cat([maps[0], *(resized(coarse, finest) for coarse in maps[1:])], dim=1)
        return resized(self.head(joined), size)


def voxhrnet(
    in_channels: Count,
    out_channels: Count,
    dimensions: Literal[3],
    size: Literal["small", "base", "large", "hammers"] = "base",
    branches: tuple[Count, ...] | None = None,
) -> VoxHRNet:
    """The paper's sizes, or that of the code's configuration for Hammers; ``branches`` gives them other widths."""
    chosen = _SIZES[size]
    if branches is not None:
        if len(branches) != len(chosen.branches):
            wanted = len(chosen.branches)
            raise BadInput(f"network voxhrnet: {len(branches)} branches for size {size!r}; give {wanted} widths.")
        chosen = _Size(branches, chosen.modules, chosen.blocks)
    return VoxHRNet(in_channels, out_channels, chosen)
