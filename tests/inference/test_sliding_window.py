"""Tiles, weights and mirroring against scipy and direct computation."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from autoseg.inference.sliding_window import (
    gaussian_weights,
    mirror_combinations,
    sliding_window_logits,
    tile_starts,
)
from autoseg.runtime.devices import Execution

CPU = Execution("cpu", "fp32", channels_last=False)


class Counting(nn.Module):
    """Wraps a function of the input and counts forward passes."""

    def __init__(self, function):
        super().__init__()
        self.function, self.sizes = function, []

    def forward(self, x):
        self.sizes.append(tuple(x.shape))
        return self.function(x)


def pointwise(x: torch.Tensor) -> torch.Tensor:
    """Two classes from the mean over channels: unaffected by tiling and mirroring."""
    mean = x.mean(1, keepdim=True)
    return torch.cat((mean, 1 - mean), dim=1)


@pytest.mark.parametrize(
    ("size", "patch", "expected"), [(110, 64, [0, 23, 46]), (64, 64, [0]), (65, 64, [0, 1]), (128, 64, [0, 32, 64])]
)
def test_tiles_are_equally_spaced_and_reach_the_end(size, patch, expected):
    assert tile_starts(size, patch, 0.5) == expected


@pytest.mark.parametrize("patch", [(16, 24), (8, 16, 12)])
def test_gaussian_has_the_shape_of_a_filtered_impulse(patch):
    impulse = np.zeros(patch)
    impulse[tuple(size // 2 for size in patch)] = 1
    filtered = gaussian_filter(impulse, [size / 8 for size in patch], mode="constant", truncate=8)
    weights = gaussian_weights(patch).numpy()
    np.testing.assert_allclose(weights, filtered / filtered.max(), atol=1e-6)
    assert weights.min() > 0


def test_mirror_combinations_are_all_subsets_of_the_axes():
    assert len(mirror_combinations((0, 1, 2))) == 8
    assert mirror_combinations((1,)) == [(), (1,)]


@pytest.mark.parametrize("patch", [(8, 8, 8), (8, 8)])
@pytest.mark.parametrize("shape", [(5, 13, 9), (12, 8, 21)])
def test_a_pointwise_network_is_reproduced_exactly(shape, patch):
    image = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    logits = sliding_window_logits([Counting(pointwise)], image, patch, 2, CPU, tuple(range(len(patch))))
    np.testing.assert_allclose(logits, pointwise(torch.from_numpy(image)[None])[0].numpy(), atol=1e-5)


def test_mirroring_averages_the_flipped_back_logits():
    position = torch.arange(8.0)

    def sees_position(x):
        return torch.cat((x * position, -x * position), dim=1)

    image = np.random.default_rng(0).normal(size=(1, 8, 8, 8)).astype(np.float32)
    logits = sliding_window_logits([Counting(sees_position)], image, (8, 8, 8), 2, CPU, mirror_axes=(2,))
    np.testing.assert_allclose(logits[0], image[0] * 3.5, atol=1e-5)  # mean of i and 7 - i


def test_folds_are_averaged():
    image = np.ones((1, 8, 8, 8), dtype=np.float32)
    networks = [Counting(lambda x, k=k: torch.cat((k * x, x), dim=1)) for k in (1.0, 3.0)]
    logits = sliding_window_logits(networks, image, (8, 8, 8), 2, CPU)
    np.testing.assert_allclose(logits[0], 2.0)
    assert [len(network.sizes) for network in networks] == [1, 1]


def test_slices_and_flips_go_through_a_2d_network_together():
    network = Counting(pointwise)
    image = np.zeros((1, 10, 16, 16), dtype=np.float32)
    sliding_window_logits([network], image, (16, 16), 2, CPU, mirror_axes=(0, 1))
    assert network.sizes == [(40, 1, 16, 16)]
