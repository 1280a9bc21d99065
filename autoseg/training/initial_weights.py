"""What a new network takes over of the weights of another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from autoseg.runtime.progress import counted

HEADS = "heads"  # the part of a name that the output layers of every network have
NAMED = 4  # weights listed by name; of more, the number


@dataclass(frozen=True)
class Taken:
    """The names of weights: ``copied``, why others stayed as they were, and what the other network has in excess."""

    copied: tuple[str, ...]
    other_channels: tuple[str, ...]  # the first convolution, of a network for another number of input channels
    other_labels: tuple[str, ...]  # output heads, of a network with another number of outputs
    other_shape: tuple[str, ...]
    absent: tuple[str, ...]
    unused: tuple[str, ...]

    @property
    def num_weights(self) -> int:
        """Of the new network."""
        kept = (self.copied, self.other_channels, self.other_labels, self.other_shape, self.absent)
        return sum(len(names) for names in kept)

    def describe(self) -> str:
        """What was copied and what was not, by name where that is short."""
        reasons = (
            ("the first convolution (another number of input channels)", self.other_channels),
            ("the output heads (another number of labels)", self.other_labels),
            (f"{_listed(self.other_shape)} (another shape)", self.other_shape),
            (f"{_listed(self.absent)} (the model has none of these names)", self.absent),
        )
        fresh = ", ".join(text for text, names in reasons if names)
        sentence = f"{len(self.copied)} of {counted(self.num_weights, 'weight')} copied"
        sentence += f"; freshly initialised: {fresh}" if fresh else ""
        return sentence + (f"; not used of the model: {_listed(self.unused)}" if self.unused else "")


def fitting_weights(
    fresh: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], Taken]:
    """The weights of ``given`` that a network with the weights ``fresh`` takes: those of equal name and shape.

    Of ``fresh`` only names, their order and shapes matter (it may lie on torch's meta device). Empty if not one
    convolution but the heads would be filled: offsets and scales without their convolutions are worth nothing.
    """
    first = next((name for name, tensor in fresh.items() if tensor.ndim > 2), None)
    groups: dict[str, list[str]] = {
        key: [] for key in ("copied", "other_channels", "other_labels", "other_shape", "absent")
    }
    for name, tensor in fresh.items():
        if name not in given:
            groups["absent"].append(name)
        else:
            groups[_verdict(name == first, name, tensor.shape, given[name].shape)].append(name)
    unused = tuple(name for name in given if name not in fresh)
    taken = Taken(**{key: tuple(names) for key, names in groups.items()}, unused=unused)
    useful = any(fresh[name].ndim > 2 and HEADS not in name.split(".") for name in taken.copied)
    return {name: given[name] for name in taken.copied} if useful else {}, taken


def _verdict(is_first: bool, name: str, shape: Sequence[int], other: Sequence[int]) -> str:
    """Shapes of convolutions are ``(outputs, inputs, *kernel)``."""
    if tuple(shape) == tuple(other):
        return "copied"
    if is_first and len(shape) == len(other) and (shape[0], *shape[2:]) == (other[0], *other[2:]):
        return "other_channels"
    if HEADS in name.split(".") and tuple(shape[1:]) == tuple(other[1:]):
        return "other_labels"
    return "other_shape"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= NAMED else f"{len(names)} weights ({names[0]} ... {names[-1]})"
