"""Double U-Net (Jha et al., CBMS 2020), 2D: a second U-Net sees the image times the output of a first one.

The first encoder is the trunk of VGG-19, with random weights. Both bottoms are pyramids of dilated convolutions (ASPP),
and the blocks of the decoders and of the second encoder end in squeeze and excitation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from autoseg.core.document import Count
from autoseg.networks.blocks import batch_norm, convolution, initialise_glorot_uniform, max_pool, resized

_VGG = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # width and convolutions of a stage
_ENCODER = (32, 64, 128, 256)
_DECODER = (256, 128, 64, 32)
_PYRAMID = 64
_DILATIONS = (6, 12, 18)
_REDUCTION = 8


@dataclass(frozen=True)
class _Variant:
    """How one implementation differs from the next."""

    bias: bool = True  # of convolutions before a batch norm in the blocks
    squeeze_bias: bool = False
    pooled_bias: bool = True  # of the pyramid's branch of means
    pyramid_bias: bool = False  # of its other convolutions
    pooled_size: int = 1  # of its grid of means
    align_corners: bool = False
    vgg_norm: bool = False
    eps: float = 1e-3  # Keras' constants
    momentum: float = 0.01


_VARIANTS = {
    "tensorflow": _Variant(),
    "pytorch": _Variant(
        bias=False, squeeze_bias=True, pooled_bias=False, pooled_size=2, align_corners=True, eps=1e-5, momentum=0.1
    ),
    "pyeddl": _Variant(pyramid_bias=True, vgg_norm=True),
}


def _unit(before: int, width: int, kernel: int, variant: _Variant, bias: bool, dilation: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    conv = convolution(2, before, width, (kernel, kernel), bias=bias, dilation=dilation)
    return nn.Sequential(conv, batch_norm(2, width, variant.eps, variant.momentum), nn.ReLU(inplace=True))


class SqueezeExcite(nn.Module):
    """Multiplies each map by a number from 0 to 1, made of the means of all (Hu et al., CVPR 2018)."""

    def __init__(self, channels: int, bias: bool) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // _REDUCTION, bias=bias)
        self.excite = nn.Linear(channels // _REDUCTION, channels, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, channels, X, Y)``, unchanged in size."""
        share = torch.sigmoid(self.excite(functional.relu(self.squeeze(x.mean(dim=(2, 3))))))
        return x * share[..., None, None]


