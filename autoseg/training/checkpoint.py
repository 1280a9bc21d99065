"""The state of an unfinished training: everything that makes a resumed run continue as if never stopped.

Patches and what a network draws (dropout) are keyed by the step number, so weights, the state of the optimiser,
counters and the loss scale are all there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path

import torch
from torch import nn

from autoseg.core.errors import BadInput
from autoseg.io.files import write_bytes
from autoseg.networks import model_file


@dataclass
class Run:
    """Where a training is."""

    step: int = 0
    epoch: int = 0
    steps_in_epoch: int = 0
    loss_in_epoch: float = 0.0
    elapsed_s: float = 0.0
    dice: float = 0.0  # of the last epoch, on patches
    smoothed_dice: float | None = None
    best: float | None = None  # what the plan chooses the best weights by (``best_by``), and its epoch
    best_epoch: int | None = None
    epochs_since_best: int = 0
    plateau: float | None = None  # of the Clock, as the next
    reached: bool = False

    def add(self, loss: float) -> None:
        """A step is done. One that fp16 passed over, whose loss is no number, counts as the mean of those before."""
        self.loss_in_epoch += loss if isfinite(loss) else self.loss_in_epoch / max(1, self.steps_in_epoch)
        self.step += 1
        self.steps_in_epoch += 1


def save_weights(path: Path, network: nn.Module, facts: Mapping[str, object]) -> None:
    """The weights alone."""
    write_bytes(path, model_file.serialise(network.state_dict(), facts))


def save_state(
    path: Path, run: Run, network: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler
) -> None:
    """Weights, the state of the optimiser and counters."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimizer.{key}.{name}"] = value
    facts = {"run": asdict(run), "scaler": scaler.state_dict(), "optimizer": type(optimizer).__name__}
    write_bytes(path, model_file.serialise(tensors, facts))


def load_state(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler) -> Run:
    """Fill network, optimizer and scaler in place; the counters are returned."""
    tensors, facts = model_file.read(path)
    weights = {name.removeprefix("network."): t for name, t in tensors.items() if name.startswith("network.")}
    model_file.load_weights(network, weights, path)
    by_name = dict(network.named_parameters())
    for key, tensor in tensors.items():
        kind, _, rest = key.partition(".")
        if kind == "optimizer":
            entry, _, name = rest.partition(".")
            parameter = by_name[name]
            # In the memory layout of the weights; counts of steps stay on the CPU, as torch has them.
            same = tensor.shape == parameter.shape and tensor.ndim > 0
            value = torch.empty_like(parameter).copy_(tensor) if same else tensor
            optimizer.state[parameter][entry] = value
    try:
        if facts["optimizer"] != type(optimizer).__name__:
            raise KeyError(f"made by {facts['optimizer']}")
        scaler.load_state_dict(facts["scaler"])
        return Run(**facts["run"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise BadInput(f"{path}: is no state of this training ({error}); delete the fold's folder.") from None
