"""How often each axis is pooled, the kernels, and the patch: nnU-Net's rules in closed form.

Source: Isensee et al., Nature Methods 2021, and nnU-Net 2.8.1. Sizes are voxels, spacings
millimetres, both in the same axis order (working axes, coarsest first, or its in-plane two).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from autoseg.core.errors import BadInput
from autoseg.core.plan import NetworkSpec

NETWORK = "plain_unet"
SMALLEST_FEATURE_MAP = 4  # an axis is pooled only while its result has at least this many voxels
MAX_FEATURES: dict[int, int] = {2: 512, 3: 320}
_INITIAL_EDGE: dict[int, int] = {2: 2048, 3: 256}  # edge of the isotropic patch before it is clipped to the images


@dataclass(frozen=True)
class Topology:
    """A patch and the strides and kernels of each stage; stage 0 is full resolution."""

    patch_size: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    kernel_sizes: tuple[tuple[int, ...], ...]

    @property
    def size_multiple(self) -> tuple[int, ...]:
        """The product of the strides on each axis."""
        return tuple(math.prod(axis) for axis in zip(*self.strides, strict=True))


@dataclass(frozen=True)
class MemoryReference:
    """The activation count that fills ``memory_gb`` with ``batch_size`` patches."""

    activations: float
    batch_size: int
    memory_gb: float


@dataclass(frozen=True)
class PatchAndBatch:
    """A topology that fits in memory, and its batch with both of its limits."""

    topology: Topology
    batch_size: int
    batch_that_fits: int
    batch_of_data_share: int


def choose_topology(spacing_mm: Sequence[float], size: Sequence[float]) -> Topology:
    """Pool each axis while it stays large enough and near the finest spacing.

    ``size`` may be fractional (a median); the patch is ``size`` padded up to what the strides need.
    A kernel is 1 along an axis until its spacing is within a factor 2 of the finest, and 3 from then on.
    """
    dimensions = len(spacing_mm)
    spacing, current = list(spacing_mm), list(size)
    kernel = [1] * dimensions
    strides, kernels = [(1,) * dimensions], []
    while True:
        large = [axis for axis in range(dimensions) if current[axis] >= 2 * SMALLEST_FEATURE_MAP]
        if not large:
            break
        finest = min(spacing[axis] for axis in large)
        pooled = [axis for axis in large if spacing[axis] / finest < 2]
        if len(pooled) == 1 and current[pooled[0]] < 3 * SMALLEST_FEATURE_MAP:
            break
        kernel = [3 if k == 3 or s / min(spacing) < 2 else 1 for k, s in zip(kernel, spacing, strict=True)]
        for axis in pooled:
            spacing[axis] *= 2
            current[axis] = math.ceil(current[axis] / 2)
        strides.append(tuple(2 if axis in pooled else 1 for axis in range(dimensions)))
        kernels.append(tuple(kernel))
    kernels.append((3,) * dimensions)
    multiple = [math.prod(axis) for axis in zip(*strides, strict=True)]
    patch = tuple(math.ceil(edge / m) * m for edge, m in zip(size, multiple, strict=True))
    return Topology(patch, tuple(strides), tuple(kernels))


def choose_topology_with_pooling(spacing_mm: Sequence[float], size: Sequence[float]) -> Topology:
    """As ``choose_topology``; images too small to be pooled at all are padded until they can be.

    nnU-Net has no answer for such images; a U-Net needs at least two stages.
    """
    topology = choose_topology(spacing_mm, size)
    if len(topology.strides) > 1:
        return topology
    finest, edge = min(spacing_mm), 3 * SMALLEST_FEATURE_MAP
    padded = [max(s, edge) if mm / finest < 2 else s for mm, s in zip(spacing_mm, size, strict=True)]
    return choose_topology(spacing_mm, padded)


def features_per_stage(num_stages: int, dimensions: int, base_features: int = 32) -> tuple[int, ...]:
    """``base_features`` doubled at every stage, at most 512 in 2D and 320 in 3D."""
    return tuple(min(MAX_FEATURES[dimensions], base_features * 2**stage) for stage in range(num_stages))


def network_spec(topology: Topology, base_features: int = 32) -> NetworkSpec:
    """The plain U-Net with two convolutions at every stage of encoder and decoder."""
    num_stages = len(topology.strides)
    dimensions: Literal[2, 3] = 2 if len(topology.patch_size) == 2 else 3
    return NetworkSpec(
        name=NETWORK,
        dimensions=dimensions,
        features_per_stage=features_per_stage(num_stages, dimensions, base_features),
        kernel_sizes=topology.kernel_sizes,
        strides=topology.strides,
        blocks_per_stage=(2,) * num_stages,
        blocks_per_decoder_stage=(2,) * (num_stages - 1),
    )


def stage_voxels(patch_size: Sequence[int], strides: Sequence[Sequence[int]]) -> list[int]:
    """Voxels of the feature maps of every stage."""
    size, voxels = list(patch_size), []
    for stride in strides:
        size = [edge // s for edge, s in zip(size, stride, strict=True)]
        voxels.append(math.prod(size))
    return voxels


def count_activations(topology: Topology, num_classes: int) -> int:
    """Values in the feature maps of one patch through the plain U-Net, as nnU-Net counts them.

    Sum over the encoder of 2 F V, over the decoder of 3 F V (two convolutions and the upsampled
    map), and K V for the logits; no deep supervision.
    """
    num_stages = len(topology.strides)
    features = features_per_stage(num_stages, len(topology.patch_size))
    maps = [f * v for f, v in zip(features, stage_voxels(topology.patch_size, topology.strides), strict=True)]
    return 2 * sum(maps) + 3 * sum(maps[:-1]) + num_classes * math.prod(topology.patch_size)


def choose_patch_and_batch(
    spacing_mm: Sequence[float],
    median_shape: Sequence[float],
    dataset_voxels: float,
    num_classes: int,
    reference: MemoryReference,
    memory_gb: float,
) -> PatchAndBatch:
    """The largest patch of the images' shape whose training fits, then the largest batch.

    A batch covers at most 5 % of ``dataset_voxels`` and has at least 2 patches. Raises BadInput
    when even the smallest patch does not fit in ``memory_gb``.
    """
    dimensions = len(spacing_mm)
    limit = reference.activations * memory_gb / reference.memory_gb
    isotropic = 1 / np.asarray(spacing_mm, dtype=np.float64)
    scale = (_INITIAL_EDGE[dimensions] ** dimensions / np.prod(isotropic)) ** (1 / dimensions)
    initial = [min(round(float(edge)), median) for edge, median in zip(isotropic * scale, median_shape, strict=True)]
    topology = choose_topology_with_pooling(spacing_mm, initial)
    while count_activations(topology, num_classes) * 2 / reference.batch_size > limit:
        topology = _shrunk(topology, spacing_mm, median_shape, memory_gb)
    activations = count_activations(topology, num_classes)
    fits = round(limit / activations * reference.batch_size)
    share = round(dataset_voxels * 0.05 / math.prod(topology.patch_size))
    return PatchAndBatch(topology, max(min(fits, share), 2), fits, share)


def _shrunk(
    topology: Topology, spacing_mm: Sequence[float], median_shape: Sequence[float], memory_gb: float
) -> Topology:
    """One step smaller along the axis on which the patch covers most of the median image."""
    patch = list(topology.patch_size)
    # nnU-Net's order: of equal ratios, the one that numpy's argsort puts last
    axis = int(np.argsort([p / m for p, m in zip(patch, median_shape, strict=True)])[-1])
    trial = list(patch)
    trial[axis] -= topology.size_multiple[axis]
    if trial[axis] >= 1:
        patch[axis] -= choose_topology(spacing_mm, trial).size_multiple[axis]
        smaller = choose_topology(spacing_mm, patch)
        if len(smaller.strides) > 1:
            return smaller
    raise BadInput(f"--memory {memory_gb:g}GB: not even the smallest patch can be trained in it; give more memory.")
