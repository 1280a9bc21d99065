"""One update of the weights; on a CPU the samples of a batch are spread over the cores.

Instance normalisation keeps the samples of a batch apart, so the forward and the backward pass of a
part of the batch need nothing of the others; only the loss sees them all (batch Dice pools them).
Cores that each compute whole samples wait for one another three times a step, not at every operation.
A network with batch normalisation or dropout sees the batch as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.instancenorm import _InstanceNorm

from autoseg.core.labels import Labels
from autoseg.core.plan import Configuration
from autoseg.runtime import ranks
from autoseg.runtime.devices import Execution, core_pool
from autoseg.training.losses import deep_supervision_loss
from autoseg.training.patches import Batch

MOST_PARTS = 8  # each holds gradients of its own, as large as the weights
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
    """One update of the weights; the loss of the batch, which is not finite where fp16 passes the batch over.

    FloatingPointError: the loss or its gradient is no number, and the weights are none any more.
    """
    image, target = execution.place(batch.image), batch.target.to(execution.device, non_blocking=True)
    optimizer.zero_grad(set_to_none=True)
    parts = batch_parts(len(image), execution, network)
    criterion = partial(
        deep_supervision_loss, labels=labels, batch_dice=configuration.batch_dice, loss=configuration.training.loss
    )
    if len(parts) == 1:
        loss = criterion(forward(network, image, execution), target)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    else:
        loss = backward_in_parts(network, image, target, parts, execution, criterion)
    ranks.add_gradients(network.parameters())  # still scaled: what overflows in one process is passed over by all
    scaler.unscale_(optimizer)
    gradient = None
    if configuration.training.gradient_clip is not None:
        gradient = nn.utils.clip_grad_norm_(network.parameters(), configuration.training.gradient_clip)
    scaler.step(optimizer)
    scaler.update()
    value = float(loss.detach())
    if not recovers(scaler):
        require_finite("loss", value, execution)
        if gradient is not None:
            require_finite("gradient", float(gradient), execution)
    return value


def recovers(scaler: torch.amp.GradScaler) -> bool:
    """Whether a step of numbers that are not finite is passed over (fp16): the weights have not changed then.

    The scaler halves its scale each time; where it falls below 1 it is not the scale that makes them overflow.
    """
    return scaler.is_enabled() and scaler.get_scale() >= 1


def require_finite(what: str, value: float, execution: Execution) -> None:
    """FloatingPointError with the remedy for a loss or gradient that is no number."""
    if not math.isfinite(value):
        remedy = "use another precision" if execution.precision == "half" else "lower initial_learning_rate"
        raise FloatingPointError(f"the {what} became {value}: {remedy} in the plan, or look for extreme intensities")


def forward(network: nn.Module, image: torch.Tensor, execution: Execution) -> Outputs:
    """The logits of every resolution, finest first; one of a network without several. The batch may be empty."""
    some = image if len(image) else image.new_zeros(1, *image.shape[1:])
    with execution.autocast():
        outputs: torch.Tensor | Outputs = network(some)
    logits = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
    return logits if len(image) else [one[:0] for one in logits]


def supervised(network: nn.Module) -> nn.Module:
    """The network, set to give its outputs at every resolution if it has several."""
    if hasattr(network, "deep_supervision"):
        network.deep_supervision = True  # type: ignore[assignment]
    return network


def mixes_samples(network: nn.Module) -> bool:
    """Whether a sample's output, or what the network keeps, depends on the others or on the order of the threads.

    Random numbers (dropout) are drawn from one generator.
    """
    return pools_statistics(network) or draws_random_numbers(network)


def pools_statistics(network: nn.Module) -> bool:
    """Whether statistics of the batch, or running ones, are at work."""
    for module in network.modules():
        if isinstance(module, _BatchNorm) and (module.training or module.running_mean is None):
            return True
        if isinstance(module, _InstanceNorm) and module.training and module.running_mean is not None:
            return True
    return False


def draws_random_numbers(network: nn.Module) -> bool:
    """Whether there is dropout at work."""
    return any(isinstance(module, _DropoutNd) and module.training and module.p > 0 for module in network.modules())


def batch_parts(size: int, execution: Execution, network: nn.Module) -> list[slice]:
    """Nearly equal parts of a batch, one for each core; on another device or where samples mix, all of it.

    5 samples on 2 cores: samples 0-1 and samples 2-4.
    """
    parts = max(1, min(size, torch.get_num_threads(), MOST_PARTS))
    # With fp16 the loss is scaled, before the one backward pass.
    if execution.device != "cpu" or execution.precision == "fp16" or (parts > 1 and mixes_samples(network)):
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
    criterion: Callable[[Outputs, torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Fill the gradients of the network as one backward pass would, up to rounding; the loss.

    The gradients of the parts are added in their order: the same bits in every run.
    """
    outputs = in_parts(lambda part: forward(network, image[part], execution), parts)
    logits = [torch.cat([part.detach() for part in level]).requires_grad_() for level in zip(*outputs, strict=True)]
    loss = criterion(logits, target)
    loss.backward()  # type: ignore[no-untyped-call]
    weights = [weight for weight in network.parameters() if weight.requires_grad]

    def backward(part: slice) -> tuple[torch.Tensor | None, ...]:
        pairs = zip(outputs[parts.index(part)], logits, strict=True)
        used = [(output, whole.grad[part]) for output, whole in pairs if whole.grad is not None]
        return torch.autograd.grad([output for output, _ in used], weights, [g for _, g in used], allow_unused=True)

    for gradients in in_parts(backward, parts):
        for weight, gradient in zip(weights, gradients, strict=True):
            if gradient is not None:
                weight.grad = gradient if weight.grad is None else weight.grad.add_(gradient)
    return loss
