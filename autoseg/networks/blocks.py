"""Convolution blocks shared by the networks, for two or three dimensions.

Tensor shapes: ``(B, C, *spatial)`` with ``len(spatial) == dimensions``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

_CONVOLUTION: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED: dict[int, type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]] = {
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}
_AVERAGE_POOL: dict[int, type[nn.AvgPool2d] | type[nn.AvgPool3d]] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}
_MAX_POOL: dict[int, type[nn.MaxPool2d] | type[nn.MaxPool3d]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
_BATCH_NORM: dict[int, type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_DROPOUT: dict[int, type[nn.Dropout2d] | type[nn.Dropout3d]] = {2: nn.Dropout2d, 3: nn.Dropout3d}
_LINEAR = {4: "bilinear", 5: "trilinear"}  # by the rank of the tensor
LEAKY_SLOPE = 0.01
Share = Annotated[float, Field(ge=0, lt=1)]


def convolution(
    dimensions: int,
    in_channels: int,
    out_channels: int,
    kernel_size: Sequence[int],
    stride: Sequence[int] | int = 1,
    bias: bool = True,
    dilation: int = 1,
) -> nn.Module:
    """A convolution whose padding keeps the size at stride 1, and ``ceil(size / stride)`` else; for odd kernels."""
    padding = tuple(dilation * (k - 1) // 2 for k in kernel_size)
    stride = stride if isinstance(stride, int) else tuple(stride)
    return _CONVOLUTION[dimensions](in_channels, out_channels, tuple(kernel_size), stride, padding, dilation, bias=bias)  # type: ignore[arg-type]


def average_pool(dimensions: int, stride: Sequence[int]) -> nn.Module:
    """Means over boxes of ``stride`` voxels, side by side; the last may be cut: ``ceil(size / stride)`` of them."""
    return _AVERAGE_POOL[dimensions](tuple(stride), tuple(stride), ceil_mode=True)  # type: ignore[arg-type]


def max_pool(dimensions: int, indices: bool = False) -> nn.Module:
    """Maxima over boxes of 2 voxels a side, ``floor(size / 2)`` of them; with ``indices`` also where they were."""
    return _MAX_POOL[dimensions](2, return_indices=indices)


def batch_norm(dimensions: int, channels: int, eps: float = 1e-5, momentum: float = 0.1) -> nn.Module:
    """Batch normalisation with learned scale and shift; ``momentum`` is the weight of the newest batch."""
    return _BATCH_NORM[dimensions](channels, eps=eps, momentum=momentum)


def dropout_maps(dimensions: int, share: float) -> nn.Module:
    """Sets whole maps to zero, a ``share`` of them."""
    return _DROPOUT[dimensions](share)


def resized(x: torch.Tensor, size: Sequence[int], align_corners: bool = False) -> torch.Tensor:
    """``(B, C, *spatial)`` -> ``(B, C, *size)``, bilinear or trilinear; twice the size is "upsampling by 2"."""
    return functional.interpolate(x, tuple(size), mode=_LINEAR[x.ndim], align_corners=align_corners)


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


def initialise_he_normal(network: nn.Module, slope: float = LEAKY_SLOPE) -> None:
    """He-normal weights for a leaky ReLU of ``slope`` (nnU-Net's initialisation; Keras' with 0), zero biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            if not module.weight.is_meta:  # torch would load its compiler for it, 1.4 s
                nn.init.kaiming_normal_(module.weight, a=slope)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def initialise_glorot_uniform(network: nn.Module) -> None:
    """Glorot-uniform weights, zero biases: what Keras and Lasagne do unless told otherwise."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear) and not module.weight.is_meta:
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def forget_running_statistics(network: nn.Module) -> None:
    """Let batch norms use the statistics of the batch at hand in evaluation mode, too."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d | nn.BatchNorm1d):
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None
