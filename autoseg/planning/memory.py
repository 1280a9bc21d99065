"""How much memory a training step takes, in closed form, so that planning needs no network.

The estimate counts what autograd keeps: for each convolution its output and the activation (2 F V),
for each decoder stage also the joined skip and upsampled map (2 F V), for each residual block with a
projection its input and output (2 F V). On top come the gradients and
the blocked copies of the largest map, three maps of logits for the loss, four copies of the weights
and a constant. Growth of the peak resident memory during two fp32 steps (forward, deep supervision,
cross entropy + Dice, backward, SGD with Nesterov momentum; torch 2.13 on 2 cores), in GB, against
the estimate:

    patch        batch  channels  classes  base features  measured  estimated
    40x56x40     2      1         3        16             0.40      0.52
    40x56x40     2      1         3        32             0.74      0.81
    80x96x80     1      3         2        16             1.00      1.14
    80x96x80     1      1         20       16             1.13      1.27
    256x224      4      1         4        32             1.26      1.36
    64x64        64     1         3        32             1.11      1.24
    16x128x128   1      1         4        32             1.46      1.58
    160x192x160  1      3         2        8              3.39      3.58
    160x192x160  1      3         2        16             6.15      6.79
    128x160x160  1      3         2        24             6.38      6.88

and for the residual U-Net:

    40x56x40     2      1         3        16             0.66      0.68
    40x56x40     2      1         3        32             1.16      1.29
    80x96x80     1      3         2        16             1.73      1.78
    80x96x80     1      1         20       16             1.83      1.91
    256x224      4      1         4        32             2.37      2.62
    64x64        64     1         3        32             2.01      2.22
    16x128x128   1      1         4        32             2.44      2.82
    160x192x160  1      3         2        8              4.37      5.07

A forward pass alone (``prediction_bytes``; one case, 1 channel, 5 stages, channels last, one core):

    network   patch        classes  base features  measured  estimated
    plain     96x112x96    3        16             0.27      0.30
    plain     128x128x128  20       8              0.37      0.47
    residual  96x96x96     3        16             0.23      0.26

and the first of them under bf16 autocast 0.22. A training step of the plain U-Net, batch 2, takes 0.84 (64x64x64, 16
features, estimated 0.96) and 0.66 (40x56x40, 32 features, estimated 0.81) in fp32, 0.49 and 0.42 under bf16 autocast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from autoseg.core.network_spec import NetworkSpec
from autoseg.planning.planners import RESIDUAL
from autoseg.planning.topology import shortened_stages, stage_voxels

BYTES_PER_VALUE = 4  # fp32
BYTES_OF_PROCESS = 500_000_000  # Python, torch and its libraries before the first step
_BYTES_OF_LIBRARIES = 270_000_000  # buffers of the first step whatever its size
_COPIES_OF_WEIGHTS = 4  # weights, gradients, momentum, copies in the layout of the convolution library
_COPIES_OF_LARGEST_MAP = 6  # gradients and blocked copies of the input and output of one convolution
_COPIES_OF_LARGEST_SKIP = 4  # the same of the skip, in a residual block
_COPIES_IN_PREDICTION = 4  # of the largest map: the joined map (two), the output of its convolution, one in blocks
_COPIES_OF_LOGITS = 3  # probabilities, one-hot reference, gradient


def count_parameters(network: NetworkSpec, in_channels: int, num_classes: int) -> int:
    """Weights of the U-Net, with biases, affine normalisation and one head per decoder stage.

    The projection of a residual block, where the width changes, is a 1 x 1 convolution without bias and
    an affine normalisation.
    """
    features, total = network.features_per_stage, 0
    residual, before = network.name == RESIDUAL.network, in_channels
    if residual:
        total += _unit(in_channels, features[0], network.kernel_sizes[0])
        before = features[0]
    for width, kernel, blocks in zip(features, network.kernel_sizes, network.blocks_per_stage, strict=True):
        convolutions = 2 * blocks if residual else blocks
        total += _unit(before, width, kernel) + (convolutions - 1) * _unit(width, width, kernel)
        if residual and before != width:
            total += before * width + 2 * width
        before = width
    for depth, convolutions in enumerate(network.blocks_per_decoder_stage):
        stage = len(features) - 2 - depth
        width, below, kernel = features[stage], features[stage + 1], network.kernel_sizes[stage]
        total += below * width * math.prod(network.strides[stage + 1]) + width
        total += _unit(2 * width, width, kernel) + (convolutions - 1) * _unit(width, width, kernel)
        total += width * num_classes + num_classes
    return total


def _unit(in_channels: int, width: int, kernel: Sequence[int]) -> int:
    """Weights and bias of a convolution, scale and shift of its normalisation."""
    return in_channels * width * math.prod(kernel) + 3 * width


def training_bytes(
    network: NetworkSpec, patch_size: Sequence[int], batch_size: int, in_channels: int, num_classes: int
) -> int:
    """Memory that one fp32 training step adds to the process, in bytes.

    An upper bound, at most 30 % above the measured figures; ``BYTES_OF_PROCESS`` comes on top.
    """
    voxels = stage_voxels(patch_size, network.strides)
    maps = [f * v for f, v in zip(network.features_per_stage, voxels, strict=True)]
    values = sum(2 * blocks * fv for blocks, fv in zip(network.blocks_per_stage, maps, strict=True))
    if network.name == RESIDUAL.network:
        values = 2 * (maps[0] + values + sum(maps[stage] for stage in shortened_stages(network)))
        values += _COPIES_OF_LARGEST_SKIP * max(maps)
    decoder = zip(network.blocks_per_decoder_stage, reversed(maps[:-1]), strict=True)
    values += sum((2 * convolutions + 2) * fv for convolutions, fv in decoder)
    values += _COPIES_OF_LARGEST_MAP * max(maps)
    values += (_COPIES_OF_LOGITS * num_classes + in_channels) * voxels[0]
    weights = _COPIES_OF_WEIGHTS * count_parameters(network, in_channels, num_classes)
    return BYTES_PER_VALUE * (batch_size * values + weights) + _BYTES_OF_LIBRARIES


def prediction_bytes(
    network: NetworkSpec, patch_size: Sequence[int], batch_size: int, in_channels: int, num_classes: int
) -> int:
    """Memory that one fp32 forward pass adds to the process, in bytes; that of the weights is there already.

    The skips of all stages are held until the decoder takes them; beside them are the joined map of the finest stage,
    and what one convolution reads and writes.
    """
    voxels = stage_voxels(patch_size, network.strides)
    maps = [f * v for f, v in zip(network.features_per_stage, voxels, strict=True)]
    values = sum(maps[1:]) + _COPIES_IN_PREDICTION * max(maps) + (in_channels + num_classes) * voxels[0]
    return BYTES_PER_VALUE * batch_size * values


def largest_batch(
    network: NetworkSpec, patch_size: Sequence[int], in_channels: int, num_classes: int, memory_gb: float
) -> int:
    """The most patches a training step can hold in ``memory_gb`` (1e9 bytes), the process included; 0 if none."""
    one = training_bytes(network, patch_size, 1, in_channels, num_classes)
    each = training_bytes(network, patch_size, 2, in_channels, num_classes) - one
    return max(0, 1 + math.floor((memory_gb * 1e9 - BYTES_OF_PROCESS - one) / each))
