"""``python -m autoseg.networks``: the catalogue as text."""

from __future__ import annotations

import textwrap

import torch

from autoseg.networks.catalogue import CATALOGUE, build

_WIDTH = 100


def table() -> str:
    """For each network its name, how many weights it has in 2D and 3D, its parameters with defaults, its source."""
    parts = [f"{'network':22}{'weights 2D':>12}{'weights 3D':>12}  (1 channel, 2 classes)"]
    for name, entry in CATALOGUE.items():
        weights = "".join(f"{_weights(name, n) if n in entry.dimensions else '-':>12}" for n in (2, 3))
        listed = ", ".join(f"{key}={default!r}" for key, default in entry.parameters.items())
        parts += [f"{name:22}{weights}", *_indented(listed), *_indented(entry.source)]
    return "\n".join(parts)


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 4)


def _weights(name: str, dimensions: int) -> str:
    """How many weights are trained, counted on torch's device without memory."""
    with torch.device("meta"):
        network = build(name, 1, 2, dimensions, {})
    return f"{sum(parameter.numel() for parameter in network.parameters()):,}"


if __name__ == "__main__":
    print(table())
