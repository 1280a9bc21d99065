"""Blocks against torch's own layers."""

import pytest
import torch
from torch import nn

from autoseg.networks.blocks import (
    ConvStack,
    average_pool,
    convolution,
    initialise_glorot_uniform,
    instance_norm,
    resized,
    transposed_convolution,
)


@pytest.mark.parametrize("shape", [(2, 5, 6, 7), (2, 5, 4, 6, 7)])
def test_instance_norm_equals_torch(shape):
    torch.manual_seed(0)
    x = torch.randn(shape) * 3 + 1
    ours = instance_norm(5)
    theirs = (nn.InstanceNorm2d if len(shape) == 4 else nn.InstanceNorm3d)(5, affine=True)
    with torch.no_grad():
        for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            other.copy_(parameter.normal_())
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-5)


def test_only_the_first_convolution_of_a_stack_strides():
    stack = ConvStack(3, 2, 4, (3, 3, 3), num_convs=3, stride=(1, 2, 2))
    assert stack(torch.zeros(1, 2, 5, 6, 8)).shape == (1, 4, 5, 3, 4)
    assert [unit.conv.in_channels for unit in stack.convs] == [2, 4, 4]


def test_transposed_convolution_undoes_the_size_of_a_strided_one():
    x = torch.zeros(1, 2, 4, 6, 8)
    small = convolution(3, 2, 3, (1, 3, 3), (1, 2, 2))(x)
    assert transposed_convolution(3, 3, 2, (1, 2, 2))(small).shape == x.shape


@pytest.mark.parametrize(("kernel", "stride"), [((3, 1), (2, 4)), ((5, 3), (3, 2))])
def test_strided_convolutions_and_means_round_sizes_up_alike(kernel, stride):
    for size in ((7, 9), (8, 8), (5, 11)):
        expected = tuple(-(-length // step) for length, step in zip(size, stride, strict=True))
        x = torch.zeros(1, 1, *size)
        assert convolution(2, 1, 1, kernel, stride)(x).shape[2:] == expected
        assert average_pool(2, stride)(x).shape[2:] == expected


def test_the_last_mean_is_over_the_voxels_that_there_are():
    x = torch.arange(5.0).reshape(1, 1, 1, 5)
    assert average_pool(2, (1, 2))(x).flatten().tolist() == [0.5, 2.5, 4.0]


def test_a_dilated_convolution_keeps_the_size_and_a_resized_map_has_the_size_asked_for():
    assert convolution(3, 1, 1, (3, 3, 3), dilation=6)(torch.zeros(1, 1, 4, 5, 6)).shape == (1, 1, 4, 5, 6)
    ramp = torch.arange(4.0).reshape(1, 1, 4, 1)
    assert resized(ramp, (7, 1), align_corners=True).flatten().tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3]
    assert resized(ramp, (8, 1)).flatten().tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]


def test_glorot_uniform_weights_spread_over_both_fans():
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 32, 3)
    initialise_glorot_uniform(layer)
    bound = (6 / (9 * (64 + 32))) ** 0.5
    assert float(layer.weight.detach().abs().max()) == pytest.approx(bound, rel=0.01)
    assert not layer.bias.any()
