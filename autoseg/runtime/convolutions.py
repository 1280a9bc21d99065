"""3D convolutions of one sample at the speed of several, on a CPU in float32.

For a single float32 sample torch (2.13) hands a convolution to oneDNN only if channels x depth x height exceeds
20,480. Smaller ones, and so the outer layers of narrow networks and the inner ones of most, go through an unfolded
matrix product, which takes 3 to 8 times as long. An image that is already in oneDNN's own form is not asked its size.
In 2D both ways take the same time.
"""

from __future__ import annotations

from math import prod

import torch
from torch import nn

LARGEST_UNFOLDED = 20480


def avoid_unfolding(network: nn.Module) -> None:
    """Let the small 3D convolutions of ``network`` take one sample through oneDNN; the same results up to rounding."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            module.register_forward_pre_hook(_to_onednn)
            module.register_forward_hook(_from_onednn)


def _to_onednn(_: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor] | None:
    (image,) = inputs
    small = len(image) == 1 and prod(image.shape[:4]) <= LARGEST_UNFOLDED
    return (image.to_mkldnn(),) if small and image.dtype == torch.float32 and not image.is_mkldnn else None


def _from_onednn(_: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor | None:
    return output.to_dense() if output.is_mkldnn else None
