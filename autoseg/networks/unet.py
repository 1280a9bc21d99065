"""The U-Net of nnU-Net (Isensee et al., Nature Methods 2021), 2D and 3D: around any encoder, and the plain one.

The plain encoder has stages of ``blocks_per_stage`` convolutions and downsamples by strided convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from autoseg.core.document import Count
from autoseg.core.network_spec import NetworkSpec
from autoseg.networks.blocks import ConvStack, initialise_he_normal
from autoseg.networks.decoder import Decoder

_FEATURES = {2: (32, 64, 128, 256, 512, 512, 512, 512), 3: (32, 64, 128, 256, 320, 320)}


class UNet(nn.Module):
    """``(B, in_channels, *spatial)`` -> logits ``(B, out_channels, *spatial)``.

    ``encoder`` has one module for each stage of ``spec``: ``features_per_stage`` channels, smaller by the
    stage's stride, rounded up. Any size will do; nothing has to be cropped if it is a multiple of the product of
    the strides on its axis. With ``deep_supervision`` the forward pass returns a list of logits, finest first, one
    for each stage but the bottleneck; else only the finest, and the other heads are not evaluated.
    """

    def __init__(self, encoder: Sequence[nn.Module], spec: NetworkSpec, out_channels: int) -> None:
        super().__init__()
        self.deep_supervision = False
        self.encoder = nn.ModuleList(encoder)
        self.decoder = Decoder(
            out_channels,
            spec.dimensions,
            spec.features_per_stage,
            spec.kernel_sizes,
            spec.strides,
            spec.blocks_per_decoder_stage,
        )
        initialise_he_normal(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits, or a list of them, finest first, with deep supervision."""
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        logits: torch.Tensor | list[torch.Tensor] = self.decoder(skips, self.deep_supervision)
        return logits


def topology(
    name: str,
    dimensions: Literal[2, 3],
    features: Sequence[int] | None,
    kernels: Sequence[Sequence[int]] | None,
    strides: Sequence[Sequence[int]] | None,
    blocks: Sequence[int],
    decoder_blocks: Sequence[int],
) -> NetworkSpec:
    """The stages of a U-Net, where None stands for nnU-Net's: features doubling from 32, kernels 3, strides 2.

    The last number of blocks is also that of the stages for which there is none; numbers for more stages are not used.
    """
    features = _FEATURES[dimensions] if features is None else features
    stages = len(features)
    if strides is None:
        strides = ((1,) * dimensions, *((2,) * dimensions,) * (stages - 1))
    return NetworkSpec(
        name=name,
        dimensions=dimensions,
        features_per_stage=tuple(features),
        kernel_sizes=((3,) * dimensions,) * stages if kernels is None else tuple(tuple(kernel) for kernel in kernels),
        strides=tuple(tuple(stride) for stride in strides),
        blocks_per_stage=_continued(tuple(blocks), stages),
        blocks_per_decoder_stage=_continued(tuple(decoder_blocks), stages - 1),
    )


def _continued(numbers: tuple[int, ...], length: int) -> tuple[int, ...]:
    """The first ``length`` numbers, the last one again and again."""
    return (numbers + numbers[-1:] * (length - len(numbers)))[:length]


def plain_unet(
    in_channels: Count,
    out_channels: Count,
    dimensions: Literal[2, 3],
    features_per_stage: tuple[Count, ...] | None = None,
    kernel_sizes: tuple[tuple[Count, ...], ...] | None = None,
    strides: tuple[tuple[Count, ...], ...] | None = None,
    blocks_per_stage: tuple[Count, ...] = (2,),
    blocks_per_decoder_stage: tuple[Count, ...] = (2,),
) -> UNet:
    """PlainConvUNet: each encoder stage is a stack of convolutions.

    Without features, those of nnU-Net's reference: 6 stages from 32 to 320 in 3D, 8 from 32 to 512 in 2D. The last
    number of blocks is also that of the stages for which there is none.
    """
    spec = topology(
        "plain_unet",
        dimensions,
        features_per_stage,
        kernel_sizes,
        strides,
        blocks_per_stage,
        blocks_per_decoder_stage,
    )
    encoder, channels = [], in_channels
    for width, kernel, convs, stride in zip(
        spec.features_per_stage, spec.kernel_sizes, spec.blocks_per_stage, spec.strides, strict=True
    ):
        encoder.append(ConvStack(spec.dimensions, channels, width, kernel, convs, stride))
        channels = width
    return UNet(encoder, spec, out_channels)
