"""How long a training step takes here: a few real steps on random patches."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from autoseg.networks import build_planned
from autoseg.runtime import ranks
from autoseg.runtime.devices import Execution
from autoseg.training.frozen import freeze
from autoseg.training.optimizers import make_optimizer
from autoseg.training.patches import Batch
from autoseg.training.step import supervised, training_step
from autoseg.training.trainer import Assignment

LONG_STEP_S = 2.0


def seconds_per_step(assignment: Assignment, execution: Execution) -> float:
    """Seconds of a training step: the shorter of two, after a first one that allocates and picks kernels.

    Where the first takes long anyway, the share of that is small and it is the only one. Processes that share a
    training take these steps together: what they say to each other is part of the time.
    """
    step = rehearsal(assignment, execution)
    steps_s: list[float] = []
    for _ in range(3):
        started = time.perf_counter()
        step()
        steps_s.append(ranks.of_first(time.perf_counter() - started))
        if steps_s[0] > LONG_STEP_S:
            break
    return min(steps_s[1:] or steps_s)


def rehearsal(assignment: Assignment, execution: Execution) -> Callable[[], float]:
    """A training step of a fresh network on one random batch; it may be called again and again, and gives the loss.

    Nothing is read or written.
    """
    configuration = assignment.configuration
    size = len(ranks.share(configuration.batch_size))
    network = build_planned(configuration.network, assignment.num_channels, assignment.labels.num_outputs)
    network = supervised(execution.place_network(network, configuration.network.dimensions))
    freeze(network, configuration.training.frozen)
    optimizer = make_optimizer(network, configuration.training)
    scaler = torch.amp.GradScaler(execution.device.split(":")[0], enabled=execution.precision == "fp16")
    image = torch.randn(size, assignment.num_channels, *configuration.patch_size)
    target = torch.randint(len(assignment.labels.stored_values), (size, *configuration.patch_size))
    batch, labels = Batch(image, target), assignment.labels
    return lambda: training_step(network, optimizer, scaler, batch, execution, configuration, labels)
