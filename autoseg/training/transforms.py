"""Transforms of the intensities of one channel ``(*patch)`` float32, in place, with all choices made by the caller.

Each is the transform of nnU-Net v2's training pipeline (batchgeneratorsv2) of the same name. The sums are
numpy's, whose order does not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

SMALLEST_RANGE = 1e-7
KERNEL_WIDTHS = 6  # of a blur, in standard deviations

Channel = npt.NDArray[np.float32]


def add_noise(image: Channel, standard_deviation: float, seed: int) -> None:
    """Add Gaussian noise, independent per voxel (and per channel where ``image`` has several)."""
    noise = np.random.default_rng(seed).standard_normal(image.shape, np.float32)
    noise *= np.float32(standard_deviation)
    image += noise


def blur(channel: Channel, sigmas_voxels: Sequence[float]) -> None:
    """Smooth each axis with a Gaussian of its own; the image continues mirrored at its border voxels."""
    for axis, sigma in enumerate(sigmas_voxels):
        ndimage.correlate1d(channel, gaussian_kernel(sigma), axis, output=channel, mode="mirror")


def gaussian_kernel(sigma: float) -> npt.NDArray[np.float64]:
    """Weights that sum to 1; as many as the odd number nearest to half a voxel more than six standard deviations."""
    radius = int((KERNEL_WIDTHS * sigma + 0.5) // 2)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel: npt.NDArray[np.float64] = weights / weights.sum()
    return kernel


def scale_contrast(channel: Channel, factor: float) -> None:
    """Scale the distance from the mean; values stay within the range that the channel had."""
    mean, lowest, highest = channel.mean(), channel.min(), channel.max()
    channel -= mean
    channel *= np.float32(factor)
    channel += mean
    np.minimum(channel, highest, out=channel)
    np.maximum(channel, lowest, out=channel)


def simulate_low_resolution(channel: Channel, zooms: Sequence[float]) -> None:
    """Reduce each axis to ``zoom`` of its size by nearest neighbour, and enlarge it again linearly."""
    small = [max(1, round(size * zoom)) for size, zoom in zip(channel.shape, zooms, strict=True)]
    mode = "bilinear" if channel.ndim == 2 else "trilinear"
    reduced = torch.nn.functional.interpolate(torch.from_numpy(channel)[None, None], small, mode="nearest-exact")
    channel[:] = torch.nn.functional.interpolate(reduced, channel.shape, mode=mode)[0, 0].numpy()


def change_gamma(channel: Channel, gamma: float, inverted: bool) -> None:
    """Raise the channel, scaled to 0..1, to the power ``gamma``; mean and standard deviation are kept.

    ``inverted``: of the negated channel, so that the bright end is spread instead of the dark one.
    """
    if inverted:
        np.negative(channel, out=channel)
    mean, deviation = channel.mean(), channel.std(ddof=1)
    lowest = channel.min()
    extent = channel.max() - lowest
    channel -= lowest
    channel /= max(extent, np.float32(SMALLEST_RANGE))
    np.power(channel, np.float32(gamma), out=channel)
    # The range itself need not be restored: the mean and the deviation decide shift and scale.
    channel *= extent
    channel -= channel.mean()
    channel *= deviation / max(channel.std(ddof=1), np.float32(SMALLEST_RANGE))
    channel += mean
    if inverted:
        np.negative(channel, out=channel)
