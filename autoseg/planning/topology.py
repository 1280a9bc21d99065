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
from autoseg.core.network_spec import NetworkSpec
from autoseg.planning.planners import PLAIN, RESIDUAL, Architecture, Planner

SMALLEST_FEATURE_MAP = 4  # an axis is pooled only while its result has at least this many voxels
SMALLEST_BATCH = 2
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


def network_spec(topology: Topology, base_features: int = 32, architecture: Architecture = PLAIN) -> NetworkSpec:
    """The network of an architecture with the stages of a topology."""
    num_stages = len(topology.strides)
    dimensions: Literal[2, 3] = 2 if len(topology.patch_size) == 2 else 3
    return NetworkSpec(
        name=architecture.network,
        dimensions=dimensions,
        features_per_stage=features_per_stage(num_stages, dimensions, base_features),
        kernel_sizes=topology.kernel_sizes,
        strides=topology.strides,
        blocks_per_stage=architecture.encoder_blocks[:num_stages],
        blocks_per_decoder_stage=(architecture.convolutions_per_decoder_stage,) * (num_stages - 1),
    )


def stage_voxels(patch_size: Sequence[int], strides: Sequence[Sequence[int]]) -> list[int]:
    """Voxels of the feature maps of every stage."""
    size, voxels = list(patch_size), []
    for stride in strides:
        size = [edge // s for edge, s in zip(size, stride, strict=True)]
        voxels.append(math.prod(size))
    return voxels


def count_activations(network: NetworkSpec, patch_size: Sequence[int], num_labels: int) -> int:
    """Values in the feature maps of one patch, as nnU-Net counts them.

    With F features, V voxels and B blocks at a stage and K = ``num_labels``: B F V at an encoder stage of the
    plain U-Net; 2 B F V at one of the residual U-Net, F V more where its first block changes stride or width,
    and F V for the stem; (B + 1) F V at a decoder stage (its convolutions and the upsampled map); K V for the
    logits; no deep supervision.
    """
    maps = [f * v for f, v in zip(network.features_per_stage, stage_voxels(patch_size, network.strides), strict=True)]
    encoder = sum(blocks * values for blocks, values in zip(network.blocks_per_stage, maps, strict=True))
    if network.name == RESIDUAL.network:
        encoder = maps[0] + 2 * encoder + sum(maps[stage] for stage in shortened_stages(network))
    decoder = zip(network.blocks_per_decoder_stage, reversed(maps[:-1]), strict=True)
    return encoder + sum((blocks + 1) * values for blocks, values in decoder) + num_labels * math.prod(patch_size)


def shortened_stages(network: NetworkSpec) -> list[int]:
    """The stages of a residual U-Net whose first block changes stride or width, so that its skip is no identity."""
    widths = (network.features_per_stage[0], *network.features_per_stage)  # the stem has the width of stage 0
    return [
        stage for stage, stride in enumerate(network.strides) if max(stride) > 1 or widths[stage] != widths[stage + 1]
    ]


def choose_patch_and_batch(
    spacing_mm: Sequence[float],
    median_shape: Sequence[float],
    dataset_voxels: float,
    num_labels: int,
    planner: Planner,
    memory_gb: float,
) -> PatchAndBatch:
    """The largest patch of the images' shape whose training fits, then the largest batch.

    A batch covers at most the planner's share of ``dataset_voxels`` and has at least 2 patches. Raises
    BadInput when even the smallest patch does not fit in ``memory_gb``.
    """
    dimensions = len(spacing_mm)
    reference = planner.references[dimensions]
    limit = reference.activations * (memory_gb / reference.memory_gb)
    isotropic = 1 / np.asarray(spacing_mm, dtype=np.float64)
    scale = (_INITIAL_EDGE[dimensions] ** dimensions / np.prod(isotropic)) ** (1 / dimensions)
    initial = [min(round(float(edge)), median) for edge, median in zip(isotropic * scale, median_shape, strict=True)]
    topology = choose_topology_with_pooling(spacing_mm, initial)

    def activations(tried: Topology) -> int:
        network = network_spec(tried, architecture=planner.architecture)
        return count_activations(network, tried.patch_size, num_labels)

    while activations(topology) / reference.batch_size * reference.smallest_batch > limit:
        topology = _shrunk(topology, spacing_mm, median_shape, memory_gb)
    fits = round(limit / activations(topology) * reference.batch_size)
    share = round(dataset_voxels * planner.share_of_data / math.prod(topology.patch_size))
    return PatchAndBatch(topology, max(min(fits, share), SMALLEST_BATCH), fits, share)


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
