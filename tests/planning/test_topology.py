"""Topology and patch: nnU-Net's published vectors, and sizes that it does not cover."""

from __future__ import annotations

import math

import pytest

from autoseg.core.errors import BadInput
from autoseg.networks import build_planned
from autoseg.planning.planners import PLANNERS
from autoseg.planning.topology import (
    choose_patch_and_batch,
    choose_topology,
    choose_topology_with_pooling,
    count_activations,
    network_spec,
    stage_voxels,
)

DEFAULT = PLANNERS["default"]

# nnU-Net 2.8.1, all cases identical: spacing_mm, shape, classes, cases, patch and batch in 3D and 2D
VECTORS = [
    ((1, 1, 1), (36, 50, 35), 3, 260, ((40, 56, 40), 9), ((56, 40), 366)),
    ((1, 1, 1), (138, 169, 138), 4, 484, ((128, 128, 128), 2), ((192, 160), 105)),
    ((10, 1.5625, 1.5625), (9, 237, 208), 4, 200, ((10, 256, 224), 7), ((256, 224), 56)),
    ((3.6, 0.62, 0.62), (20, 320, 319), 3, 32, ((20, 320, 256), 2), ((320, 320), 32)),
    ((0.8, 0.8, 0.8), (64, 320, 320), 2, 50, ((48, 224, 224), 2), ((320, 320), 32)),
    ((1, 0.767578125, 0.767578125), (432, 512, 512), 3, 131, ((128, 128, 128), 2), ((512, 512), 12)),
]


@pytest.mark.parametrize(("spacing", "shape", "classes", "cases", "volume", "slices"), VECTORS)
def test_patch_and_batch_equal_those_of_nnunet(spacing, shape, classes, cases, volume, slices) -> None:
    voxels = math.prod(shape) * cases
    fitted = choose_patch_and_batch(spacing, shape, voxels, classes, DEFAULT, 8)
    assert (fitted.topology.patch_size, fitted.batch_size) == volume
    fitted = choose_patch_and_batch(spacing[1:], shape[1:], voxels, classes, DEFAULT, 8)
    assert (fitted.topology.patch_size, fitted.batch_size) == slices


def test_thick_slices_are_pooled_late() -> None:
    topology = choose_topology((10, 1.5625, 1.5625), (9, 237, 208))
    assert topology.strides == ((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (1, 2, 2), (1, 2, 2))
    assert topology.kernel_sizes == ((1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))
    assert topology.size_multiple == (2, 32, 32)


def test_a_fractional_median_is_padded_up() -> None:
    assert choose_topology((1, 1), (50.5, 35.5)).patch_size == (56, 40)


@pytest.mark.parametrize(("spacing", "size"), [((1, 1, 1), (5, 6, 7)), ((8, 1, 1), (1, 9, 3)), ((1, 1), (4, 4))])
def test_tiny_images_are_padded_until_they_can_be_pooled(spacing, size) -> None:
    assert len(choose_topology(spacing, size).strides) == 1
    topology = choose_topology_with_pooling(spacing, size)
    assert len(topology.strides) >= 2
    assert all(p >= s for p, s in zip(topology.patch_size, size, strict=True))


def test_activations_are_those_of_the_real_network() -> None:
    """Counted by hooks: two maps a stage in the encoder, three in the decoder, the logits last."""
    import torch

    topology = choose_topology((3, 1, 1), (8, 32, 32))
    network = build_planned(network_spec(topology), 1, 4)
    sizes = []
    counted = [*network.decoder.heads[-1:], *network.decoder.upsamplers]
    counted += [unit.norm for stack in (*network.encoder, *network.decoder.stages) for unit in stack.convs]
    for module in counted:
        module.register_forward_hook(lambda _, __, output: sizes.append(output.numel()))
    with torch.no_grad():
        network(torch.zeros(1, 1, *topology.patch_size))
    assert count_activations(network_spec(topology), topology.patch_size, 4) == sum(sizes)


def test_stage_voxels() -> None:
    assert stage_voxels((8, 16, 16), ((1, 1, 1), (1, 2, 2), (2, 2, 2))) == [2048, 512, 64]


def test_less_memory_gives_a_smaller_patch_and_far_too_little_is_an_error() -> None:
    sizes = [
        math.prod(choose_patch_and_batch((1, 1, 1), (150, 150, 150), 1e9, 2, DEFAULT, gb).topology.patch_size)
        for gb in (1, 4, 8, 16)
    ]
    assert sizes == sorted(set(sizes))
    with pytest.raises(BadInput, match=r"--memory 0\.0001GB: .* give more memory\.$"):
        choose_patch_and_batch((1, 1, 1), (150, 150, 150), 1e9, 2, DEFAULT, 1e-4)
