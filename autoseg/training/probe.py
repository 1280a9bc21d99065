"""How long a training step takes here: a few real steps on random patches."""

from __future__ import annotations

import time

import torch

from autoseg.networks import build
from autoseg.runtime.devices import Execution, candidates
from autoseg.training.patches import Batch
from autoseg.training.trainer import Assignment, make_optimizer, training_step


def seconds_per_step(assignment: Assignment, execution: Execution, batch_size: int | None = None) -> float:
    """Seconds of the second of two training steps; the first one allocates and picks kernels."""
    configuration = assignment.configuration
    size = batch_size or configuration.batch_size
    network = build(configuration.network, assignment.num_channels, len(assignment.labels))
    network = execution.place_network(network, configuration.network.dimensions)
    network.deep_supervision = True  # type: ignore[assignment]
    optimizer = make_optimizer(network, configuration)
    scaler = torch.amp.GradScaler(execution.device.split(":")[0], enabled=execution.precision == "fp16")
    image = torch.randn(size, assignment.num_channels, *configuration.patch_size)
    target = torch.randint(len(assignment.labels), (size, *configuration.patch_size))
    step_s = 0.0
    for _ in range(2):
        started = time.perf_counter()
        training_step(network, optimizer, scaler, Batch(image, target), execution, configuration)
        step_s = time.perf_counter() - started
    return step_s


def fastest_execution(assignment: Assignment, device: str) -> Execution:
    """Of the ways that the device offers, the one with the shortest step."""
    ways = candidates(device)
    if len(ways) == 1:
        return ways[0]
    measured = [(seconds_per_step(assignment, way, batch_size=1), index) for index, way in enumerate(ways)]
    return ways[min(measured)[1]]