class Pyramid(nn.Module):
    """Means of the image, a 1x1 convolution and three dilated ones, joined and merged into 64 maps (ASPP).

    In training the means of a batch of one image cannot be normalised: torch refuses them.
    """

    def __init__(self, channels: int, variant: _Variant) -> None:
        super().__init__()
        self.pooled_size, self.align_corners = variant.pooled_size, variant.align_corners
        self.pooled = _unit(channels, _PYRAMID, 1, variant, variant.pooled_bias)
        self.branches = nn.ModuleList([_unit(channels, _PYRAMID, 1, variant, variant.pyramid_bias)])
        for dilation in _DILATIONS:
            self.branches.append(_unit(channels, _PYRAMID, 3, variant, variant.pyramid_bias, dilation))
        self.merge = _unit(_PYRAMID * (2 + len(_DILATIONS)), _PYRAMID, 1, variant, variant.pyramid_bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, channels, X, Y)`` -> ``(B, 64, X, Y)``."""
        pooled = self.pooled(functional.adaptive_avg_pool2d(x, self.pooled_size))
        pooled = resized(pooled, x.shape[2:], self.align_corners)
        y: torch.Tensor = self.merge(torch.cat([pooled, *(branch(x) for branch in self.branches)], dim=1))
        return y


def _block(before: int, width: int, variant: _Variant) -> nn.Sequential:
    """Two convolutions with squeeze and excitation."""
    return nn.Sequential(
        *_unit(before, width, 3, variant, variant.bias),
        *_unit(width, width, 3, variant, variant.bias),
        SqueezeExcite(width, variant.squeeze_bias),
    )


def _vgg(in_channels: int, variant: _Variant) -> nn.ModuleList:
    """The five stages of VGG-19, without the pools between them."""
    stages = nn.ModuleList()
    for width, convolutions in _VGG:
        layers: list[nn.Module] = []
        for _ in range(convolutions):
            unit = _unit(in_channels, width, 3, variant, bias=True)
            layers += unit if variant.vgg_norm else (unit[0], unit[2])
            in_channels = width
        stages.append(nn.Sequential(*layers))
    return stages


class _HalfUNet(nn.Module):
    """One of the two U-Nets: stages, pyramid, decoder and head; the skips of the other may be joined too."""

    def __init__(
        self, stages: nn.ModuleList, bottom: int, skips: Sequence[int], out_channels: int, variant: _Variant
    ) -> None:
        super().__init__()
        self.align_corners = variant.align_corners
        self.stages = stages
        self.pool = max_pool(2)
        self.pyramid = Pyramid(bottom, variant)
        below = (_PYRAMID, *_DECODER)
        self.decoder = nn.ModuleList(
            _block(below[level] + skips[level], width, variant) for level, width in enumerate(_DECODER)
        )
        self.head = convolution(2, _DECODER[-1], out_channels, (1, 1))

    def encode(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The maps of the stages, finest first."""
        maps: list[torch.Tensor] = []
        for stage in self.stages:
            maps.append(stage(self.pool(maps[-1]) if maps else x))
        return maps

    def decode(self, bottom: torch.Tensor, skips: Sequence[Sequence[torch.Tensor]]) -> torch.Tensor:
        """Logits; ``skips`` are those of each level, finest first."""
        x = self.pyramid(bottom)
        for level, joined in zip(self.decoder, reversed(skips), strict=True):
            x = level(torch.cat([resized(x, joined[0].shape[2:], self.align_corners), *joined], dim=1))
        logits: torch.Tensor = self.head(x)
        return logits


class DoubleUNet(nn.Module):
    """``(B, in_channels, X, Y)`` -> logits ``(B, out_channels, X, Y)`` of the second U-Net; any size of at least 16.

    With ``both_outputs`` a list: those of the second and those of the first. The second sees every channel of
    the image times the sigmoid of every output of the first.
    """

    def __init__(self, in_channels: int, out_channels: int, variant: _Variant, both_outputs: bool) -> None:
        super().__init__()
        self.both_outputs = both_outputs
        first = tuple(width for width, _ in _VGG[-2::-1])
        second = _ENCODER[::-1]
        stages = nn.ModuleList()
        before = in_channels * out_channels
        for width in _ENCODER:
            stages.append(_block(before, width, variant))
            before = width
        both = [one + other for one, other in zip(first, second, strict=True)]
        self.first = _HalfUNet(_vgg(in_channels, variant), _VGG[-1][0], first, out_channels, variant)
        self.second = _HalfUNet(stages, _ENCODER[-1], both, out_channels, variant)

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits of the second U-Net, or of the second and the first."""
        *skips, bottom = self.first.encode(x)
        first = self.first.decode(bottom, [(skip,) for skip in skips])
        gated = (x[:, :, None] * torch.sigmoid(first)[:, None]).flatten(1, 2)
        others = self.second.encode(gated)
        logits = self.second.decode(self.second.pool(others[-1]), list(zip(skips, others, strict=True)))
        return [logits, first] if self.both_outputs else logits


def double_unet(
    in_channels: Count,
    out_channels: Count,
    dimensions: Literal[2],
    variant: Literal["tensorflow", "pytorch", "pyeddl"] = "tensorflow",
    both_outputs: bool = False,
) -> DoubleUNet:
    """The author's TensorFlow or PyTorch file, or what has as many weights as Blázquez Martínez counted in PyEDDL.

    Weights begin as in Keras, Glorot-uniform, or as torch's layers do in the variant of that name.
    """
    network = DoubleUNet(in_channels, out_channels, _VARIANTS[variant], both_outputs)
    if variant != "pytorch":
        initialise_glorot_uniform(network)
    return network
