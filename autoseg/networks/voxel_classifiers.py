"""The classifiers of a voxel from the 11 x 11 x 11 voxels around it: one of the two stages of a cascade.

``valverde2017``: Valverde et al., NeuroImage 2017, as in their Lasagne code; ``nicmslesions``: their later Keras code.
The two stages of a cascade are two networks of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from autoseg.core.document import Count
from autoseg.networks.blocks import Share, batch_norm, convolution, initialise_glorot_uniform, max_pool

PATCH_VOXELS = 11
_WIDTHS = (32, 64)
_SIZES = (PATCH_VOXELS, PATCH_VOXELS // 2, PATCH_VOXELS // 4)  # of the maps; the last ones go to the dense layers
_FLAT = _WIDTHS[-1] * _SIZES[-1] ** 3


class ElementwisePReLU(nn.Module):
    """A ReLU whose slope below zero is learnt for every element of a sample, from 0: Keras' PReLU."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(*shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, *shape)``, unchanged in size."""
        return torch.where(x > 0, x, self.weight.to(x.dtype) * x)


class VoxelClassifier(nn.Module):
    """``(B, in_channels, 11, 11, 11)`` -> logits of the centre voxel, ``(B, out_channels, 1, 1, 1)``."""

    def __init__(self, convolutional: Sequence[nn.Module], dense: Sequence[nn.Module]) -> None:
        super().__init__()
        self.convolutional = nn.Sequential(*convolutional)
        self.dense = nn.Sequential(*dense)
        initialise_glorot_uniform(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the centre voxel."""
        logits: torch.Tensor = self.dense(self.convolutional(x).flatten(1))
        return logits[..., None, None, None]


def valverde2017(
    in_channels: Count, out_channels: Count, dimensions: Literal[3], dropout: Share = 0.5
) -> VoxelClassifier:
    """Two convolutions and two dense layers, with ReLU; weights begin Glorot-uniform, Lasagne's way."""
    layers: list[nn.Module] = []
    for before, width in zip((in_channels, *_WIDTHS), _WIDTHS, strict=False):
        layers += [
            convolution(dimensions, before, width, (3, 3, 3), bias=False),
            batch_norm(dimensions, width, eps=1e-4),
            nn.ReLU(inplace=True),
            max_pool(dimensions),
        ]
    dense = [nn.Dropout(dropout), nn.Linear(_FLAT, 256), nn.ReLU(inplace=True), nn.Linear(256, out_channels)]
    return VoxelClassifier(layers, dense)


def nicmslesions(
    in_channels: Count, out_channels: Count, dimensions: Literal[3], dropout: Share = 0.5
) -> VoxelClassifier:
    """Four convolutions and four dense layers, with a PReLU per element; weights begin Glorot-uniform, Keras' way."""
    layers: list[nn.Module] = []
    before = in_channels
    for width, size in zip(_WIDTHS, _SIZES, strict=False):
        for _ in range(2):
            layers += [
                convolution(dimensions, before, width, (3, 3, 3)),
                batch_norm(dimensions, width, eps=1e-3, momentum=0.01),
                ElementwisePReLU((width, size, size, size)),
            ]
            before = width
        layers.append(max_pool(dimensions))
    dense: list[nn.Module] = []
    before = _FLAT
    for width in (256, 128, 64):
        dense += [nn.Dropout(dropout), nn.Linear(before, width), ElementwisePReLU((width,))]
        before = width
    return VoxelClassifier(layers, [*dense, nn.Linear(before, out_channels)])
