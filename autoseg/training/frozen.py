"""Weights that stay as a training begins with them, while the others learn (transfer learning).

What is frozen gets no gradient and is not the optimiser's, so neither momentum nor weight decay moves it; a batch norm
that is frozen normalises by the running statistics that it came with, and keeps them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from autoseg.core.errors import BadInput


def frozen_names(network: nn.Module, patterns: Sequence[str]) -> list[str]:
    """The names in the network's state that the patterns mean: a part by its name, or with the wildcards ``*?[]``.

    ``encoder`` means ``encoder.stages.0.weight`` and all else below it. BadInput for a pattern that means nothing, and
    where nothing would be left to learn.
    """
    names = list(network.state_dict())
    learnt = [name for name, _ in network.named_parameters()]
    for pattern in patterns:
        if not any(_means(pattern, name) for name in learnt):
            parts = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
            raise BadInput(f"frozen weights: {pattern!r} is no part of the network; its parts are {parts}.")
    frozen = [name for name in names if any(_means(pattern, name) for pattern in patterns)]
    if patterns and set(learnt) <= set(frozen):
        raise BadInput(f"frozen weights: {', '.join(patterns)} leaves nothing to train; freeze fewer parts.")
    return frozen


def freeze(network: nn.Module, patterns: Sequence[str]) -> None:
    """Take the gradients of what the patterns mean, and set the network to train the rest."""
    frozen = set(frozen_names(network, patterns))
    for name, parameter in network.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    set_to_train(network)


def set_to_train(network: nn.Module) -> None:
    """``network.train()``, but for batch norms that are frozen."""
    network.train()
    for module in network.modules():
        if isinstance(module, _BatchNorm) and module.affine and not module.weight.requires_grad:
            module.eval()


def require_given(network: nn.Module, patterns: Sequence[str], given: Collection[str], source: object) -> None:
    """BadInput if a weight that is to be frozen is none of the names ``given`` by the model ``source``."""
    missing = [name for name in frozen_names(network, patterns) if name not in given]
    if missing:
        raise BadInput(
            f"{source}: does not give {missing[0]}, which is to be frozen; freeze only parts that the model fills."
        )


def _means(pattern: str, name: str) -> bool:
    return name == pattern or name.startswith(f"{pattern}.") or fnmatchcase(name, pattern)
