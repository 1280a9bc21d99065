"""The memory estimate against parameters counted by torch and memory measured in a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from autoseg.core.network_spec import NetworkSpec
from autoseg.networks import build_planned
from autoseg.planning.memory import BYTES_OF_PROCESS, count_parameters, largest_batch, prediction_bytes, training_bytes
from autoseg.planning.planners import PLAIN, RESIDUAL
from autoseg.planning.topology import Topology, choose_topology, count_activations, network_spec

THREE = (32, 64, 128, 256, 320, 320)
# patch, batch, channels, classes, base features, peak growth in GB; the table of the module
MEASURED = [
    ((40, 56, 40), 2, 1, 3, 16, 0.402),
    ((40, 56, 40), 2, 1, 3, 32, 0.741),
    ((80, 96, 80), 1, 3, 2, 16, 1.004),
    ((80, 96, 80), 1, 1, 20, 16, 1.129),
    ((256, 224), 4, 1, 4, 32, 1.258),
    ((64, 64), 64, 1, 3, 32, 1.114),
    ((160, 192, 160), 1, 3, 2, 8, 3.389),
    ((160, 192, 160), 1, 3, 2, 16, 6.149),
    ((128, 160, 160), 1, 3, 2, 24, 6.377),
]

MEASURED_RESIDUAL = [
    ((40, 56, 40), 2, 1, 3, 16, 0.663),
    ((40, 56, 40), 2, 1, 3, 32, 1.158),
    ((80, 96, 80), 1, 3, 2, 16, 1.726),
    ((80, 96, 80), 1, 1, 20, 16, 1.826),
    ((256, 224), 4, 1, 4, 32, 2.368),
    ((64, 64), 64, 1, 3, 32, 2.009),
    ((16, 128, 128), 1, 1, 4, 32, 2.438),
    ((160, 192, 160), 1, 3, 2, 8, 4.373),
]
CASES = [(PLAIN, *case) for case in MEASURED] + [(RESIDUAL, *case) for case in MEASURED_RESIDUAL]

# nnU-Net's ResidualEncoderUNet (dynamic_network_architectures 0.4.4): channels, classes, features, kernels, strides,
# blocks; its parameters, and its compute_conv_feature_map_size for edges of 64
PEER = [
    (1, 3, THREE, ((3, 3, 3),) * 6, ((1, 1, 1), *((2, 2, 2),) * 5), (1, 3, 4, 6, 6, 6), 102350575, 69677568),
    (
        *(4, 118, THREE, ((1, 3, 3), (1, 3, 3), *((3, 3, 3),) * 4)),
        *(((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2)), (1, 3, 4, 6, 6, 6)),
        *(101366190, 143052800),
    ),
    (
        *(2, 5, (32, 64, 128, 256, 512, 512, 512), ((3, 3),) * 7, ((1, 1), *((2, 2),) * 5, (2, 1))),
        *((1, 3, 4, 6, 6, 6, 6), 105397342, 2038784),
    ),
]


# The peak of a process counts what the process that started it had; VmHWM of a new image does not.
STEP = """
import torch
from autoseg.networks import build_planned
from autoseg.planning.topology import choose_topology, network_spec
torch.set_num_threads(1)
torch.nn.Conv3d(1, 1, 3)(torch.zeros(1, 1, 4, 4, 4)).sum().backward()
peak = lambda: int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
before = peak()
topology = choose_topology((1, 1, 1), (32, 32, 32))
network = build_planned(network_spec(topology, 16), 1, 3)
network.deep_supervision = True
optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.99, nesterov=True)
sum(logits.square().mean() for logits in network(torch.randn(1, 1, *topology.patch_size))).backward()
optimizer.step()
print((peak() - before) * 1024)
"""


def topology_of(patch: tuple[int, ...]) -> Topology:
    topology = choose_topology((1,) * len(patch), patch)
    assert topology.patch_size == patch
    return topology


@pytest.mark.parametrize(
    ("spacing", "size"), [((1, 1, 1), (40, 56, 40)), ((5, 1, 1), (16, 96, 80)), ((1, 1), (64, 96))]
)
def test_parameters_are_counted_as_torch_counts_them(spacing, size) -> None:
    network = network_spec(choose_topology(spacing, size))
    expected = sum(parameter.numel() for parameter in build_planned(network, 2, 5).parameters())
    assert count_parameters(network, 2, 5) == expected


@pytest.mark.parametrize(("channels", "classes", "features", "kernels", "strides", "blocks", "total", "maps"), PEER)
def test_residual_network_is_counted_as_nnunet_counts_it(
    channels, classes, features, kernels, strides, blocks, total, maps
) -> None:
    network = NetworkSpec(
        name="residual_encoder_unet",
        dimensions=len(kernels[0]),
        features_per_stage=features,
        kernel_sizes=kernels,
        strides=strides,
        blocks_per_stage=blocks,
        blocks_per_decoder_stage=(1,) * (len(features) - 1),
    )
    assert count_parameters(network, channels, classes) == total
    assert count_activations(network, (64,) * network.dimensions, classes) == maps


def test_a_projection_is_counted_where_the_width_changes_without_a_stride() -> None:
    network = NetworkSpec(
        name="residual_encoder_unet",
        dimensions=3,
        features_per_stage=(8, 8, 24),
        kernel_sizes=((3, 3, 3), (1, 3, 3), (3, 3, 3)),
        strides=((1, 1, 1), (2, 2, 2), (1, 1, 1)),
        blocks_per_stage=(2, 1, 3),
        blocks_per_decoder_stage=(2, 1),
    )
    assert count_parameters(network, 1, 2) == 98076  # nnU-Net's ResidualEncoderUNet
    assert count_activations(network, (64, 64, 64), 2) == 22282240


@pytest.mark.parametrize(("architecture", "patch", "batch", "channels", "classes", "base", "measured_gb"), CASES)
def test_estimate_bounds_what_was_measured_by_30_percent(
    architecture, patch, batch, channels, classes, base, measured_gb
) -> None:
    network = network_spec(topology_of(patch), base, architecture)
    estimate = training_bytes(network, patch, batch, channels, classes) / 1e9
    assert measured_gb <= estimate <= 1.3 * measured_gb


def test_estimate_bounds_a_step_measured_now() -> None:
    if not Path("/proc/self/status").is_file():
        pytest.skip("the peak memory of a process is read from /proc")
    run = subprocess.run([sys.executable, "-c", STEP], capture_output=True, text=True, check=True)
    network = network_spec(topology_of((32, 32, 32)), 16)
    assert 0 < int(run.stdout) <= training_bytes(network, (32, 32, 32), 1, 1, 3)


@pytest.mark.parametrize("memory_gb", [1, 2, 8, 30])
def test_largest_batch_is_the_last_that_fits(memory_gb: float) -> None:
    patch = (40, 56, 40)
    network = network_spec(topology_of(patch))
    batch = largest_batch(network, patch, 1, 3, memory_gb)
    needs = [training_bytes(network, patch, size, 1, 3) + BYTES_OF_PROCESS for size in (max(batch, 1), batch + 1)]
    assert (needs[0] <= memory_gb * 1e9) == (batch > 0)
    assert needs[1] > memory_gb * 1e9


@pytest.mark.parametrize(
    ("architecture", "patch", "classes", "base", "measured_gb"),
    [
        ("plain_unet", (96, 112, 96), 3, 16, 0.267),
        ("plain_unet", (128, 128, 128), 20, 8, 0.374),
        ("residual_encoder_unet", (96, 96, 96), 3, 16, 0.227),
    ],
)
def test_a_forward_pass_is_estimated_closely(architecture, patch, classes, base, measured_gb):
    """The figures of the module, measured in a process of their own: never below, at most 30 % above."""
    spec = NetworkSpec(
        name=architecture,
        dimensions=3,
        features_per_stage=tuple(base * 2**stage for stage in range(5)),
        kernel_sizes=((3, 3, 3),) * 5,
        strides=((1, 1, 1), *((2, 2, 2),) * 4),
        blocks_per_stage=(2,) * 5,
        blocks_per_decoder_stage=(2,) * 4,
    )
    estimated_gb = prediction_bytes(spec, patch, 1, 1, classes) / 1e9
    assert 1 < estimated_gb / measured_gb < 1.3
    assert prediction_bytes(spec, patch, 3, 1, classes) == 3 * prediction_bytes(spec, patch, 1, 1, classes)
