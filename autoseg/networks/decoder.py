"""The decoder that the U-Nets share: upsample, join the skip, convolve; a segmentation head for each stage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import nn

from autoseg.networks.blocks import ConvNormAct, ConvStack, convolution, transposed_convolution


class Decoder(nn.Module):
    """The outputs of the encoder's stages, finest first -> logits of the decoder's stages, finest first.

    Stage 0 of the lists is the deepest one. ``features_per_stage``, ``kernel_sizes`` and ``strides`` are the
    encoder's; ``convs_per_stage`` has one entry less, deepest first.
    """

    def __init__(
        self,
        out_channels: int,
        dimensions: int,
        features_per_stage: Sequence[int],
        kernel_sizes: Sequence[Sequence[int]],
        strides: Sequence[Sequence[int]],
        convs_per_stage: Sequence[int],
    ) -> None:
        super().__init__()
        upsamplers, stages, heads = [], [], []
        for depth, convs in enumerate(convs_per_stage):
            stage = len(features_per_stage) - 2 - depth
            width, below = features_per_stage[stage], features_per_stage[stage + 1]
            upsamplers.append(transposed_convolution(dimensions, below, width, strides[stage + 1]))
            stages.append(ConvStack(dimensions, 2 * width, width, kernel_sizes[stage], convs))
            heads.append(convolution(dimensions, width, out_channels, (1,) * dimensions))
        self.upsamplers = nn.ModuleList(upsamplers)
        self.stages = nn.ModuleList(stages)
        self.heads = nn.ModuleList(heads)

    def forward(self, skips: list[torch.Tensor], deep_supervision: bool) -> torch.Tensor | list[torch.Tensor]:
        """Empties ``skips``: each map is released once it is joined. Without deep supervision only the finest head."""
        x = skips.pop()
        logits = []
        for depth, (upsampler, stage, head) in enumerate(zip(self.upsamplers, self.stages, self.heads, strict=True)):
            first, *others = cast(Iterable[ConvNormAct], stage.convs)
            # Not stage(joined): nobody may hold the joined map, the largest of all, beyond its one convolution.
            x = first.conv(_joined(upsampler, x, skips))
            x = first.act(first.norm(x))
            for unit in others:
                x = unit(x)
            if deep_supervision or depth == len(self.stages) - 1:
                logits.append(head(x))
        return logits[::-1] if deep_supervision else logits[-1]


def _joined(upsampler: nn.Module, x: torch.Tensor, skips: list[torch.Tensor]) -> torch.Tensor:
    """The upsampled map and the last of ``skips``, one behind the other along the channels.

    In inference the skip is moved and released before the upsampled map exists: three quarters of the peak
    memory of ``torch.cat``, which otherwise is that of the whole pass.
    """
    if not torch.is_inference_mode_enabled():
        skip = skips.pop()
        return torch.cat((_cropped(upsampler(x), skip), skip), dim=1)
    skip = skips.pop()
    width = skip.shape[1]
    layout = torch.channels_last if skip.ndim == 4 else torch.channels_last_3d
    if not skip.is_contiguous(memory_format=layout):
        layout = torch.contiguous_format
    size = (len(skip), 2 * width, *skip.shape[2:])
    joined = torch.empty(size, dtype=skip.dtype, device=skip.device, memory_format=layout)
    joined[:, width:] = skip
    del skip
    joined[:, :width] = _cropped(upsampler(x), joined)
    return joined


def _cropped(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A view without the last voxels of an axis where the skip is no multiple of the stride."""
    whole, sizes = slice(None), like.shape[2:]
    return x[(whole, whole, *map(slice, sizes))]
