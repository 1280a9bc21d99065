"""Tensors and a few facts in one safetensors file: weights, and the state of an interrupted training.

Nothing is ever unpickled. Facts are JSON in the file's header.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from autoseg.core.errors import BadInput

_FACTS = "autoseg"


def serialise(tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> bytes:
    """The bytes of a safetensors file. Tensors are written contiguous, on any device, in any layout."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return safetensors.torch.save(plain, {_FACTS: json.dumps(dict(facts))})


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors by name, and the facts."""
    if not path.is_file():
        raise BadInput(f"{path}: the file is missing; train the fold first.")
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get(_FACTS, "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
    except (safetensors.SafetensorError, ValueError, OSError) as error:
        raise BadInput(f"{path}: is damaged or no safetensors file ({error}); restore or retrain it.") from None


def read_weights(path: Traversable) -> dict[str, torch.Tensor]:
    """Tensors by name, of a file or of a member of an archive, which is held in memory meanwhile."""
    if isinstance(path, Path):
        return read(path)[0]
    try:
        return safetensors.torch.load(path.read_bytes())
    except (safetensors.SafetensorError, ValueError, OSError) as error:
        raise BadInput(f"{path}: is damaged or no safetensors file ({error}); fetch the model again.") from None


def load_weights(network: nn.Module, tensors: Mapping[str, torch.Tensor], source: Traversable) -> None:
    """Fill ``network``; names and shapes must agree exactly."""
    require_fitting(network, tensors, source)
    network.load_state_dict(dict(tensors))


def require_fitting(network: nn.Module, tensors: Mapping[str, torch.Tensor], source: Traversable) -> None:
    """BadInput unless names, shapes and kinds of numbers are those of ``network``, which may lie on the meta device.

    So it can be asked before a network of any size takes memory.
    """
    expected, problem = network.state_dict(), None
    for name in sorted(expected.keys() ^ tensors.keys()):
        problem = problem or f"{name} is {'missing' if name in expected else 'too much'}"
    for name in (one for one in expected if one in tensors):
        given, wanted = tensors[name], expected[name]
        if given.shape != wanted.shape:
            problem = problem or f"{name} has the shape {tuple(given.shape)} and should have {tuple(wanted.shape)}"
        elif given.is_floating_point() != wanted.is_floating_point():
            problem = problem or f"{name} holds numbers of type {given.dtype}"
    if problem:
        raise BadInput(f"{source}: the weights do not fit the network of the plan beside them ({problem[:300]}).")


def require_finite(tensors: Mapping[str, torch.Tensor], source: Traversable) -> None:
    """BadInput for weights that are no numbers: whatever they segment would be background."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise BadInput(f"{source}: the weight {name[:100]} is not finite; fetch or train the model again.")
