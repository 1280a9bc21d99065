"""The memory estimate against parameters counted by torch and memory measured in a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from autoseg.networks import build
from autoseg.planning.memory import BYTES_OF_PROCESS, count_parameters, largest_batch, training_bytes
from autoseg.planning.topology import Topology, choose_topology, network_spec

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

# The peak of a process counts what the process that started it had; VmHWM of a new image does not.
STEP = """
import torch
from autoseg.networks import build
from autoseg.planning.topology import choose_topology, network_spec
torch.set_num_threads(1)
torch.nn.Conv3d(1, 1, 3)(torch.zeros(1, 1, 4, 4, 4)).sum().backward()
peak = lambda: int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
before = peak()
topology = choose_topology((1, 1, 1), (32, 32, 32))
network = build(network_spec(topology, 16), 1, 3)
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
    expected = sum(parameter.numel() for parameter in build(network, 2, 5).parameters())
    assert count_parameters(network, 2, 5) == expected


@pytest.mark.parametrize(("patch", "batch", "channels", "classes", "base", "measured_gb"), MEASURED)
def test_estimate_bounds_what_was_measured_by_30_percent(patch, batch, channels, classes, base, measured_gb) -> None:
    estimate = training_bytes(network_spec(topology_of(patch), base), patch, batch, channels, classes) / 1e9
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
