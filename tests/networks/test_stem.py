"""The stem of the full-volume networks: its size, and its blocks."""

import torch
from torch import nn
from torch.nn import functional

from autoseg.networks.stem import stem


def test_a_stem_halves_the_size_rounding_up():
    layers = stem(2, nn.BatchNorm3d)
    assert layers(torch.zeros(2, 2, 7, 8, 9)).shape == (2, 64, 4, 4, 5)


def test_a_stem_is_its_convolutions_where_nothing_is_normalised():
    torch.manual_seed(0)
    layers = stem(1, lambda channels: nn.Identity())
    weights = [parameter for parameter in layers.parameters() if parameter.ndim == 5]
    assert [tuple(weight.shape[:3]) for weight in weights] == [
        *((32, 1, 3), (16, 32, 1), (16, 16, 3), (64, 16, 1), (64, 32, 1)),
        *((16, 64, 1), (16, 16, 3), (64, 16, 1)),
    ]
    x = torch.randn(1, 1, 6, 5, 4)
    y = functional.relu(functional.conv3d(x, weights[0], stride=2, padding=1))
    for narrow, middle, wide, shortcut in ((*weights[1:4], weights[4]), (*weights[5:8], None)):
        z = functional.relu(functional.conv3d(y, narrow))
        z = functional.conv3d(functional.relu(functional.conv3d(z, middle, padding=1)), wide)
        y = functional.relu(z + (y if shortcut is None else functional.conv3d(y, shortcut)))
    torch.testing.assert_close(layers(x), y, atol=1e-5, rtol=1e-4)
