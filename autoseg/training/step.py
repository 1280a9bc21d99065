"""One update of the weights; on a CPU the samples of a batch are spread over the cores.

Instance normalisation keeps the samples of a batch apart, so the forward and the backward pass of a
part of the batch need nothing of the others; only the loss sees them all (batch Dice pools them).
Cores that each compute whole samples wait for one another three times a step, not at every operation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import nn

from autoseg.core.labels import Labels
from autoseg.core.plan import Configuration
from autoseg.runtime.devices import Execution, core_pool
from autoseg.training.losses import deep_supervision_loss
from autoseg.training.patches import Batch

MOST_PARTS = 8  # each holds gradients of its own, as large as the weights
# For a single sample torch computes a small float32 layer in another, slow way: two on two cores take twice the time.
SMALLEST_PART = {"fp32": 2, "bf16": 1, "fp16": 1}
Outputs = list[torch.Tensor]  # logits, finest first
Result = TypeVar("Result")


def training_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    batch: Batch,
    execution: Execution,
    configuration: Configuration,
    labels: Labels,
) -> float:
    """One update of the weights; the loss of the batch."""
    image, target = execution.place(batch.image), batch.target.to(execution.device, non_blocking=True)
    optimizer.zero_grad(set_to_none=True)
    parts = batch_parts(len(image), execution)
    if len(parts) == 1:
        loss = deep_supervision_loss(forward(network, image, execution), target, labels, configuration.batch_dice)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    else:
        loss = backward_in_parts(network, image, target, parts, execution, labels, configuration.batch_dice)
    scaler.unscale_(optimizer)
    if configuration.training.gradient_clip is not None:
        nn.utils.clip_grad_norm_(network.parameters(), configuration.training.gradient_clip)
    scaler.step(optimizer)
    scaler.update()
    value = float(loss.detach())
    if not math.isfinite(value):
        raise FloatingPointError(
            f"the loss became {value}: lower initial_learning_rate in the plan, or look for extreme intensities."
        )
    return value


def forward(network: nn.Module, image: torch.Tensor, execution: Execution) -> Outputs:
    """The logits of every resolution."""
    with execution.autocast():
        outputs: Outputs = network(image)
    return outputs


def batch_parts(size: int, execution: Execution) -> list[slice]:
    """Nearly equal parts of a batch, one for each core; on another device, all of it.

    5 samples on 2 cores: samples 0-1 and samples 2-4.
    """
    parts = max(1, min(size // SMALLEST_PART[execution.precision], torch.get_num_threads(), MOST_PARTS))
    if execution.device != "cpu":
        parts = 1
    return [slice(size * part // parts, size * (part + 1) // parts) for part in range(parts)]


def in_parts(function: Callable[[slice], Result], parts: Sequence[slice]) -> list[Result]:
    """``function`` of each part, side by side; the results in order."""
    if len(parts) == 1:
        return [function(parts[0])]
    return list(core_pool(len(parts), max(1, torch.get_num_threads() // len(parts))).map(function, parts))


def backward_in_parts(
    network: nn.Module,
    image: torch.Tensor,
    target: torch.Tensor,
    parts: Sequence[slice],
    execution: Execution,
    labels: Labels,
    batch_dice: bool,
) -> torch.Tensor:
    """Fill the gradients of the network as one backward pass would, up to rounding; the loss.

    The gradients of the parts are added in their order: the same bits in every run.
    """
    outputs = in_parts(lambda part: forward(network, image[part], execution), parts)
    logits = [torch.cat([part.detach() for part in level]).requires_grad_() for level in zip(*outputs, strict=True)]
    loss = deep_supervision_loss(logits, target, labels, batch_dice)
    loss.backward()  # type: ignore[no-untyped-call]
    weights = list(network.parameters())

    def backward(part: slice) -> tuple[torch.Tensor | None, ...]:
        pairs = zip(outputs[parts.index(part)], logits, strict=True)
        used = [(output, whole.grad[part]) for output, whole in pairs if whole.grad is not None]
        return torch.autograd.grad([output for output, _ in used], weights, [g for _, g in used], allow_unused=True)

    for gradients in in_parts(backward, parts):
        for weight, gradient in zip(weights, gradients, strict=True):
            if gradient is not None:
                weight.grad = gradient if weight.grad is None else weight.grad.add_(gradient)
    return loss
