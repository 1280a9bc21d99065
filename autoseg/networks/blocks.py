"""Convolution blocks shared by the networks, for two or three dimensions.

Tensor shapes: ``(B, C, *spatial)`` with ``len(spatial) == dimensions``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

_CONVOLUTION: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED: dict[int, type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]] = {
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}
_AVERAGE_POOL: dict[int, type[nn.AvgPool2d] | type[nn.AvgPool3d]] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}
LEAKY_SLOPE = 0.01


def convolution(
    dimensions: int,
    in_channels: int,
    out_channels: int,
    kernel_size: Sequence[int],
    stride: Sequence[int] | int = 1,
    bias: bool = True,
) -> nn.Module:
    """A convolution whose padding keeps the size at stride 1 (odd kernels only)."""
    padding = tuple((k - 1) // 2 for k in kernel_size)
    stride = stride if isinstance(stride, int) else tuple(stride)
    return _CONVOLUTION[dimensions](in_channels, out_channels, tuple(kernel_size), stride, padding, bias=bias)  # type: ignore[arg-type]


def average_pool(dimensions: int, stride: Sequence[int]) -> nn.Module:
    """Means over boxes of ``stride`` voxels, side by side."""
    return _AVERAGE_POOL[dimensions](tuple(stride), tuple(stride))  # type: ignore[arg-type]


def transposed_convolution(dimensions: int, in_channels: int, out_channels: int, stride: Sequence[int]) -> nn.Module:
    """A transposed convolution with kernel = stride: every output voxel has one source voxel."""
    return _TRANSPOSED[dimensions](in_channels, out_channels, tuple(stride), tuple(stride))  # type: ignore[arg-type]


def instance_norm(channels: int) -> nn.GroupNorm:
    """Instance normalisation with learned scale and shift, written as a group norm of one channel a group.

    Same result and parameters as ``nn.InstanceNorm``, which copies channels-last tensors there and
    back: a whole training step on two CPU cores takes 1.3 times as long with it.
    """
    return nn.GroupNorm(channels, channels, eps=1e-5)


class ConvNormAct(nn.Module):
    """Convolution, instance normalisation, leaky ReLU (slope 0.01)."""

    def __init__(
        self,
        dimensions: int,
        in_channels: int,
        out_channels: int,
        kernel_size: Sequence[int],
        stride: Sequence[int] | int = 1,
    ) -> None:
        super().__init__()
        self.conv = convolution(dimensions, in_channels, out_channels, kernel_size, stride)
        self.norm = instance_norm(out_channels)
        self.act = nn.LeakyReLU(LEAKY_SLOPE, inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, in_channels, *spatial)`` -> ``(B, out_channels, *spatial / stride)``."""
        y: torch.Tensor = self.act(self.norm(self.conv(x)))
        return y


class ConvNorm(nn.Module):
    """Convolution of stride 1, instance normalisation."""

    def __init__(
        self, dimensions: int, in_channels: int, out_channels: int, kernel_size: Sequence[int], bias: bool = True
    ) -> None:
        super().__init__()
        self.conv = convolution(dimensions, in_channels, out_channels, kernel_size, bias=bias)
        self.norm = instance_norm(out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, in_channels, *spatial)`` -> ``(B, out_channels, *spatial)``."""
        y: torch.Tensor = self.norm(self.conv(x))
        return y


class ConvStack(nn.Module):
    """``num_convs`` ConvNormAct units; the first one carries the stride."""

    def __init__(
        self,
        dimensions: int,
        in_channels: int,
        out_channels: int,
        kernel_size: Sequence[int],
        num_convs: int,
        stride: Sequence[int] | int = 1,
    ) -> None:
        super().__init__()
        units = [ConvNormAct(dimensions, in_channels, out_channels, kernel_size, stride)]
        units += [ConvNormAct(dimensions, out_channels, out_channels, kernel_size) for _ in range(num_convs - 1)]
        self.convs = nn.Sequential(*units)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, in_channels, *spatial)`` -> ``(B, out_channels, *spatial / stride)``."""
        y: torch.Tensor = self.convs(x)
        return y


def initialise_he_normal(network: nn.Module) -> None:
    """He-normal weights for the leaky ReLU, zero biases (nnU-Net's initialisation)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            nn.init.kaiming_normal_(module.weight, a=LEAKY_SLOPE)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
