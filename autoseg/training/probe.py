"""How long a training step takes here: a few real steps on random patches."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from math import prod

import torch

from autoseg.core.network_spec import NetworkSpec
from autoseg.core.plan import Configuration
from autoseg.core.training_spec import Precision
from autoseg.networks import build_planned
from autoseg.runtime import devices
from autoseg.runtime.devices import Execution, candidates
from autoseg.training.frozen import freeze
from autoseg.training.optimizers import make_optimizer
from autoseg.training.patches import Batch
from autoseg.training.step import supervised, training_step
from autoseg.training.trainer import Assignment

LONG_STEP_S = 2.0
# Of ten networks on a CPU, nine take 0.86 to 1.06 times as long channels last, U-Net++ 3.3 times; a busy machine
# measures the same step half again as long.
CLEARLY_SHORTER = 0.5
WORTH_ASKING_S = 0.05  # shorter steps are measured by chance
PROBE_VOXELS = 2**16
SMALLEST_PUBLISHED = 32  # voxels an axis: a published network may halve its maps more often than it says
FORMATS: dict[Precision, devices.Precision | None] = {
    "auto": None,
    "fp32": "fp32",
    "amp_fp16": "fp16",
    "amp_bf16": "bf16",
    "fp16": "half",
}


def seconds_per_step(assignment: Assignment, execution: Execution) -> float:
    """Seconds of a training step: the shorter of two, after a first one that allocates and picks kernels.

    Where the first takes long anyway, the share of that is small and it is the only one.
    """
    step = rehearsal(assignment, execution)
    steps_s: list[float] = []
    for _ in range(3):
        started = time.perf_counter()
        step()
        steps_s.append(time.perf_counter() - started)
        if steps_s[0] > LONG_STEP_S:
            break
    return min(steps_s[1:] or steps_s)


def rehearsal(assignment: Assignment, execution: Execution) -> Callable[[], float]:
    """A training step of a fresh network on one random batch; it may be called again and again, and gives the loss.

    Nothing is read or written.
    """
    configuration = assignment.configuration
    size = configuration.batch_size
    network = build_planned(configuration.network, assignment.num_channels, assignment.labels.num_outputs)
    network = supervised(execution.place_network(network, configuration.network.dimensions))
    freeze(network, configuration.training.frozen)
    optimizer = make_optimizer(network, configuration.training)
    scaler = torch.amp.GradScaler(execution.device.split(":")[0], enabled=execution.precision == "fp16")
    image = torch.randn(size, assignment.num_channels, *configuration.patch_size)
    target = torch.randint(len(assignment.labels.stored_values), (size, *configuration.patch_size))
    batch, labels = Batch(image, target), assignment.labels
    return lambda: training_step(network, optimizer, scaler, batch, execution, configuration, labels)


def fastest_execution(assignment: Assignment, device: str) -> Execution:
    """The first of the ways that the device offers, unless a step on small patches is clearly shorter in another.

    Ways round differently: what chance decides between would make two equal trainings end in different weights.
    BadInput if the device does not offer the precision that the plan asks for.
    """
    ways = candidates(device, FORMATS[assignment.configuration.training.precision])
    if len(ways) == 1:
        return ways[0]
    small = replace(assignment, configuration=_small(assignment.configuration))
    usual_s = seconds_per_step(small, ways[0])
    if usual_s < WORTH_ASKING_S:
        return ways[0]
    other_s, other = min((seconds_per_step(small, way), index) for index, way in enumerate(ways[1:], start=1))
    return ways[other] if other_s < CLEARLY_SHORTER * usual_s else ways[0]


def _small(configuration: Configuration) -> Configuration:
    """A sample for each core, two for batch norms; the patch halved along the longest axis until it has few voxels."""
    patch, multiple = list(configuration.patch_size), configuration.network.size_multiple
    while prod(patch) > PROBE_VOXELS:
        longest = patch.index(max(patch))
        halved = -(-patch[longest] // (2 * multiple[longest])) * multiple[longest]
        as_published = not isinstance(configuration.network, NetworkSpec)
        if halved == patch[longest] or (as_published and halved < SMALLEST_PUBLISHED):
            break
        patch[longest] = halved
    size = min(configuration.batch_size, max(2, torch.get_num_threads()))
    return configuration.model_copy(update={"batch_size": size, "patch_size": tuple(patch)})
