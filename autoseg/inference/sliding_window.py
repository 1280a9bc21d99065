"""Logits of a whole image from overlapping tiles, weighted by a Gaussian.

A 3D network sees the volume; a 2D network sees the slices across axis 0 as independent images. Both
are a stack ``(N, C, *spatial)`` here (N = 1 for 3D), so one loop serves both.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations, product
from math import ceil, prod

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from autoseg.runtime.devices import Execution

# Voxels of one forward pass: enough to fill two cores or a GPU, small enough for any memory.
FORWARD_VOXELS = 2**20


def tile_starts(size: int, patch: int, step: float) -> list[int]:
    """Starts of the tiles along an axis of ``size >= patch`` voxels.

    ``ceil((size - patch) / (step * patch)) + 1`` tiles at equal distances, the last one flush with the
    end: size 110, patch 64, step 0.5 gives 0, 23, 46.
    """
    count = ceil((size - patch) / (step * patch)) + 1
    distance = (size - patch) / (count - 1) if count > 1 else 0.0
    return [round(index * distance) for index in range(count)]


@lru_cache(maxsize=8)
def gaussian_weights(patch_size: tuple[int, ...]) -> torch.Tensor:
    """``(*patch)`` float32: a Gaussian around voxel P // 2 with a standard deviation of P / 8, maximum 1.

    Far corners that round to zero get the smallest positive weight, so that no voxel is left without.
    """
    weights = torch.ones((), dtype=torch.float64)
    for axis, size in enumerate(patch_size):
        distance = torch.arange(size, dtype=torch.float64) - size // 2
        line = torch.exp(-0.5 * (distance / (size / 8)) ** 2)
        weights = weights * line.view(*(-1 if a == axis else 1 for a in range(len(patch_size))))
    single = weights.float()
    return single.clamp_min(float(single[single > 0].min()))


def mirror_combinations(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """The identity and every set of axes to flip."""
    return [flips for number in range(len(axes) + 1) for flips in combinations(axes, number)]


def pad_to(image: torch.Tensor, size: Sequence[int]) -> tuple[torch.Tensor, tuple[slice, ...]]:
    """Zero-pad the last axes of ``image`` centred to at least ``size`` (the odd voxel above).

    The slices cut the padded axes back.
    """
    padding: list[int] = []
    slices = []
    for extent, wanted in zip(image.shape[-len(size) :], size, strict=True):
        missing = max(0, wanted - extent)
        padding = [missing // 2, missing - missing // 2, *padding]  # torch lists the last axis first
        slices.append(slice(missing // 2, missing // 2 + extent))
    return F.pad(image, padding), tuple(slices)


@torch.inference_mode()
def sliding_window_logits(
    networks: Sequence[nn.Module],
    image: npt.NDArray[np.float32],
    patch_size: Sequence[int],
    num_classes: int,
    execution: Execution,
    mirror_axes: Sequence[int] = (),
    step: float = 0.5,
) -> npt.NDArray[np.float32]:
    """``(C, *shape)`` -> logits ``(num_classes, *shape)``: the mean over networks and mirrored copies.

    ``patch_size`` has one entry per network dimension; the tiles overlap by ``1 - step``.
    """
    patch = tuple(patch_size)
    stack = torch.from_numpy(image)
    stack = stack[None] if len(patch) == 3 else stack.transpose(0, 1)
    stack, inside = pad_to(stack, patch)
    spatial = stack.shape[2:]
    weights = gaussian_weights(patch)
    total = torch.zeros((len(stack), num_classes, *spatial))
    weight_sum = torch.zeros(spatial)
    per_forward = max(1, FORWARD_VOXELS // prod(patch))
    for starts in product(*(tile_starts(s, p, step) for s, p in zip(spatial, patch, strict=True))):
        tile = tuple(slice(start, start + p) for start, p in zip(starts, patch, strict=True))
        weight_sum[tile] += weights
        for first in range(0, len(stack), per_forward):
            part = (slice(first, first + per_forward), slice(None), *tile)
            total[part] += mirrored_logits(networks, stack[part], execution, mirror_axes, per_forward) * weights
    total = total[:, :, *inside].div_(weight_sum[inside])
    return (total[0] if len(patch) == 3 else total.transpose(0, 1)).numpy()


def mirrored_logits(
    networks: Sequence[nn.Module],
    tiles: torch.Tensor,
    execution: Execution,
    mirror_axes: Sequence[int],
    per_forward: int,
) -> torch.Tensor:
    """Mean float32 logits on the CPU of ``tiles`` (N, C, *patch) over networks and flips.

    At most ``per_forward`` tiles go through a network at once.
    """
    flips = [tuple(axis + 2 for axis in axes) for axes in mirror_combinations(mirror_axes)]
    together = max(1, per_forward // len(tiles))
    total = torch.zeros(())
    for first in range(0, len(flips), together):
        group = flips[first : first + together]
        batch = execution.place(torch.cat([tiles.flip(axes) if axes else tiles for axes in group]))
        for network in networks:
            with execution.autocast():
                logits = network(batch)
            for axes, part in zip(group, logits.float().split(len(tiles)), strict=True):
                total = total + (part.flip(axes) if axes else part).cpu()
    return total / (len(flips) * len(networks))
